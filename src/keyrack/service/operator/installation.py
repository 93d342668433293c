"""Sets up an installation: first tenant, its admin, first service account (issue 2.8)."""

from dataclasses import dataclass

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, StateConflict, WrongKey
from keyrack.model.identity import PrincipalKind
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.authz.operator import operator
from keyrack.service.authz.permissions import ALL, DEFAULT_ROLES, OWNER, TENANT_ADMIN
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.tenancy.tenants import first_attributes
from keyrack.store.accounts import ApiKeys, ServiceAccounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.installation import Installation
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows


class AlreadySetUp(StateConflict):
    """This installation was set up before; nothing was changed."""


@dataclass(frozen=True, slots=True)
class FirstAccounts:
    """What `bootstrap` made; the API keys are shown this once, and None where it was to make none."""

    tenant_id: str
    contract_id: str
    workspace_id: str
    team_id: str
    user_id: str
    email: str
    user_key: Secret | None
    service_account: str
    service_key: Secret | None


class InstallationSetup:
    """Sets an empty database up, and recognises one that was set up with other keys."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def bootstrap(
        self, email: str, tenant_name: str, app_domain: str, team_name: str = "main", *, with_keys: bool = True
    ) -> FirstAccounts:
        """Make the first tenant, contract, workspace, team, admin and service account, all or nothing.

        Args:
            email: of the admin.
            tenant_name: of the tenant.
            app_domain: host of the tenant's callback address.
            team_name: of the team.
            with_keys: make an API key for the admin and one for the service account, too.

        Raises:
            AlreadySetUp: nothing is changed.
        """
        async with self._store.installation(writes=True) as unit:
            if not await Directory(unit).is_empty():
                raise AlreadySetUp
            try:
                await Installation(unit).create()
            except AlreadyExists:
                raise AlreadySetUp from None
            tenant = await TenantRows(unit).add(tenant_name, app_domain, first_attributes(), DEFAULT_ROLES)
            inside = unit.of_tenant(tenant.id)
            first = await self._first_accounts(unit, inside, email, team_name, with_keys=with_keys)
            await AuditLog(inside).append(operator(), "installation.bootstrap", ("tenant", tenant.id), "allowed")
            return first

    async def _first_accounts(
        self, unit: Unit, inside: Unit, email: str, team_name: str, *, with_keys: bool
    ) -> FirstAccounts:
        user = await UserRows(inside).add(email, "Tenant", "Admin", tenant_roles=[TENANT_ADMIN])
        contract_id = await ContractRows(inside).add("Main", [], {}, None)
        await ContractMembers(inside).add(contract_id, user.id, [OWNER, "admin"])
        workspace = await WorkspaceRows(inside).add(contract_id, "Main", WorkspaceType.full, {})
        await WorkspaceMembers(inside).add(workspace.id, user.id, [OWNER])
        teams = TeamRows(inside)
        team_id = await teams.add(contract_id, team_name)
        await teams.add_member(team_id, user.id)
        account = await ServiceAccounts(unit).add("keyrack-service", ALL)
        user_key, service_key = (new_api_key(), new_api_key()) if with_keys else (None, None)
        keys = ApiKeys(unit)
        if user_key is not None and service_key is not None:
            await keys.add(PrincipalKind.user, user.id, "bootstrap", key_hash(user_key), None)
            await keys.add(PrincipalKind.service_account, account.id, "bootstrap", key_hash(service_key), None)
        return FirstAccounts(
            inside.tenant_id,
            contract_id,
            workspace.id,
            team_id,
            user.id,
            email,
            user_key,
            account.username,
            service_key,
        )

    async def verify_key(self) -> None:
        """Make sure the key-encryption key at hand is the one this database was sealed with.

        Raises:
            WrongKey: it is another.
            KeyServiceUnavailable: the service that has it does not answer, or refuses.
            StateConflict: the installation was not set up yet.
        """
        async with self._store.installation() as unit:
            if await Directory(unit).is_empty():
                raise StateConflict("this installation was not set up yet; run: keyrack bootstrap")
            if not await Installation(unit).opens():
                raise WrongKey
