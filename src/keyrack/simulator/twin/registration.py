"""What was registered at a twin: a client, where its users come back to, and what was filled in for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Registration:
    """A client and one connection of it.

    Attributes:
        client_id: of the client.
        client_secret: its secret; empty for one that has none.
        redirect_uri: the only one.
        values: what was filled in, for the client and for the connection, by the name of the input.
        scopes: that the connection asks for; empty: those that the profile has for that case.
        public_key: checks what the client signs, a key of joserfc; None where it signs nothing.
        key_id: name of the key that signs; None: it has none.
        certificate: that the client shows in TLS, in DER; None where it has none.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()
    public_key: Any = field(default=None, repr=False)
    key_id: str | None = None
    certificate: bytes | None = field(default=None, repr=False)
