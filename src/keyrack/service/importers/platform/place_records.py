"""Records of tenants, people, places and components (docs/import.md)."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from keyrack.model import Json
from keyrack.model.components import Access
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.importers.platform.links import Link, Links, Time
from keyrack.validation.fields import ComponentName, Domain, Email, Id, PlaceName, Revision, Slug, TenantOptions, Text

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits")]
PersonName = Annotated[str, Meta(max_length=255)]


class MemberAttributes(Struct, frozen=True):
    """A member's roles."""

    roles: Annotated[list[Text], Meta(min_length=1)]


class Member(Struct, frozen=True):
    """A user in a contract or workspace, as the member routes list it."""

    id: Id
    attributes: MemberAttributes


class Members(Struct, frozen=True):
    """Who is in it; null keeps what is stored."""

    members: list[Member] | UnsetType = UNSET


class RoleEntry(Struct, frozen=True):
    """A role of a policy."""

    scope: Literal["tenants", "contracts", "workspaces"]
    role: Text
    permissions: list[str]
    i18n: dict[str, str] = {}


class TenantAttributes(TenantOptions, kw_only=True):
    """A tenant; others are kept as they are."""

    name: Text
    app_domain: Domain


class TenantMeta(Struct, frozen=True):
    """When it was made, and its role policy."""

    created_at: Time | UnsetType = UNSET
    roles: list[RoleEntry] | UnsetType = UNSET


class TenantRecord(Struct, frozen=True):
    """A tenant."""

    id: Id
    attributes: Json
    meta: TenantMeta = TenantMeta()


class TenantShape(Struct, frozen=True):
    """What is checked of a tenant's attributes."""

    attributes: TenantAttributes


class InTenant(Struct, frozen=True):
    """The tenant; may be missing when the file has exactly one."""

    tenant: Link | UnsetType = UNSET


class ApiKey(Struct, frozen=True):
    """An API key: what is kept of it is a hash."""

    id: Id
    name: Text
    key_hash: Hash
    created_at: Time
    expires_at: Time | None = None


class UserAttributes(Struct, frozen=True):
    """A person."""

    email: Email
    first_name: PersonName
    last_name: PersonName
    company: str | None = None
    registered: Time | UnsetType = UNSET
    last_login: Time | UnsetType | None = UNSET


class UserMeta(Struct, frozen=True):
    """Tenant roles, and with secrets the hashes of password and API keys."""

    tenant_roles: list[Text] | UnsetType = UNSET
    password_hash: str | UnsetType | None = UNSET
    api_keys: list[ApiKey] | UnsetType = UNSET


class UserRecord(Struct, frozen=True):
    """A user."""

    id: Id
    attributes: UserAttributes
    relationships: InTenant = InTenant()
    meta: UserMeta = UserMeta()


class RolePair(Struct, frozen=True):
    """A role by scope and name."""

    scope: Literal["contracts", "workspaces"]
    role: Text


class ContractAttributes(Struct, frozen=True):
    """A contract; others are kept as they are."""

    name: PlaceName
    available_roles: list[RolePair] = []
    status: Literal["active", "suspended"] = "active"
    custom_data: Any = None


class ContractRecord(Struct, frozen=True):
    """A contract."""

    id: Id
    attributes: Json
    relationships: InTenant = InTenant()
    meta: Members = Members()


class ContractShape(Struct, frozen=True):
    """What is checked of a contract's attributes."""

    attributes: ContractAttributes


class InContract(Struct, frozen=True):
    """The contract."""

    contract: Link


class WorkspaceAttributes(Struct, frozen=True):
    """A workspace; others are kept as they are."""

    name: PlaceName
    type: WorkspaceType = WorkspaceType.full


class WorkspaceRecord(Struct, frozen=True):
    """A workspace."""

    id: Id
    attributes: Json
    relationships: InContract
    meta: Members = Members()


class WorkspaceShape(Struct, frozen=True):
    """What is checked of a workspace's attributes."""

    attributes: WorkspaceAttributes


class TeamAttributes(Struct, frozen=True):
    """A team."""

    name: Slug


class TeamRelationships(Struct, frozen=True):
    """A team's contract and members."""

    contract: Link
    users: Links | UnsetType = UNSET


class TeamRecord(Struct, frozen=True):
    """A team."""

    id: Id
    attributes: TeamAttributes
    relationships: TeamRelationships


class ComponentAttributes(Struct, frozen=True):
    """A component; its team may be given by name."""

    name: ComponentName
    access: Access = Access.team
    team_name: Slug | UnsetType = UNSET
    whitelisted_contract_ids: list[Id] | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    docker_repo_name: str | UnsetType = UNSET
    docker_target_tag: str | UnsetType = UNSET


class ComponentRelationships(Struct, frozen=True):
    """A component's team."""

    team: Link | UnsetType = UNSET


class BuildAttributes(Struct, frozen=True):
    """When a build was made (milliseconds since 1970), and its number."""

    version_number: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    date: Annotated[int, Meta(ge=0, le=253_402_300_799_999)] | UnsetType = UNSET


class Build(Struct, frozen=True):
    """A build with its component.json."""

    id: Revision
    attributes: BuildAttributes
    descriptor: Json


class ComponentMeta(Struct, frozen=True):
    """Builds, and with secrets the environment variables."""

    versions: list[Build] = []
    env: dict[str, str] | UnsetType = UNSET


class ComponentRecord(Struct, frozen=True):
    """A component."""

    id: Id
    attributes: ComponentAttributes
    relationships: ComponentRelationships = ComponentRelationships()
    meta: ComponentMeta = ComponentMeta()
