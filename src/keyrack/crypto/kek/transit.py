"""A key of the transit engine of HashiCorp Vault or OpenBao, through hvac: address and token by its standard means.

The context is the associated data of each call, and the key derivation context of a derived key.
"""

import base64
import os
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hvac import Client
from hvac.exceptions import Forbidden, InvalidRequest, VaultError
from requests.exceptions import RequestException

from keyrack.errors import ConfigurationError, KeyServiceUnavailable, WrongKey

T = TypeVar("T")

_PATH = re.compile(r"(?P<mount>[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)/(?P<key>[A-Za-z0-9_.-]+)")
_LONGEST = 200
"""The id of a version is kept in 255 characters."""
_VERSION = re.compile(r"vault:v(\d+):")
_WRONG = re.compile("authentication failed|unable to decrypt|invalid ciphertext", re.IGNORECASE)
_TOKEN_LOOKED_AT = 60.0
"""Seconds after which it is looked again how long the token lasts."""


class TransitKey:
    """A key of a transit engine.

    Args:
        kind: `vault` or `openbao`, which also has `BAO_ADDR`, `BAO_TOKEN`, `BAO_NAMESPACE` and `BAO_CACERT`.
        path: `MOUNT/KEY`.
        timeout: seconds a call may take.

    Raises:
        ConfigurationError: it is no path of a key, or no address is set.
    """

    def __init__(self, kind: str, path: str, timeout: float) -> None:
        found = _PATH.fullmatch(path)
        if found is None or len(path) > _LONGEST:
            raise ConfigurationError(f"{kind}: must name a key of a transit engine: {kind}:MOUNT/KEY")
        self.kind, self.name = kind, f"{kind}:{path}"
        self._mount, self._key, self._timeout = found["mount"], found["key"], timeout
        if self._set("ADDR") is None:
            raise ConfigurationError(f"{self.name}: VAULT_ADDR is not set")
        self._client: Any = None
        self._looked_at = float("-inf")

    def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        """Encrypt a data key with the newest version (`transit/encrypt`).

        Raises:
            KeyServiceUnavailable: the server does not answer, or refuses.
        """
        given = {"plaintext": base64.b64encode(material).decode(), **_context(context)}
        text = self._asked(lambda transit: transit.encrypt_data(self._key, mount_point=self._mount, **given))[
            "ciphertext"
        ]
        version = _VERSION.match(text)
        if version is None:
            raise KeyServiceUnavailable(cause=f"{self.name}: the server answered with no ciphertext")
        return f"{self.name}:v{version[1]}", text.encode()

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt a data key (`transit/decrypt`).

        Raises:
            WrongKey: it was not encrypted with this key and context.
            KeyServiceUnavailable: the server does not answer, or refuses.
        """
        given = {"ciphertext": wrapped.decode("ascii", "replace"), **_context(context)}
        try:
            done = self._asked(lambda transit: transit.decrypt_data(self._key, mount_point=self._mount, **given))
        except InvalidRequest as error:
            said = " ".join(error.errors or ())
            if _WRONG.search(said):
                raise WrongKey(f"{kek_id} did not encrypt this data key") from None
            raise KeyServiceUnavailable(cause=f"{self.name}: the server refuses to decrypt") from None
        return base64.b64decode(done["plaintext"])

    def _asked(self, call: Callable[[Any], Any]) -> Any:
        """Call the transit engine; with a token that was exchanged meanwhile, once again."""
        try:
            try:
                return call(self._connected())["data"]
            except Forbidden:
                self._client = None  # the file with the token may have a new one
                return call(self._connected())["data"]
        except InvalidRequest:
            raise
        except (VaultError, RequestException, OSError, KeyError, TypeError) as error:
            raise KeyServiceUnavailable(cause=f"{self.name}: {_reason(error)}") from None

    def _connected(self) -> Any:
        client = self._client  # once: a call in another thread may drop it at any moment
        if client is None:
            client = self._client = Client(
                url=self._set("ADDR"),
                token=self._set("TOKEN"),
                namespace=self._set("NAMESPACE"),
                verify=self._set("CACERT"),
                timeout=self._timeout,
            )
            self._looked_at = float("-inf")
        if time.monotonic() - self._looked_at > _TOKEN_LOOKED_AT:
            self._looked_at = time.monotonic()
            _renew_token(client)
        return client.secrets.transit

    def _set(self, name: str) -> str | None:
        own = os.environ.get(f"BAO_{name}") if self.kind == "openbao" else None
        return own or os.environ.get(f"VAULT_{name}") or None


def _renew_token(client: Any) -> None:
    """Make a renewable token last, once half of its time is over; one that cannot be renewed just ends."""
    try:
        token = client.auth.token.lookup_self()["data"]
        if token.get("renewable") and token["ttl"] < token["creation_ttl"] / 2:
            client.auth.token.renew_self()
    except (VaultError, KeyError, TypeError):
        pass  # its policy does not let it look; the call says what is wrong, if anything is


def _context(context: bytes) -> dict[str, str]:
    encoded = base64.b64encode(context).decode()
    return {"associated_data": encoded, "context": encoded}


def _reason(error: Exception) -> str:
    """Return what kind of error it is; its text may quote addresses with credentials."""
    return {"Forbidden": "the token may not use this key, or has ended", "VaultDown": "the server is sealed"}.get(
        type(error).__name__, f"no answer that can be used ({type(error).__name__})"
    )
