"""Parameters and results of the use cases of auth clients (contract section 14)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.service.clients.secret_expiry import GivenExpiry


class ScopeKind(StrEnum):
    """Kinds of scopes other than the global one (contract section 14)."""

    tenant = "tenant"
    contract = "contract"
    workspace = "workspace"


@dataclass(frozen=True, slots=True)
class NamedScope:
    """A scope as a request names it; None in its stead is the global scope."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True)
class NewAuthClient:
    """What a caller sends to create a client (contract 14.2)."""

    name: str
    type: str
    component_ids: Sequence[str]
    credentials: Mapping[str, Any] = field(repr=False)
    given_id: str | None = None
    """An id that the caller made up (contract section 4)."""
    expiry: GivenExpiry | None = None
    """When the secret among the credentials ends; None: it says nothing of that."""
    mcp_server: str | None = None
    """Address of the MCP server that it is made for."""
    registration_attempt: str | None = None
    """The attempt in the journal that has registered it, which lands with it."""


@dataclass(frozen=True, slots=True)
class ChangedAuthClient:
    """What a caller sends to change one (contract 14.3); None keeps what is stored."""

    name: str | None
    type: str | None
    component_ids: Sequence[str] | None
    scopes: Sequence[NamedScope]
    credentials: Mapping[str, Any] | None = field(repr=False)
    expiry: GivenExpiry | None = None


@dataclass(frozen=True, slots=True)
class AuthClientView:
    """A client as the caller sees it: without a get permission at its own scope its credentials are None (14.1)."""

    client: AuthClient
    credentials: Json | None = field(repr=False)

    @property
    def left_out(self) -> int:
        """Bytes of the credentials, if a list has left them out for now and the caller may see them."""
        return 0 if self.credentials is None else self.client.left_out
