"""Authorises and audits inside the operation: every use case enters through here.

`Access` opens a unit of work at a tenant, contract or workspace, finds out what the caller may do there
(`scope`), whether the contract is suspended (`suspension`), and writes the audit event in the same transaction. The
rules are those of contract sections 3 (403 and 404), 5, 6 and 9.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from keyrack.errors import Forbidden, KeyrackError, NotFound
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz import suspension
from keyrack.service.authz.access_counts import ALLOWED, DENIED, FAILED, AccessCounts, ActCounter
from keyrack.service.authz.quotas import Quotas
from keyrack.service.authz.scope import Scope, scope_of
from keyrack.service.authz.task_users import TaskUserAccess, is_task_user
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory, Location
from keyrack.store.standings import find_with_standing
from keyrack.store.tenants import TenantRows

__all__ = ["ALLOWED", "DENIED", "FAILED", "Access", "Scope", "home"]

_NOT_FOR_STEPS = "a running step may not do this"


class Access:
    """The way into every operation.

    A task user gets in only where the operation names its `door`, or asks for a permission that task users hold
    (`keyrack.service.authz.task_users`); the checks an operation makes for others then hold for it too.

    Args:
        store: all data.
        quotas: what a tenant may store; None: whatever it likes.
        counter: counts reads of values, and refused attempts to read; None: they are not counted.

    Attributes:
        counts: what use cases count by it.
    """

    def __init__(self, store: Store, quotas: Quotas | None = None, counter: ActCounter | None = None) -> None:
        self._store = store
        self.counts = AccessCounts(counter)
        self._quotas = quotas

    @asynccontextmanager
    async def installation(
        self, who: Principal, action: str | None = None, door: TaskUserAccess | None = None
    ) -> AsyncIterator[Scope]:
        """Enter the installation itself, above all tenants; only service accounts hold permissions here.

        Raises:
            Forbidden: the caller is a task user, and the operation is not open to those.
        """
        async with self._audited(who, action), self._store.installation(writes=action is not None) as unit:
            if is_task_user(who) and door is None:
                raise Forbidden(_NOT_FOR_STEPS)
            scope = Scope(unit, who, Location(unit.tenant_id), who.permissions, writes=action is not None)
            yield scope
            await _record(scope, action)

    @asynccontextmanager
    async def tenant(
        self, who: Principal, tenant_id: str, action: str | None = None, *, exclusive: bool = False
    ) -> AsyncIterator[Scope]:
        """Enter a tenant named in the path.

        Args:
            who: the caller.
            tenant_id: the tenant.
            action: what is going to be done, as the audit log calls it; None for reading, which is not audited.
            exclusive: the operation is about the tenant itself or its roles: nothing else is written in it meanwhile.

        Raises:
            NotFound: there is no such tenant.
            Forbidden: it is not the caller's tenant.
        """
        async with self._named(who, "tenant", tenant_id, action, exclusive=exclusive) as scope:
            _require_open(scope)
            yield scope

    def at_home(self, who: Principal, action: str | None = None) -> AbstractAsyncContextManager[Scope]:
        """Enter the caller's own tenant, or the installation if it is a service account, which has none."""
        return self.installation(who, action) if who.tenant_id is None else self.tenant(who, who.tenant_id, action)

    @asynccontextmanager
    async def contract(
        self,
        who: Principal,
        contract_id: str,
        action: str | None = None,
        door: TaskUserAccess | None = None,
        *,
        exclusive: bool = False,
    ) -> AsyncIterator[Scope]:
        """Enter a contract named in the path or query; as `tenant`.

        Args:
            who: the caller.
            contract_id: the contract.
            action: as in `tenant`.
            door: given if the operation is open to task users.
            exclusive: the operation is about the contract itself: nothing else is written in it meanwhile.
        """
        async with self._named(who, "contract", contract_id, action, door, exclusive=exclusive) as scope:
            _require_open(scope)
            yield scope

    @asynccontextmanager
    async def workspace(
        self,
        who: Principal,
        workspace_id: str,
        action: str | None = None,
        door: TaskUserAccess | None = None,
        *,
        exclusive: bool = False,
    ) -> AsyncIterator[Scope]:
        """Enter a workspace named in the path or query; as `contract`."""
        async with self._named(who, "workspace", workspace_id, action, door, exclusive=exclusive) as scope:
            _require_open(scope)
            yield scope

    @asynccontextmanager
    async def by_resource(
        self,
        who: Principal,
        kind: str,
        leaf_id: str,
        action: str | None = None,
        door: TaskUserAccess | None = None,
        key: str | None = None,
    ) -> AsyncIterator[Scope]:
        """Enter the workspace of a `flow` or `credential` addressed without a parent (contract section 3).

        Args:
            who: the caller.
            kind: `flow` or `credential`.
            leaf_id: its id.
            action: as in `tenant`.
            door: given if the operation is open to task users.
            key: a permission with which a service account gets in that reaches no workspaces otherwise.

        Raises:
            NotFound: it does not exist, or the caller is no member of its workspace.
            Forbidden: the caller is a task user of its workspace, and the operation is not open to those.
        """

        def reached(place: Location | None) -> Location:
            if place is None or (who.tenant_id is not None and who.tenant_id != place.tenant_id):
                raise NotFound
            if is_task_user(who) and who.workspace_id != place.workspace_id:
                raise NotFound
            return place

        async with self._found(who, kind, leaf_id, reached, action, door) as scope:
            if is_task_user(who) and door is None:
                raise Forbidden(_NOT_FOR_STEPS)
            if not scope.in_workspace and key not in who.permissions:
                self.counts.denied(who, scope.place.tenant_id, (kind, leaf_id), action)
                raise NotFound
            yield scope

    @asynccontextmanager
    async def at(
        self,
        who: Principal,
        place: Location,
        action: str | None = None,
        door: TaskUserAccess | None = None,
        *,
        precheck: str | None = None,
    ) -> AsyncIterator[Scope]:
        """Enter a place that has been located already; a task user comes as a stranger unless there is a door.

        Args:
            who: the caller.
            place: where to enter.
            action: as in `tenant`.
            door: given if the operation is open to task users.
            precheck: of a reading operation: the action it prepares, so that what would be refused then is refused now.

        Raises:
            Forbidden: it is in another tenant than the caller's.
        """
        async with self._enter(who, place, action, door, precheck=precheck) as scope:
            yield scope

    def reading(
        self, who: Principal, kind: str, resource_id: str, reached: Callable[[Location | None], Location]
    ) -> AbstractAsyncContextManager[Scope]:
        """Enter, to read, the scope of an `auth_client`, which is a place or the installation.

        Args:
            who: the caller; a task user comes as a stranger.
            kind: `auth_client`.
            resource_id: its id.
            reached: takes where it is, and raises if the caller may not know of it.
        """
        return self._found(who, kind, resource_id, reached, None)

    def reading_on(self, tenant_id: str) -> AbstractAsyncContextManager[Unit]:
        """Open a unit for what a list has left out of what its caller was shown (`store.core.large_columns`)."""
        return self._store.unit(tenant_id)

    def reading_across_tenants(self) -> AbstractAsyncContextManager[Unit]:
        """Open a unit as `reading_on`, for a list of tenants themselves."""
        return self._store.installation()

    async def locate(self, kind: str, resource_id: str) -> Location:
        """Find where a tenant, contract, workspace, team, component, user or auth client is.

        Raises:
            NotFound: there is none.
        """
        async with self._store.installation() as unit:
            return await _located(Directory(unit), kind, resource_id)

    async def locate_for(self, who: Principal, kind: str, resource_id: str) -> Location:
        """Find where something is that has no parent in the path: what is another tenant's is not there (section 3).

        Raises:
            NotFound: there is none in the caller's tenant, or, for a service account, in any.
        """
        found = await self.locate(kind, resource_id)
        if who.tenant_id not in (None, found.tenant_id):
            self.counts.denied(who, found.tenant_id, (kind, resource_id))
            raise NotFound(f"there is no such {kind}")
        return found

    async def find(self, kind: str, resource_id: str) -> Location | None:
        """Find where something is, as `locate`, in whichever tenant; None: there is none."""
        async with self._store.installation() as unit:
            found: Location | None = await getattr(Directory(unit), kind)(resource_id)
        return found

    def _named(
        self,
        who: Principal,
        kind: str,
        place_id: str,
        action: str | None,
        door: TaskUserAccess | None = None,
        *,
        exclusive: bool = False,
    ) -> AbstractAsyncContextManager[Scope]:
        """Enter a place that a path or query names."""

        def reached(place: Location | None) -> Location:
            if place is None:
                raise _unknown(kind)
            return place

        return self._found(who, kind, place_id, reached, action, door, exclusive=exclusive)

    @asynccontextmanager
    async def _found(
        self,
        who: Principal,
        kind: str,
        place_id: str,
        reached: Callable[[Location | None], Location],
        action: str | None,
        door: TaskUserAccess | None = None,
        *,
        exclusive: bool = False,
    ) -> AsyncIterator[Scope]:
        """Find a place and enter it: a reading operation in one unit of work, with a user's roles in one statement.

        A writing one begins its transaction at the place, with a lock on the place's tenant: whoever names what is not
        there, or another's, holds up nobody.
        """

        def seen(place: Location | None) -> Location:
            try:
                return reached(place)
            except NotFound:
                if place is not None:  # it is there, and nothing that the caller may know of
                    self.counts.denied(who, place.tenant_id, (kind, place_id), action)
                raise

        async with self._store.installation() as unit:
            standing = None
            if action is None and who.kind is PrincipalKind.user:
                found = await find_with_standing(unit, kind, place_id, who.id)
                place, standing = (seen(None), None) if found is None else (seen(found[0]), found[1])
            else:
                place = seen(await Directory(unit).place(kind, place_id))
            if action is None:
                try:
                    if place.tenant_id == INSTALLATION:
                        yield Scope(unit, who, place, who.permissions)
                        return
                    _require_own_tenant(who, place)
                    yield await scope_of(unit.of_tenant(place.tenant_id), who, place, door, standing)
                except Forbidden as refusal:
                    self.counts.denied(who, place.tenant_id, (kind, place_id), refusal=refusal)
                    raise
                return
        async with self._enter(who, place, action, door, exclusive=exclusive) as scope:
            yield scope

    @asynccontextmanager
    async def _enter(
        self,
        who: Principal,
        place: Location,
        action: str | None,
        door: TaskUserAccess | None = None,
        *,
        exclusive: bool = False,
        precheck: str | None = None,
    ) -> AsyncIterator[Scope]:
        async with self._audited(who, action, place):
            _require_own_tenant(who, place)
            async with self._store.unit(place.tenant_id, writes=action is not None) as unit:
                if action is not None:
                    await _hold_tenant(unit, place, exclusive=exclusive)
                closed = await suspension.is_closed(unit, place, action, precheck, exclusive=exclusive)
                scope = await scope_of(unit, who, place, door)
                scope.closed, scope.writes = closed, action is not None
                yield scope
                scope.require_open()  # whatever was or was not asked on the way: nothing is written there
                if action is not None and self._quotas is not None:
                    await self._quotas.require_room(unit, action)
                await _record(scope, action)

    @asynccontextmanager
    async def _audited(self, who: Principal, action: str | None, place: Location | None = None) -> AsyncIterator[None]:
        """Write down a refused attempt, after its transaction is gone, in the log of the caller's tenant."""
        tenant_id = "" if place is None else place.tenant_id
        try:
            yield
        except Forbidden as refusal:
            if action is None:
                self.counts.denied(who, tenant_id, _named(place or Location("")), refusal=refusal)
            else:
                target = ("tenant", tenant_id or None)
                if place is not None and who.tenant_id not in (None, tenant_id):
                    target = _named(place)
                async with self._store.unit(who.tenant_id or tenant_id, writes=True) as unit:
                    await AuditLog(unit).append(who, action, target, DENIED)
            raise

    async def record(self, who: Principal, place: Location, action: str, target: tuple[str, str | None]) -> None:
        """Write an event of a failed operation, whose own transaction is gone."""
        async with self._store.unit(place.tenant_id, writes=True) as unit:
            await AuditLog(unit).append(who, action, target, FAILED)


def home(who: Principal) -> str:
    """Return the caller's tenant.

    Raises:
        Forbidden: it is a service account, which has none.
    """
    if who.tenant_id is None:
        raise Forbidden("a service account has no tenant of its own")
    return who.tenant_id


async def _located(directory: Directory, kind: str, resource_id: str) -> Location:
    found: Location | None = await getattr(directory, kind)(resource_id)
    if found is None:
        raise _unknown(kind)
    return found


def _unknown(kind: str) -> NotFound:
    return NotFound(f"there is no such {kind}")


def _require_own_tenant(who: Principal, place: Location) -> None:
    if who.tenant_id is not None and who.tenant_id != place.tenant_id:
        raise Forbidden


async def _hold_tenant(unit: Unit, place: Location, *, exclusive: bool) -> None:
    """Keep a place's tenant and its roles as they are until the transaction ends; before all else, as everybody does.

    Raises:
        NotFound: the tenant is gone since it was located.
    """
    of_tenant = place.contract_id is None
    if place.tenant_id and not await TenantRows(unit).hold(exclusive=exclusive and of_tenant):
        raise NotFound("there is no such tenant")


def _named(place: Location) -> tuple[str, str | None]:
    """Return what a caller named to get to a place: the log of its tenant does not say whose another's place is."""
    if place.workspace_id is not None:
        return "workspace", place.workspace_id
    return ("tenant", place.tenant_id) if place.contract_id is None else ("contract", place.contract_id)


async def _record(scope: Scope, action: str | None) -> None:
    if action is None:
        return
    if not scope.targets:
        raise KeyrackError(f"{action} did not say what it acted on")
    for target in scope.targets:
        await AuditLog(scope.unit).append(scope.who, action, target, ALLOWED)


def _require_open(scope: Scope) -> None:
    """Refuse a task user that holds nothing at a place named in the path or query.

    Raises:
        Forbidden: it is not the task user's own, or the operation is not open to task users.
    """
    if is_task_user(scope.who) and not (scope.permissions or scope.in_contract or scope.in_workspace):
        raise Forbidden(_NOT_FOR_STEPS)
