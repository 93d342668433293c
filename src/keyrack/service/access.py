"""Authorise and audit inside the operation: every use case enters through here.

`Access` opens a unit of work at a tenant, contract or workspace, finds out what the caller may do there, and writes
the audit event in the same transaction. The rules are those of contract sections 3 (403 and 404), 5 and 6.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from keyrack.errors import Forbidden, KeyrackError, NotFound
from keyrack.model import Principal, PrincipalKind
from keyrack.service.permissions import TENANT_ADMIN
from keyrack.service.task_users import PERMISSIONS, Door, is_task_user
from keyrack.store.audit import AuditLog
from keyrack.store.directory import Directory, Location
from keyrack.store.standing import Standing
from keyrack.store.store import Store
from keyrack.store.unit import Unit

ALLOWED, DENIED, FAILED = "allowed", "denied", "failed"
_NOT_FOR_STEPS = "a running step may not do this"


@dataclass(slots=True)
class Scope:
    """A unit of work at a place, with what the caller may do there.

    Attributes:
        unit: the transaction, bound to the place's tenant.
        who: the caller.
        place: where we are.
        permissions: what holds here: of roles held at this place and above.
        is_tenant_admin: the caller holds the role `tenant-admin` (contract section 2).
        in_contract: the caller is a member of the contract (or a service account that reaches contracts).
        in_workspace: the caller is a member of the workspace (or a service account that reaches workspaces).
    """

    unit: Unit
    who: Principal
    place: Location
    permissions: frozenset[str]
    is_tenant_admin: bool = False
    in_contract: bool = False
    in_workspace: bool = False
    targets: list[tuple[str, str | None]] = field(default_factory=list)

    def allows(self, *permissions: str) -> bool:
        """Tell whether the caller holds one of the permissions here."""
        return not self.permissions.isdisjoint(permissions)

    def require(self, *permissions: str) -> None:
        """Insist on one of the permissions.

        Raises:
            Forbidden: the caller holds none of them here.
        """
        if not self.allows(*permissions):
            raise Forbidden(f"this needs the permission {' or '.join(permissions)}")

    def require_that(self, condition: bool, reason: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Insist on a standing that is not a permission, such as membership.

        Raises:
            Forbidden: the condition does not hold.
        """
        if not condition:
            raise Forbidden(reason)

    def touched(self, target_type: str, target_id: str | None) -> None:
        """Name what the operation acts on, for the audit log."""
        self.targets.append((target_type, target_id))


class Access:
    """The way into every operation.

    A task user gets in only where the operation names its `door`, or asks for a permission that task users hold
    (`keyrack.service.task_users`); the checks an operation makes for others then hold for it too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def installation(
        self, who: Principal, action: str | None = None, door: Door | None = None
    ) -> AsyncIterator[Scope]:
        """Enter the installation itself, above all tenants; only service accounts hold permissions here.

        Raises:
            Forbidden: the caller is a task user, and the operation is not open to those.
        """
        async with self._audited(who, action), self._store.installation(writes=action is not None) as unit:
            if is_task_user(who) and door is None:
                raise Forbidden(_NOT_FOR_STEPS)
            scope = Scope(unit, who, Location(unit.tenant_id), who.permissions)
            yield scope
            await _record(scope, action)

    @asynccontextmanager
    async def tenant(self, who: Principal, tenant_id: str, action: str | None = None) -> AsyncIterator[Scope]:
        """Enter a tenant named in the path.

        Args:
            who: the caller.
            tenant_id: the tenant.
            action: what is going to be done, as the audit log calls it; None for reading, which is not audited.

        Raises:
            NotFound: there is no such tenant.
            Forbidden: it is not the caller's tenant.
        """
        async with self._enter(who, await self.locate("tenant", tenant_id), action) as scope:
            _require_open(scope)
            yield scope

    @asynccontextmanager
    async def contract(
        self, who: Principal, contract_id: str, action: str | None = None, door: Door | None = None
    ) -> AsyncIterator[Scope]:
        """Enter a contract named in the path or query; as `tenant`."""
        async with self._enter(who, await self.locate("contract", contract_id), action, door) as scope:
            _require_open(scope)
            yield scope

    @asynccontextmanager
    async def workspace(
        self, who: Principal, workspace_id: str, action: str | None = None, door: Door | None = None
    ) -> AsyncIterator[Scope]:
        """Enter a workspace named in the path or query; as `tenant`."""
        async with self._enter(who, await self.locate("workspace", workspace_id), action, door) as scope:
            _require_open(scope)
            yield scope

    @asynccontextmanager
    async def leaf(
        self,
        who: Principal,
        kind: str,
        leaf_id: str,
        action: str | None = None,
        door: Door | None = None,
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
        async with self._store.installation() as unit:
            place = await Directory(unit).in_workspace(kind, leaf_id)
        if place is None or (who.tenant_id is not None and who.tenant_id != place.tenant_id):
            raise NotFound
        if is_task_user(who) and who.workspace_id != place.workspace_id:
            raise NotFound
        async with self._enter(who, place, action, door) as scope:
            if is_task_user(who) and door is None:
                raise Forbidden(_NOT_FOR_STEPS)
            if not scope.in_workspace and key not in who.permissions:
                raise NotFound
            yield scope

    @asynccontextmanager
    async def at(
        self, who: Principal, place: Location, action: str | None = None, door: Door | None = None
    ) -> AsyncIterator[Scope]:
        """Enter a place that has been located already; a task user comes as a stranger unless there is a door.

        Raises:
            Forbidden: it is in another tenant than the caller's.
        """
        async with self._enter(who, place, action, door) as scope:
            yield scope

    async def locate(self, kind: str, resource_id: str) -> Location:
        """Find where a tenant, contract, workspace, team, component or user is.

        Raises:
            NotFound: there is none.
        """
        async with self._store.installation() as unit:
            found: Location | None = await getattr(Directory(unit), kind)(resource_id)
        if found is None:
            raise NotFound(f"there is no such {kind}")
        return found

    @asynccontextmanager
    async def _enter(
        self, who: Principal, place: Location, action: str | None, door: Door | None = None
    ) -> AsyncIterator[Scope]:
        async with self._audited(who, action, place.tenant_id):
            if who.tenant_id is not None and who.tenant_id != place.tenant_id:
                raise Forbidden
            async with self._store.unit(place.tenant_id, writes=action is not None) as unit:
                scope = await _scope(unit, who, place, door)
                yield scope
                await _record(scope, action)

    @asynccontextmanager
    async def _audited(self, who: Principal, action: str | None, tenant_id: str = "") -> AsyncIterator[None]:
        """Write down a refused attempt, after its transaction is gone, in the log of the caller's tenant."""
        try:
            yield
        except Forbidden:
            if action is not None:
                async with self._store.unit(who.tenant_id or tenant_id, writes=True) as unit:
                    await AuditLog(unit).append(who, action, ("tenant", tenant_id or None), DENIED)
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


async def _record(scope: Scope, action: str | None) -> None:
    if action is None:
        return
    if not scope.targets:
        raise KeyrackError(f"{action} did not say what it acted on")
    for target in scope.targets:
        await AuditLog(scope.unit).append(scope.who, action, target, ALLOWED)


async def _scope(unit: Unit, who: Principal, place: Location, door: Door | None) -> Scope:
    if is_task_user(who):
        return _task_scope(unit, who, place, door)
    if who.kind in (PrincipalKind.service_account, PrincipalKind.system):
        return _service_scope(unit, who, place)
    standing = Standing(unit)
    roles = await standing.roles_of(who.id, place)
    if roles is None:
        raise Forbidden
    policy = await standing.policy()
    held = {
        "tenants": roles.tenant,
        "contracts": roles.contract or (),
        "workspaces": roles.workspace or (),
    }
    permissions = frozenset(
        permission
        for scope, names in held.items()
        for name in names
        for permission in policy.get((scope, name), ())
        # contract roles give nothing inside workspaces (contract 6.3)
        if not (scope == "contracts" and permission.startswith("workspaces."))
    )
    return Scope(
        unit,
        who,
        place,
        permissions,
        is_tenant_admin=TENANT_ADMIN in roles.tenant,
        in_contract=roles.contract is not None,
        in_workspace=roles.workspace is not None,
    )


def _task_scope(unit: Unit, who: Principal, place: Location, door: Door | None) -> Scope:
    """A task user reaches its workspace, and the contract around it, as far as the operation is open to it."""
    mine = place.workspace_id is not None and place.workspace_id == who.workspace_id
    around = place.workspace_id is None and place.contract_id is not None and place.contract_id == who.contract_id
    inside = door.permissions if door is not None else frozenset()
    return Scope(
        unit,
        who,
        place,
        PERMISSIONS | inside if mine else frozenset(),
        in_contract=around and door is not None,
        in_workspace=mine and door is not None,
    )


def _require_open(scope: Scope) -> None:
    """Refuse a task user that holds nothing at a place named in the path or query.

    Raises:
        Forbidden: it is not the task user's own, or the operation is not open to task users.
    """
    if is_task_user(scope.who) and not (scope.permissions or scope.in_contract or scope.in_workspace):
        raise Forbidden(_NOT_FOR_STEPS)


def _service_scope(unit: Unit, who: Principal, place: Location) -> Scope:
    """A service account reaches a level if it holds any permission of that level (contract section 2)."""
    families = {name.partition(".")[0] for name in who.permissions}
    return Scope(
        unit,
        who,
        place,
        who.permissions,
        in_contract="contracts" in families or "global.contract.contract.list_all" in who.permissions,
        in_workspace="workspaces" in families or "global.workspace.get_all" in who.permissions,
    )
