"""Authenticates a request: user name and API key to `Principal` (contract section 2)."""

import base64
import hashlib
import hmac
import secrets

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret, derived
from keyrack.errors import Unauthorized
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access_counts import DENIED, ActCounter, stranger
from keyrack.service.identity.last_use import KeyUse
from keyrack.store.core.store import Store
from keyrack.store.identities import Identities, Identity
from keyrack.validation.emails import email_key

_KEY_BYTES = 32


def new_api_key() -> Secret:
    """Return a fresh API key with 256 random bits. The prefix lets secret scanners recognise it."""
    return Secret(f"kr_{secrets.token_urlsafe(_KEY_BYTES)}")


def api_key_of(seed: Secret) -> Secret:
    """Return the API key that a page has in store for its reader: always the same one for a seed of 256 random bits."""
    return Secret(f"kr_{base64.urlsafe_b64encode(derived(seed, 'api key')).rstrip(b'=').decode()}")


def key_hash(api_key: Secret) -> str:
    """Return what is stored of an API key: SHA-256 in hex. A random key of 256 bits needs no slow hash."""
    return hashlib.sha256(api_key.reveal().encode("utf-8", "surrogatepass")).hexdigest()


class Authentication:
    """Checks user names and API keys.

    Args:
        store: all data.
        clock: the time.
        key_use: notes when keys are used.
        counter: counts refusals for the audit log of the hour; None: they are not counted.
    """

    def __init__(self, store: Store, clock: Clock, key_use: KeyUse, counter: ActCounter | None = None) -> None:
        self._counter = counter
        self._store = store
        self._clock = clock
        self._key_use = key_use

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
        hashed = key_hash(api_key)
        found = await self.owner(hashed)
        is_owner = _is_name(found.name if found is not None else "", name)
        if found is None or not is_owner:
            raise Unauthorized
        self.used(found, hashed)
        return self.principal(found, address, request_id)

    def refused(self, name: str, address: str | None) -> None:
        """Count a request that was refused, in the installation's audit log: a wrong key is nobody's."""
        if self._counter is not None:
            self._counter.note(stranger(name), address, "", "api-key.use", "api-key", None, DENIED)

    async def owner(self, hashed: str) -> Identity | None:
        """Return who an API key belongs to, by its `key_hash`; None if to nobody (any more)."""
        async with self._store.installation() as unit:
            return await Identities(unit).by_key(hashed, self._clock())

    def used(self, owner: Identity, hashed: str) -> None:
        """Note that a key has let somebody in; the keys of steps are shown nowhere and not noted."""
        if owner.kind is not PrincipalKind.task_user:
            self._key_use.used(hashed)

    @staticmethod
    def require_name(owner: Identity, name: str) -> None:
        """Insist that a key was given together with its owner's name.

        Raises:
            Unauthorized: it is another's.
        """
        if not _is_name(owner.name, name):
            raise Unauthorized

    @staticmethod
    def principal(owner: Identity, address: str | None = None, request_id: str | None = None) -> Principal:
        """Return a key's owner as the one who is calling."""
        return Principal(
            owner.kind,
            owner.id,
            owner.name,
            owner.tenant_id,
            owner.permissions,
            address,
            request_id,
            owner.contract_id,
            owner.workspace_id,
        )


def _is_name(name: str, given: str) -> bool:
    return hmac.compare_digest(email_key(name).encode(), email_key(given).encode("utf-8", "surrogatepass"))
