"""Records of tenants, people, places and components (docs/import.md)."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from keyrack.model import Json
from keyrack.model.components import ComponentAccess
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.importers.platform.links import Link, Links
from keyrack.validation.fields import (
    AccentColor,
    ComponentName,
    DisplayName,
    Domain,
    Email,
    Id,
    PlaceName,
    ReturnOrigins,
    Revision,
    Slug,
    TenantOptions,
    Text,
    Time,
)

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits")]
PersonName = Annotated[str, Meta(max_length=255)]


class MemberRecordAttributes(Struct, frozen=True):
    """A member's roles."""

    roles: Annotated[list[Text], Meta(min_length=1)]


class MemberRecord(Struct, frozen=True):
    """A user in a contract or workspace, as the member routes list it."""

    id: Id
    attributes: MemberRecordAttributes


class MemberRecords(Struct, frozen=True):
    """Who is in it; null keeps what is stored."""

    members: list[MemberRecord] | UnsetType = UNSET


class RoleRecord(Struct, frozen=True):
    """A role of a policy."""

    scope: Literal["tenants", "contracts", "workspaces"]
    role: Text
    permissions: list[str]
    i18n: dict[str, str] = {}


class TenantRecordAttributes(TenantOptions, kw_only=True):
    """A tenant; others are kept as they are."""

    name: Text
    app_domain: Domain


class ConnectThemeRecord(Struct, frozen=True):
    """How its connect pages look; what is left out stays, or is as we made it."""

    display_name: DisplayName | UnsetType | None = UNSET
    accent_color: AccentColor | UnsetType | None = UNSET
    show_keyrack: bool | UnsetType = UNSET
    return_origins: ReturnOrigins | UnsetType = UNSET
    logo_data: str | UnsetType | None = UNSET


class TenantMeta(Struct, frozen=True):
    """When it was made, its role policy, and its connect pages."""

    created_at: Time | UnsetType = UNSET
    roles: list[RoleRecord] | UnsetType = UNSET
    connect_theme: ConnectThemeRecord | UnsetType = UNSET


class TenantRecord(Struct, frozen=True):
    """A tenant."""

    id: Id
    attributes: Json
    meta: TenantMeta = TenantMeta()


class TenantShape(Struct, frozen=True):
    """What is checked of a tenant's attributes."""

    attributes: TenantRecordAttributes


class InTenant(Struct, frozen=True):
    """The tenant; may be missing when the file has exactly one."""

    tenant: Link | UnsetType = UNSET


class ApiKeyRecord(Struct, frozen=True):
    """An API key: what is kept of it is a hash."""

    id: Id
    name: Text
    key_hash: Hash
    created_at: Time
    expires_at: Time | None = None


class UserRecordAttributes(Struct, frozen=True):
    """A person."""

    email: Email
    first_name: PersonName
    last_name: PersonName
    company: str | None = None
    registered: Time | UnsetType = UNSET
    last_login: Time | UnsetType | None = UNSET


class UserMeta(Struct, frozen=True):
    """Tenant roles, since when the account is in use, and with secrets the hashes of password and API keys."""

    tenant_roles: list[Text] | UnsetType = UNSET
    set_up_at: Time | UnsetType = UNSET
    password_hash: str | UnsetType | None = UNSET
    api_keys: list[ApiKeyRecord] | UnsetType = UNSET


class UserRecord(Struct, frozen=True):
    """A user."""

    id: Id
    attributes: UserRecordAttributes
    relationships: InTenant = InTenant()
    meta: UserMeta = UserMeta()


class RolePairRecord(Struct, frozen=True):
    """A role by scope and name."""

    scope: Literal["contracts", "workspaces"]
    role: Text


class ContractRecordAttributes(Struct, frozen=True):
    """A contract; others are kept as they are."""

    name: PlaceName
    available_roles: list[RolePairRecord] = []
    status: Literal["active", "suspended"] = "active"
    custom_data: Any = None


class ContractRecord(Struct, frozen=True):
    """A contract."""

    id: Id
    attributes: Json
    relationships: InTenant = InTenant()
    meta: MemberRecords = MemberRecords()


class ContractShape(Struct, frozen=True):
    """What is checked of a contract's attributes."""

    attributes: ContractRecordAttributes


class InContract(Struct, frozen=True):
    """The contract."""

    contract: Link


class WorkspaceRecordAttributes(Struct, frozen=True):
    """A workspace; others are kept as they are."""

    name: PlaceName
    type: WorkspaceType = WorkspaceType.full


class WorkspaceRecord(Struct, frozen=True):
    """A workspace."""

    id: Id
    attributes: Json
    relationships: InContract
    meta: MemberRecords = MemberRecords()


class WorkspaceShape(Struct, frozen=True):
    """What is checked of a workspace's attributes."""

    attributes: WorkspaceRecordAttributes


class TeamRecordAttributes(Struct, frozen=True):
    """A team."""

    name: Slug


class TeamRecordRelationships(Struct, frozen=True):
    """A team's contract and members."""

    contract: Link
    users: Links | UnsetType = UNSET


class TeamRecord(Struct, frozen=True):
    """A team."""

    id: Id
    attributes: TeamRecordAttributes
    relationships: TeamRecordRelationships


class ComponentRecordAttributes(Struct, frozen=True):
    """A component; its team may be given by name."""

    name: ComponentName
    access: ComponentAccess = ComponentAccess.team
    team_name: Slug | UnsetType = UNSET
    whitelisted_contract_ids: list[Id] | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    docker_repo_name: str | UnsetType = UNSET
    docker_target_tag: str | UnsetType = UNSET


class ComponentRecordRelationships(Struct, frozen=True):
    """A component's team."""

    team: Link | UnsetType = UNSET


class BuildAttributes(Struct, frozen=True):
    """When a build was made (milliseconds since 1970), and its number."""

    version_number: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    date: Annotated[int, Meta(ge=0, le=253_402_300_799_999)] | UnsetType = UNSET


class BuildRecord(Struct, frozen=True):
    """A build with its component.json."""

    id: Revision
    attributes: BuildAttributes
    descriptor: Json


class ComponentMeta(Struct, frozen=True):
    """Builds, and with secrets the environment variables."""

    versions: list[BuildRecord] = []
    env: dict[str, str] | UnsetType = UNSET


class ComponentRecord(Struct, frozen=True):
    """A component."""

    id: Id
    attributes: ComponentRecordAttributes
    relationships: ComponentRecordRelationships = ComponentRecordRelationships()
    meta: ComponentMeta = ComponentMeta()
