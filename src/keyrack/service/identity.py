"""Who is calling: user name and API key to `Principal` (contract section 2)."""

import hashlib
import hmac
import secrets

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import Unauthorized
from keyrack.model import Principal
from keyrack.store.directory import Directory
from keyrack.store.store import Store

_KEY_BYTES = 32


def new_api_key() -> Secret:
    """Return a fresh API key with 256 random bits. The prefix lets secret scanners recognise it."""
    return Secret(f"kr_{secrets.token_urlsafe(_KEY_BYTES)}")


def key_hash(api_key: Secret) -> str:
    """Return what is stored of an API key: SHA-256 in hex. A random key of 256 bits needs no slow hash."""
    return hashlib.sha256(api_key.reveal().encode("utf-8", "surrogatepass")).hexdigest()


class Identities:
    """Checks user names and API keys."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def authenticate(self, name: str, api_key: Secret, address: str | None, request_id: str | None) -> Principal:
        """Return the principal an API key belongs to.

        Args:
            name: email of a user (any case), user name of a service account, or `task-{FLOW_ID}`.
            api_key: the key.
            address: where the request came from, for the audit log.
            request_id: the request's id, for the audit log.

        Raises:
            Unauthorized: no such key, or it is another's, or it has expired, or its flow does not run; which of
                these is not told.
        """
        async with self._store.installation() as unit:
            found = await Directory(unit).identity_by_key(key_hash(api_key), self._clock())
        given = name.casefold().encode("utf-8", "surrogatepass")
        if found is None or not hmac.compare_digest(found.name.casefold().encode(), given):
            raise Unauthorized
        return Principal(
            found.kind,
            found.id,
            found.name,
            found.tenant_id,
            found.permissions,
            address,
            request_id,
            found.contract_id,
            found.workspace_id,
        )
