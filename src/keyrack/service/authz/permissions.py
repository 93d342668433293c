"""Permission names and default roles, as data (contract section 6). The one place where they are spelled."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from keyrack.model.tenancy import Role
from keyrack.validation.known_names import close_to


def _family(prefix: str, actions: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{action}" for action in actions.split())


_OAUTH_CLIENTS = _family("tenants.oauth_clients", "get create edit delete")
_WEBHOOKS = _family("tenants.webhooks", "get create edit delete")  # extension (contract 0.6)
_GLOBAL_AUTH_CLIENTS = _family("global.auth_clients", "get create edit delete")
_AUTH_SECRETS = _family("workspaces.auth_secret", "get get_credentials create edit delete refresh")
_VPN_AGENTS = _family("workspaces.vpn_agent", "get create edit delete")
_TOPICS = _family("workspaces.topic", "get create edit delete")
_LEGACY_AUTH_CLIENTS = tuple(
    name
    for scope in ("tenants", "contracts", "workspaces")
    for name in _family(f"{scope}.auth_clients", "get create edit delete")
)

LISTED: tuple[str, ...] = (
    *_GLOBAL_AUTH_CLIENTS,
    *_AUTH_SECRETS,
    "workspaces.credential.edit",
    *_family("workspaces.flow", "edit toggleStatus toggleRealtime exportToRecipe"),
    "workspaces.workspace.edit",
    "workspaces.workspace.edit_membership_support",
    "workspaces.logs.read_all",
    "workspaces.recipe.edit",
    *_TOPICS,
    *_VPN_AGENTS,
    "contracts.contract.edit",
    "contracts.membership.edit",
    *_family("contracts.workspace", "create delete listAll"),
    "contracts.workspace_limits.edit",
    "contracts.repository.edit",
    "contracts.devTeam.edit",
    "global.stats.workspaces",
)
"""What `GET /v2/permissions` returns (contract 6.1, class *listed*)."""

_SERVICE: tuple[str, ...] = (
    *_OAUTH_CLIENTS,
    *_WEBHOOKS,
    *_LEGACY_AUTH_CLIENTS,
    *_family("workspaces.workspace", "edit_type finish_delete"),
    "contracts.devTeams.get",
    *_family(
        "contracts.contract",
        "get delete suspend unsuspend finish_suspend finish_delete listAll list_blocking_tasks"
        " edit_available_roles edit_custom_data get_custom_data",
    ),
    "contracts.membership.edit_directly",
    "contracts.devTeam.edit_access",
    *_family("tenants.tenant", "create get edit delete list_roles edit_roles"),
    "tenants.membership.edit",
    "tenants.contract.create",
    *_family("tenants.user", "create get list_all delete disable_totp"),
    "tenants.component.list_all",
    "tenants.workspace.edit_membership",
    "tenants.audit.get",
    "global.workspace.get_all",
    "global.contract.contract.list_all",
    "global.runtime_env.get",
    "global.task_keys.create",
    "global.metrics.get",  # ours: docs/metrics.md
    *_family("global.service_accounts", "get edit delete"),  # ours, contract 0.16
)

ALL = frozenset(LISTED + _SERVICE)
"""Every permission there is, aliases apart."""

_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **{name.replace("oauth_clients", "oauth_client"): name for name in _OAUTH_CLIENTS},
        "contract.devTeams.get": "contracts.devTeams.get",
        "tenant.workspace.edit_membership": "tenants.workspace.edit_membership",
        "workspace.workspace.edit_membership_support": "workspaces.workspace.edit_membership_support",
        "workspaces.edit_membership_support": "workspaces.workspace.edit_membership_support",
        "workspaces.workspace.listAll": "contracts.workspace.listAll",
    }
)


def normalise(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Replace aliases by the emitted spelling (contract 6.1).

    Returns:
        The known permissions in order, without repeats, and the names that are no permission.
    """
    spelled = list(dict.fromkeys(_ALIASES.get(name, name) for name in names))
    return [name for name in spelled if name in ALL], [name for name in spelled if name not in ALL]


def no_such_permission(name: str, seen_in: str = "GET /v2/permissions lists those that roles can be made of") -> str:
    """Return what to say of a name that is no permission: which one it is close to, else where to look."""
    meant = close_to(name, ALL)
    hint = f"is it {meant}?" if meant else seen_in
    return f"there is no such permission; {hint}"


_WORKSPACE_OWNER = (
    "workspaces.workspace.edit",
    "workspaces.workspace.edit_membership_support",
    *_AUTH_SECRETS,
    *_family("workspaces.flow", "edit toggleStatus toggleRealtime"),
    "workspaces.credential.edit",
    "workspaces.logs.read_all",
    *_VPN_AGENTS,
    *_TOPICS,
    *_GLOBAL_AUTH_CLIENTS,
)
_WORKSPACE_ADMIN = (*_WORKSPACE_OWNER, "workspaces.flow.exportToRecipe", "workspaces.recipe.edit")

TENANT_ADMIN = "tenant-admin"
OWNER = "owner"

DEFAULT_ROLES: tuple[Role, ...] = tuple(
    Role(scope, role, frozenset(permissions), {"en": title})
    for scope, role, title, permissions in (
        (
            "tenants",
            TENANT_ADMIN,
            "Tenant admin",
            (
                *_family("tenants.tenant", "get edit list_roles"),
                "tenants.membership.edit",
                "tenants.contract.create",
                *_family("tenants.user", "create get list_all delete disable_totp"),
                "tenants.component.list_all",
                *_OAUTH_CLIENTS,
                *_WEBHOOKS,
                *_GLOBAL_AUTH_CLIENTS,
                "tenants.workspace.edit_membership",
                "tenants.audit.get",
                *_family(
                    "contracts.contract",
                    "get delete suspend unsuspend listAll list_blocking_tasks edit edit_available_roles"
                    " edit_custom_data get_custom_data",
                ),
                "contracts.membership.edit",
                "contracts.membership.edit_directly",
                "contracts.devTeam.edit",
                "contracts.devTeams.get",
                "workspaces.workspace.edit_type",
            ),
        ),
        (
            "contracts",
            OWNER,
            "Owner",
            (
                "contracts.contract.edit",
                "contracts.membership.edit",
                "contracts.workspace_limits.edit",
                *_family("contracts.workspace", "create listAll delete"),
                "global.stats.workspaces",
                *_GLOBAL_AUTH_CLIENTS,
            ),
        ),
        (
            "contracts",
            "admin",
            "Admin",
            (
                *_family("contracts.workspace", "create listAll delete"),
                "contracts.repository.edit",
                "contracts.devTeam.edit",
                *_GLOBAL_AUTH_CLIENTS,
            ),
        ),
        ("contracts", "member", "Member", ("contracts.workspace.create",)),
        ("workspaces", OWNER, "Owner", _WORKSPACE_OWNER),
        ("workspaces", "admin", "Admin", _WORKSPACE_ADMIN),
        (
            "workspaces",
            "integrator",
            "Integrator",
            tuple(name for name in _WORKSPACE_ADMIN if not name.startswith("workspaces.workspace.")),
        ),
        (
            "workspaces",
            "guest",
            "Guest",
            (
                "global.auth_clients.get",
                "workspaces.auth_secret.get",
                "workspaces.logs.read_all",
                "workspaces.vpn_agent.get",
                "workspaces.topic.get",
            ),
        ),
    )
)
"""The role policy a new tenant starts with (contract 6.3)."""

# Those that more than one resource asks for.
GET_SECRET = "workspaces.auth_secret.get"
GET_SECRET_CREDENTIALS = "workspaces.auth_secret.get_credentials"
GET_OAUTH_CLIENTS = "tenants.oauth_clients.get"
LIST_COMPONENTS = "tenants.component.list_all"
GET_TEAMS = "contracts.devTeams.get"
CREATE_USERS = "tenants.user.create"
GIVE_TENANT_ROLES = "tenants.membership.edit"
