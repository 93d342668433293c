"""Knows what a file says and what is stored, as values without secrets, for the checks of an import."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from keyrack.errors import Problem
from keyrack.model.clients import AuthClient
from keyrack.model.components import Component, Version
from keyrack.model.tenancy import Contract, Role, Team, Tenant, Workspace
from keyrack.service.clients.auth_client_profile import PROFILE
from keyrack.service.importers.platform.reading import Report
from keyrack.service.importers.platform.told_ids import ToldIds
from keyrack.service.importers.platform.visibility import FileViewpoint
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.bulk import Bulk
from keyrack.store.core.unit import Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.directory import Directory
from keyrack.store.import_batches import PLATFORM, ImportBatches
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import RolePolicy, TenantRows
from keyrack.store.workspaces import WorkspaceRows

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TenantSeen:
    """A tenant and its roles, as (scope, role)."""

    tenant: Tenant
    policy: tuple[Role, ...]

    def has(self, scope: str, role: str) -> bool:
        """Tell whether the tenant has a role."""
        return any((each.scope, each.role) == (scope, role) for each in self.policy)


@dataclass(slots=True)
class Known:
    """Looks things up by id; what the file says of a record counts before what is stored.

    Attributes:
        unit: the transaction of the import, of the installation.
        bulk: the same transaction.
        report: what is wrong with the file.
        told_ids: ids of all records of the file, and what it says of credentials and secrets.
        told: what the file says, by section and id.
        broken: ids of records of the file that are wrong, by section.
        tenants: ids of the tenants of the file.
        taken: pointers of the file's records by what must be unique.
    """

    unit: Unit
    bulk: Bulk
    report: Report
    told_ids: ToldIds
    told: dict[tuple[str, str], Any] = field(default_factory=dict)
    broken: dict[str, set[str]] = field(default_factory=dict)
    taken: dict[tuple[str, ...], str] = field(default_factory=dict)
    _memo: dict[tuple[str, str], Any] = field(default_factory=dict)
    tenants: tuple[str, ...] = ()

    @property
    def only_tenant(self) -> str | None:
        """The tenant of records that name none: the file's, if it has exactly one."""
        return self.tenants[0] if len(self.tenants) == 1 else None

    def unknown(self, section: str, resource_id: str, detail: str, pointer: str) -> None:
        """Report that something named is not there, unless it is in the file and itself at fault."""
        if resource_id not in self.broken.get(section, ()):
            self.report.problem(detail, pointer)

    def unique(self, pointer: str, detail: str, *what: str) -> bool:
        """Report a second record of the file that claims what can belong to one only; tell whether it is the first."""
        first = self.taken.setdefault(what, pointer)
        if first != pointer:
            self.report.problems.append(Problem(f"{detail} (see {first})", pointer))
        return first == pointer

    async def tenant(self, tenant_id: str) -> TenantSeen | None:
        """Find a tenant with its roles."""

        async def stored() -> TenantSeen | None:
            found = await TenantRows(self.unit).find(tenant_id)
            if found is None:
                return None
            return TenantSeen(found, tuple(await RolePolicy(self.unit.of_tenant(tenant_id)).list()))

        return await self._of("tenants", tenant_id, stored)

    async def user_tenant(self, user_id: str) -> str | None:
        """Find a user's tenant."""

        async def stored() -> str | None:
            place = await Directory(self.unit).user(user_id)
            return None if place is None else place.tenant_id

        return await self._of("users", user_id, stored)

    async def contract(self, contract_id: str) -> Contract | None:
        """Find a contract."""

        async def stored() -> Contract | None:
            place = await Directory(self.unit).contract(contract_id)
            return None if place is None else await ContractRows(self.unit.of_tenant(place.tenant_id)).find(contract_id)

        return await self._of("contracts", contract_id, stored)

    async def is_member(self, contract: Contract, user_id: str) -> bool:
        """Tell whether a user is a member of a contract."""
        members: frozenset[str] | None = self.told.get(("contract_members", contract.id))
        if members is not None:
            return user_id in members
        return await ContractMembers(self.unit.of_tenant(contract.tenant_id)).roles(contract.id, user_id) is not None

    async def workspace(self, workspace_id: str) -> Workspace | None:
        """Find a workspace."""

        async def stored() -> Workspace | None:
            place = await Directory(self.unit).workspace(workspace_id)
            return (
                None if place is None else await WorkspaceRows(self.unit.of_tenant(place.tenant_id)).find(workspace_id)
            )

        return await self._of("workspaces", workspace_id, stored)

    async def team(self, team_id: str) -> Team | None:
        """Find a team."""

        async def stored() -> Team | None:
            place = await Directory(self.unit).team(team_id)
            return None if place is None else await TeamRows(self.unit.of_tenant(place.tenant_id)).find(team_id)

        return await self._of("teams", team_id, stored)

    async def team_named(self, name: str) -> Team | None:
        """Find a team by its name, which is unique in the installation."""
        told: str | None = self.told.get(("team_names", name))
        if told is not None:
            return await self.team(told)
        rows = await self.bulk.rows(TeamRows.table.c.name, [name])
        return await self.team(rows[0].id) if rows else None

    async def component(self, component_id: str) -> Component | None:
        """Find a component with its latest build."""

        async def stored() -> Component | None:
            place = await Directory(self.unit).component(component_id)
            return (
                None if place is None else await ComponentRows(self.unit.of_tenant(place.tenant_id)).find(component_id)
            )

        return await self._of("components", component_id, stored)

    async def component_named(self, tenant_id: str, team: str, name: str) -> Component | None:
        """Find the component `team/name` if a tenant sees it."""
        told: str | None = self.told.get(("component_names", f"{team}/{name}"))
        if told is not None:
            return await self.component(told)
        found = await ComponentRows(self.unit.of_tenant(tenant_id)).find_by_name(team, name)
        return None if found is None else await self.component(found.id)

    async def build(self, component: Component, revision: str) -> Version | None:
        """Find a build of a component."""
        told: Version | None = self.told.get(("builds", f"{component.id}/{revision}"))
        return told or await ComponentVersions(self.unit.of_tenant(component.tenant_id)).find(component.id, revision)

    async def viewpoint(self, contract: Contract) -> FileViewpoint | None:
        """Return a contract's point of view."""
        seen = await self.tenant(contract.tenant_id)
        if seen is None:
            return None

        async def stored() -> frozenset[str]:
            rows = await self.bulk.rows(OAuthClientRows.table.c.tenant_id, [contract.tenant_id])
            return frozenset(row.component_id for row in rows)

        clients = await self._of("clients_stored", contract.tenant_id, stored)
        told = self.told.get(("clients_told", contract.tenant_id), ())
        return FileViewpoint(seen.tenant, contract.id, frozenset(clients or ()) | frozenset(told))

    async def auth_client(self, auth_client_id: str) -> AuthClient | None:
        """Find an auth client; of its credentials only what tells of tokens is kept."""

        async def stored() -> AuthClient | None:
            place = await Directory(self.unit).auth_client(auth_client_id)
            if place is None:
                return None
            found = await AuthClientRows(self.unit.of_tenant(place.tenant_id)).find(auth_client_id)
            return None if found is None else without_keys(found)

        return await self._of("auth_clients", auth_client_id, stored)

    async def credential(self, credential_id: str) -> tuple[str, str] | None:
        """Find a credential's workspace and component."""
        told = self.told_ids.said("credentials", credential_id)
        if told is not None:
            return told

        async def stored() -> tuple[str, str] | None:
            place = await Directory(self.unit).place("credential", credential_id)
            found = place and await CredentialRows(self.unit.of_tenant(place.tenant_id)).find(credential_id)
            return (found.workspace_id, found.component_id) if found else None

        return await self._of("credentials", credential_id, stored)

    async def secret(self, secret_id: str) -> tuple[str, str] | None:
        """Find a secret's workspace and auth client."""
        told = self.told_ids.said("auth_secrets", secret_id)
        if told is not None:
            return told

        async def stored() -> tuple[str, str] | None:
            place = await Directory(self.unit).place("auth_secret", secret_id)
            found = place and await AuthSecrets(self.unit.of_tenant(place.tenant_id)).find(secret_id)
            return (found.workspace_id, found.auth_client_id) if found else None

        return await self._of("auth_secrets", secret_id, stored)

    async def cutover_batch(self, tenant_id: str) -> str:
        """Return the import of a tenant's secrets that await their cutover in the file, too (decision 52)."""

        async def made() -> str:
            return (await ImportBatches(self.unit.of_tenant(tenant_id)).obtain(PLATFORM, "default")).id

        return await self._of("cutover_batches", tenant_id, made) or ""

    async def _of(self, section: str, key: str, stored: Callable[[], Awaitable[T | None]]) -> T | None:
        told: T | None = self.told.get((section, key))
        if told is not None:
            return told
        if (section, key) not in self._memo:
            self._memo[section, key] = await stored()
        found: T | None = self._memo[section, key]
        return found


def without_keys(client: AuthClient) -> AuthClient:
    """Return an auth client without its secret values: with what says how long its tokens live, and to what bound."""
    kept = {name: value for name, value in client.credentials.items() if name in {"token_expires_in", PROFILE}}
    return replace(client, credentials=kept)
