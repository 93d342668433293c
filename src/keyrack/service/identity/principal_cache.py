"""Caches for a moment whose an API key is, and where secrets may be read with it.

For the one hot read only; everything else asks the database each time. Only what was allowed is remembered, never a
refusal, and nobody gains by it: whoever loses a key or a permission is refused within a second, see
`keyrack.store.access_changes`.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, NotFound, Unauthorized
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.authz.access_counts import trying
from keyrack.service.authz.permissions import GET_SECRET, GET_SECRET_CREDENTIALS
from keyrack.service.identity.authentication import Authentication, key_hash
from keyrack.store.access_changes import AccessChanges, Mark, key_subject
from keyrack.store.identities import Identity

_MOST = 10_000

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a key is."""

    identity: Identity
    principal: Principal
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and where.

    Attributes:
        principal: the caller, without address and request id.
        tenant_id: of the workspace.
    """

    principal: Principal
    tenant_id: str
    owner: _Owner = field(repr=False)
    hashed: str = field(repr=False)


class PrincipalCache:
    """Remembers callers."""

    def __init__(self, authentication: Authentication, access: Access, changes: AccessChanges, clock: Clock) -> None:
        self._authentication = authentication
        self._access = access
        self._changes = changes
        self._clock = clock
        self._owners: _Memory[str, _Owner] = _Memory(changes)
        self._tenants: _Memory[tuple[Principal, str], str] = _Memory(changes)
        self._readers: _Memory[tuple[bytes, str], Reader] = _Memory(changes)

    async def principal(self, name: str, api_key: Secret) -> Principal | None:
        """Return the principal an API key belongs to, without address and request id.

        Args:
            name: user name or email.
            api_key: the key.

        Returns:
            The principal; None: who it is cannot be said here and must be asked for.

        Raises:
            Unauthorized: as `Authentication.authenticate`.
            DatabaseUnavailable: it had to be asked, and is gone.
        """
        hashed = key_hash(api_key)
        owner = self._owners.get(hashed) or await self._owners.learn(hashed, lambda: self._owner(hashed))
        return None if owner is None else self._principal(owner, name, hashed)

    def reader(
        self, authorization: bytes, workspace_id: str, read: Callable[[bytes], tuple[str, Secret]]
    ) -> Reader | None:
        """Return who reads with an `Authorization` header in a workspace, as far as that is remembered.

        What was found out about the header's very bytes is remembered too, by their hash.

        Args:
            authorization: the header's value.
            workspace_id: the workspace.
            read: returns the user name and the API key in the header, or raises Unauthorized.

        Returns:
            A caller who may see credentials there; None: it must be asked for, also for the reason of a refusal.
        """
        key = (hashlib.sha256(authorization).digest(), workspace_id)
        reader = self._readers.get(key)
        try:
            if reader is None:
                reader = self._found_reader(key, *read(authorization))
                if reader is None:
                    return None
            self._admit(reader.owner, reader.hashed)
        except Unauthorized:
            return None
        return reader

    def _found_reader(self, key: tuple[bytes, str], name: str, api_key: Secret) -> Reader | None:
        """Put together what is remembered of a key and of a workspace; it holds as long as both do."""
        hashed = key_hash(api_key)
        owner = self._owners.known(hashed)
        if owner is None:
            return None
        self._authentication.require_name(owner.value.identity, name)
        tenant = self._tenants.known((owner.value.principal, key[1]))
        if tenant is None:
            return None
        reader = Reader(owner.value.principal, tenant.value, owner.value, hashed)
        earlier = min(owner.mark, tenant.mark, key=lambda mark: mark.moment)
        self._readers.keep(key, _Known(reader, earlier, (*owner.subjects, *tenant.subjects)))
        return reader

    def _principal(self, owner: _Owner, name: str, hashed: str) -> Principal:
        self._authentication.require_name(owner.identity, name)
        self._admit(owner, hashed)
        return owner.principal

    def _admit(self, owner: _Owner, hashed: str) -> None:
        expires_at = owner.identity.key_expires_at
        if expires_at is not None and expires_at <= self._clock():
            raise Unauthorized
        self._authentication.used(owner.identity, hashed)

    async def tenant_to_read(self, who: Principal, workspace_id: str) -> str | None:
        """Return the tenant of a workspace in which a caller may read secrets and their credentials.

        Args:
            who: as `principal` returned it.
            workspace_id: the workspace.

        Returns:
            Its id; None: the caller may not, or there is no such workspace, or it must be asked for.
        """
        known = (who, workspace_id)
        return self._tenants.get(known) or await self._tenants.learn(known, lambda: self._tenant(who, workspace_id))

    async def _owner(self, hashed: str) -> tuple[_Owner, tuple[str, ...]]:
        identity = await self._authentication.owner(hashed)
        if identity is None:
            raise Unauthorized
        subjects = (key_subject(hashed), identity.tenant_id) if identity.tenant_id else (key_subject(hashed),)
        return _Owner(identity, self._authentication.principal(identity), subjects), subjects

    async def _tenant(self, who: Principal, workspace_id: str) -> tuple[str, tuple[str, ...]] | None:
        try:
            with trying():  # whoever is refused is refused again by what is asked then
                async with self._access.workspace(who, workspace_id) as scope:
                    if not (scope.allows(GET_SECRET) and scope.allows(GET_SECRET_CREDENTIALS)):
                        return None
                    return scope.unit.tenant_id, (scope.unit.tenant_id,)
        except (Forbidden, NotFound):
            return None


@dataclass(frozen=True, slots=True)
class _Known(Generic[V]):
    """A value, the mark before it was looked up, and whom it is about."""

    value: V
    mark: Mark
    subjects: tuple[str, ...]


class _Memory(Generic[K, V]):
    """Values that are known; several who need the same one look it up once."""

    def __init__(self, changes: AccessChanges) -> None:
        self._changes = changes
        self._known: dict[K, _Known[V]] = {}
        self._asking: dict[K, asyncio.Task[V | None]] = {}

    def get(self, key: K) -> V | None:
        known = self.known(key)
        return None if known is None else known.value

    def known(self, key: K) -> _Known[V] | None:
        known = self._known.get(key)
        if known is None or self._changes.holds(known.mark, *known.subjects):
            return known
        del self._known[key]
        return None

    def keep(self, key: K, known: _Known[V]) -> None:
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = known

    async def learn(self, key: K, ask: Callable[[], Awaitable[tuple[V, tuple[str, ...]] | None]]) -> V | None:
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._learn(key, ask))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task)

    async def _learn(self, key: K, ask: Callable[[], Awaitable[tuple[V, tuple[str, ...]] | None]]) -> V | None:
        mark = self._changes.mark()
        found = await ask()
        if found is None:
            return None
        value, subjects = found
        if not self._changes.holds(mark, *subjects):
            return None  # it took too long, or changed meanwhile
        self.keep(key, _Known(value, mark, subjects))
        return value

    def _asked(self, key: K, done: "asyncio.Task[V | None]") -> None:
        del self._asking[key]
        if not done.cancelled():
            done.exception()  # whoever asked has it; nobody may be left
