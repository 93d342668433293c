"""Callers that hold exactly one permission: each guarded route takes the right one alone, and no other (contract 6).

A caller's only role, held at the tenant, the contract or the workspace, has one permission; a service account has it
itself, where only those hold it. Every guarded route is asked by callers with each permission that shares object or
action with the right one, and by one without any.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from keyrack.model.tenancy import Role
from keyrack.service.authz.permissions import ALL
from keyrack.store.contracts import ContractMembers
from keyrack.store.tenants import RolePolicy
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Caller, relationship
from support.flows import flow_body, graph_of, node
from support.tenancy.bodies import body
from support.tenancy.stage import Snapshot, Stage, snapshot
from support.tenancy.table import rows

LEVELS = ("tenants", "contracts", "workspaces")
PREFIX = {"members": "tenants"}
"""`members` hold their role at the tenant, and are in the contract, where they see each other."""
CLIENTS = "/v2/tenants/{tenant_id}/oauth-clients"
HOOKS = "/v2/tenants/{tenant_id}/webhooks"
SECRETS = "/v2/workspaces/{workspace_id}/secrets"
RUNTIME = "/v2/workspaces/{workspace_id}/components/{component_id}/runtime-env"
ACCOUNT = "/v2/service-accounts/{service_account_id}"
WHOLE_CONTRACT = "contracts.workspace.listAll global.workspace.get_all"
SCOPED = "/v2/tenants/{tenant_id}/auth-clients"

# fmt: off
GUARDED: list[tuple[str, str, str, str]] = [
    # level of the role, method, path, permissions of which one is enough (`..` is the level, `~` it or global)
    ("workspaces", "PUT",    "/v1/accounts/{credential_id}",                        "..credential.edit"),
    ("workspaces", "GET",    "/v1/tasks/{flow_id}/steps/{step_id}",                 "..credential.edit"),
    ("workspaces", "GET",    "/v2/auth-clients?workspace_id={workspace_id}",        "~auth_clients.get"),
    ("workspaces", "POST",   "/v2/auth-clients",                                    "~auth_clients.create"),
    ("workspaces", "GET",    "/v2/auth-clients/{auth_client_id}",                   "~auth_clients.get"),
    ("workspaces", "GET",    "/v2/auth-clients/{auth_client_id}/usage",             "~auth_clients.get"),
    ("workspaces", "POST",   "/v2/auth-clients/{auth_client_id}/diagnose",          "~auth_clients.get"),
    ("workspaces", "POST",   "/v2/auth-clients/{auth_client_id}/secret-rotation",   "~auth_clients.edit"),
    ("workspaces", "GET",    "/v2/auth-clients/{lone_auth_client_id}/secret-rotation", "~auth_clients.get"),
    ("workspaces", "PATCH",  "/v2/auth-clients/{lone_auth_client_id}/secret-rotation", "~auth_clients.edit"),
    ("workspaces", "DELETE", "/v2/auth-clients/{lone_auth_client_id}/secret-rotation", "~auth_clients.edit"),
    ("workspaces", "PATCH",  "/v2/auth-clients/{auth_client_id}",                   "~auth_clients.edit"),
    ("workspaces", "DELETE", "/v2/auth-clients/{lone_auth_client_id}",              "~auth_clients.delete"),
    ("contracts",  "POST",   "/v2/components",                                      "..repository.edit"),
    ("tenants",    "GET",    "/v2/components/all?contract_id={contract_id}",        "..component.list_all"),
    ("contracts",  "GET",    "/v2/components/{component_id}/env",                   "..repository.edit"),
    ("contracts",  "PUT",    "/v2/components/{component_id}/env",                   "..repository.edit"),
    ("contracts",  "POST",   "/v2/components/{component_id}/versions",              "..repository.edit"),
    ("tenants",    "POST",   "/v2/contracts",                                       "..contract.create"),
    ("contracts",  "PATCH",  "/v2/contracts/{contract_id}",                         "..contract.edit"),
    ("contracts",  "DELETE", "/v2/contracts/{contract_id}",                         "..contract.delete"),
    ("contracts",  "POST",   "/v2/contracts/{contract_id}/invites",                 "..membership.edit"),
    ("contracts",  "PATCH",  "/v2/contracts/{contract_id}/invites/{invite_id}",     "..membership.edit"),
    ("contracts",  "DELETE", "/v2/contracts/{contract_id}/invites/{invite_id}",     "..membership.edit"),
    ("contracts",  "PATCH",  "/v2/contracts/{contract_id}/members/{user_id}",       "..membership.edit"),
    ("contracts",  "DELETE", "/v2/contracts/{contract_id}/members/{user_id}",       "..membership.edit"),
    ("contracts",  "POST",   "/v2/contracts/{contract_id}/suspend",                 "..contract.suspend"),
    ("contracts",  "POST",   "/v2/contracts/{contract_id}/unsuspend",               "..contract.unsuspend"),
    ("workspaces", "POST",   "/v2/credentials",                                     "..credential.edit"),
    ("workspaces", "PATCH",  "/v2/credentials/{credential_id}",                     "..credential.edit"),
    ("workspaces", "DELETE", "/v2/credentials/{lone_credential_id}",                "..credential.edit"),
    ("workspaces", "POST",   "/v2/flows",                                           "..flow.edit"),
    ("workspaces", "PATCH",  "/v2/flows/{flow_id}",                                 "..flow.edit"),
    ("workspaces", "DELETE", "/v2/flows/{flow_id}",                                 "..flow.edit"),
    ("workspaces", "GET",    "/v2/flows/{flow_id}/draft",                           "..flow.edit"),
    ("workspaces", "PUT",    "/v2/flows/{flow_id}/draft",                           "..flow.edit"),
    ("workspaces", "DELETE", "/v2/flows/{flow_id}/draft",                           "..flow.edit"),
    ("workspaces", "POST",   "/v2/flows/{flow_id}/start",                           "..flow.toggleStatus"),
    ("workspaces", "POST",   "/v2/flows/{flow_id}/stop",                            "..flow.toggleStatus"),
    ("services",   "POST",   "/v2/flows/{flow_id}/task-keys",                       "global.task_keys.create"),
    ("tenants",    "GET",    "/v2/teams?contract_id={contract_id}",                 "contracts.devTeams.get"),
    ("contracts",  "POST",   "/v2/teams",                                           "..devTeam.edit"),
    ("tenants",    "GET",    "/v2/teams/{team_id}",                                 "contracts.devTeams.get"),
    ("contracts",  "PATCH",  "/v2/teams/{team_id}",                                 "..devTeam.edit"),
    ("contracts",  "DELETE", "/v2/teams/{lone_team_id}",                            "..devTeam.edit"),
    ("contracts",  "POST",   "/v2/teams/{team_id}/relationships/members",           "..devTeam.edit"),
    ("contracts",  "DELETE", "/v2/teams/{team_id}/relationships/members",           "..devTeam.edit"),
    ("services",   "POST",   "/v2/tenants",                                         "tenants.tenant.create"),
    ("services",   "DELETE", "/v2/tenants/{tenant_id}",                             "tenants.tenant.delete"),
    ("services",   "PATCH",  "/v2/tenants/{tenant_id}/roles",                       "tenants.tenant.edit_roles"),
    ("tenants",    "GET",    "/v2/tenants",                                         "..tenant.get"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}",                             "..tenant.get"),
    ("tenants",    "PATCH",  "/v2/tenants/{tenant_id}",                             "..tenant.edit"),
    ("tenants",    "DELETE", "/v2/tenants/{tenant_id}",                             "..tenant.delete"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/audit-events",                "..audit.get"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/ending-grants",               "..audit.get"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/idle-grants",                 "..audit.get"),
    ("tenants",    "GET",    SCOPED,                                                "~auth_clients.get"),
    ("tenants",    "POST",   SCOPED,                                                "~auth_clients.create"),
    ("tenants",    "GET",    SCOPED + "/{tenant_auth_client_id}",                   "~auth_clients.get"),
    ("tenants",    "PATCH",  SCOPED + "/{tenant_auth_client_id}",                   "~auth_clients.edit"),
    ("tenants",    "DELETE", SCOPED + "/{tenant_auth_client_id}",                   "~auth_clients.delete"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/events",                      "..webhooks.get"),
    ("tenants",    "POST",   "/v2/tenants/{tenant_id}/events/{event_id}/replay",    "..webhooks.edit"),
    ("tenants",    "GET",    CLIENTS,                                               "..oauth_clients.get"),
    ("services",   "GET",    "/v2/service-accounts",                                "global.service_accounts.get"),
    ("services",   "GET",    ACCOUNT,                                               "global.service_accounts.get"),
    ("services",   "PATCH",  ACCOUNT,                                               "global.service_accounts.edit"),
    ("services",   "DELETE", ACCOUNT,                                               "global.service_accounts.delete"),
    ("tenants",    "POST",   CLIENTS,                                               "..oauth_clients.create"),
    ("tenants",    "GET",    CLIENTS + "/{oauth_client_id}",                        "..oauth_clients.get"),
    ("tenants",    "PATCH",  CLIENTS + "/{oauth_client_id}",                        "..oauth_clients.edit"),
    ("tenants",    "DELETE", CLIENTS + "/{lone_oauth_client_id}",                   "..oauth_clients.delete"),
    ("tenants",    "GET",    CLIENTS + "/{oauth_client_id}/usage",                  "..oauth_clients.get"),
    ("tenants",    "POST",   CLIENTS + "/{oauth_client_id}/diagnose",               "..oauth_clients.get"),
    ("tenants",    "POST",   CLIENTS + "/{oauth_client_id}/secret-rotation",        "..oauth_clients.edit"),
    ("tenants",    "GET",    CLIENTS + "/{lone_oauth_client_id}/secret-rotation",   "..oauth_clients.get"),
    ("tenants",    "PATCH",  CLIENTS + "/{lone_oauth_client_id}/secret-rotation",   "..oauth_clients.edit"),
    ("tenants",    "DELETE", CLIENTS + "/{lone_oauth_client_id}/secret-rotation",   "..oauth_clients.edit"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/connect-theme",               "..tenant.get"),
    ("tenants",    "PATCH",  "/v2/tenants/{tenant_id}/connect-theme",               "..tenant.edit"),
    ("tenants",    "GET",    "/v2/tenants/{tenant_id}/roles",                       "..tenant.list_roles"),
    ("tenants",    "PATCH",  "/v2/tenants/{tenant_id}/roles",                       "..tenant.edit_roles"),
    ("tenants",    "PATCH",  "/v2/tenants/{tenant_id}/members/{user_id}",           "..membership.edit"),
    ("tenants",    "GET",    HOOKS,                                                 "..webhooks.get"),
    ("tenants",    "POST",   HOOKS,                                                 "..webhooks.create"),
    ("tenants",    "GET",    HOOKS + "/{webhook_id}",                               "..webhooks.get"),
    ("tenants",    "PATCH",  HOOKS + "/{webhook_id}",                               "..webhooks.edit"),
    ("tenants",    "DELETE", HOOKS + "/{webhook_id}",                               "..webhooks.delete"),
    ("tenants",    "GET",    HOOKS + "/{webhook_id}/deliveries",                    "..webhooks.get"),
    ("tenants",    "POST",   HOOKS + "/{webhook_id}/replay",                        "..webhooks.edit"),
    ("tenants",    "POST",   HOOKS + "/{webhook_id}/rotate-secret",                 "..webhooks.edit"),
    ("tenants",    "POST",   HOOKS + "/{webhook_id}/test",                          "..webhooks.edit"),
    ("tenants",    "GET",    "/v2/users",                                           "..user.list_all"),
    ("tenants",    "POST",   "/v2/users",                                           "..user.create"),
    ("tenants",    "POST",   "/v2/users/{newcomer_id}/setup-links",                 "..user.create"),
    ("tenants",    "GET",    "/v2/users/{stranger_id}",                             "..user.get"),
    ("members",    "DELETE", "/v2/users/{user_id}",                                 "..user.delete"),
    ("tenants",    "GET",    "/v2/workspaces?contract_id={contract_id}",            WHOLE_CONTRACT),
    ("contracts",  "POST",   "/v2/workspaces",                                      "..workspace.create"),
    ("contracts",  "GET",    "/v2/workspaces/{workspace_id}",                       "..workspace.listAll"),
    ("workspaces", "PATCH",  "/v2/workspaces/{workspace_id}",                       "..workspace.edit"),
    ("workspaces", "DELETE", "/v2/workspaces/{workspace_id}",                       "..workspace.edit"),
    ("contracts",  "DELETE", "/v2/workspaces/{workspace_id}",                       "..workspace.delete"),
    ("services",   "GET",    RUNTIME,                                               "global.runtime_env.get"),
    ("workspaces", "POST",   "/v2/workspaces/{workspace_id}/members",               "..workspace.edit"),
    ("tenants",    "POST",   "/v2/workspaces/{workspace_id}/members",               "..workspace.edit_membership"),
    ("workspaces", "PATCH",  "/v2/workspaces/{workspace_id}/members/{user_id}",     "..workspace.edit"),
    ("tenants",    "PATCH",  "/v2/workspaces/{workspace_id}/members/{user_id}",     "..workspace.edit_membership"),
    ("workspaces", "DELETE", "/v2/workspaces/{workspace_id}/members/{user_id}",     "..workspace.edit"),
    ("tenants",    "DELETE", "/v2/workspaces/{workspace_id}/members/{user_id}",     "..workspace.edit_membership"),
    ("workspaces", "POST",   "/v2/workspaces/{workspace_id}/connect-links",         "..credential.edit"),
    ("workspaces", "POST",   "/v2/workspaces/{workspace_id}/mcp-servers",           "~auth_clients.create"),
    ("workspaces", "POST",   "/v2/workspaces/{workspace_id}/oauth-consents",        "..credential.edit"),
    ("workspaces", "GET",    SECRETS,                                               "..auth_secret.get"),
    ("workspaces", "POST",   SECRETS,                                               "..auth_secret.create"),
    ("workspaces", "GET",    SECRETS + "/{secret_id}",                              "..auth_secret.get"),
    ("workspaces", "PATCH",  SECRETS + "/{secret_id}",                              "..auth_secret.edit"),
    ("workspaces", "DELETE", SECRETS + "/{lone_secret_id}",                         "..auth_secret.delete"),
    ("workspaces", "POST",   SECRETS + "/{secret_id}/dpop-proof",                   "..auth_secret.get_credentials"),
    ("workspaces", "POST",   SECRETS + "/{secret_id}/refresh",                      "..auth_secret.refresh"),
]

DELETES_CLIENTS = "with another permission to delete clients it is not there: tests/deleted_clients"
STANDING: dict[str, str] = {
    "GET /v2/tenants/{tenant_id}/deleted-clients": "any permission to delete clients: those that it is for",
    "POST /v2/tenants/{tenant_id}/deleted-clients/{deleted_client_id}/restore": DELETES_CLIENTS,
    "DELETE /v2/tenants/{tenant_id}/deleted-clients/{deleted_client_id}": DELETES_CLIENTS,
    "GET /v2/components": "members of the contract",
    "GET /v2/components/{component_id}": "who is in a contract that has it",
    "PATCH /v2/components/{component_id}": "the tenant admin",
    "DELETE /v2/components/{component_id}": "members of the team, too: tests/contract/test_components.py",
    "GET /v2/components/{component_id}/versions": "as the component",
    "DELETE /v2/components/{component_id}/versions/{revision}": "members of the team, too",
    "GET /v2/components/{component_id}/versions/{revision}/descriptor": "as the component",
    "GET /v2/contracts": "everybody's own",
    "GET /v2/contracts/{contract_id}": "members",
    "GET /v2/contracts/{contract_id}/invites": "members",
    "GET /v2/contracts/{contract_id}/members": "members",
    "POST /v2/contracts/{contract_id}/members": "the tenant admin",
    "GET /v2/contracts/{contract_id}/roles": "members",
    "GET /v2/credentials": "members of the workspace",
    "GET /v2/credentials/{credential_id}": "members of the workspace",
    "GET /v2/flows": "members of the workspace",
    "GET /v2/flows/{flow_id}": "members of the workspace",
    "GET /v2/flows/{flow_id}/versions": "members of the workspace",
    "GET /v2/flows/{flow_id}/versions/{version}": "members of the workspace",
    "GET /v2/permissions": "everybody",
    "GET /v2/providers": "everybody",
    "GET /v2/providers/{provider_name}": "everybody",
    "GET /v2/users/me": "everybody's own",
    "GET /v2/users/me/api-keys": "everybody's own",
    "POST /v2/users/me/api-keys": "everybody's own",
    "DELETE /v2/users/me/api-keys/{key_id}": "everybody's own",
    "GET /v2/users/me/invites": "everybody's own",
    "POST /v2/users/me/invites/{invite_id}/accept": "everybody's own",
    "GET /v2/workspaces": "everybody's own",
    "GET /v2/workspaces/{workspace_id}/components": "members",
    "GET /v2/workspaces/{workspace_id}/components/{component_id}": "members",
    "GET /v2/workspaces/{workspace_id}/connect-links/{connect_link_id}": "who made it",
    "GET /v2/workspaces/{workspace_id}/members": "members",
    "GET /v2/workspaces/{workspace_id}/oauth-consents/{consent_id}": "who started it",
}
"""Routes that are open by standing, not by a permission."""
# fmt: on


class Case(NamedTuple):
    """A request, who may send it, and what comes then.

    Attributes:
        name: what is asked.
        level: where the callers hold their role.
        right: permissions of which one is enough.
        status: of success.
        method: of the request.
        path: with the names of ids.
        data: the request's body; None: the table's.
        hidden: whether it is not there for those who are refused, unless they hold one of these.
    """

    name: str
    level: str
    right: frozenset[str]
    status: int
    method: str
    path: str
    data: Any = None
    hidden: frozenset[str] | None = None

    @property
    def asked_by(self) -> list[str]:
        """The permissions of the callers that ask: those that share object or action with a right one; or none."""
        objects = {each.rpartition(".")[0] for each in self.right}
        actions = {each.rpartition(".")[2] for each in self.right}
        near = {each for each in HELD[self.level] if each.rpartition(".")[0] in objects}
        near |= {each for each in HELD[self.level] if each.rpartition(".")[2] in actions}
        return [*sorted(near | set(self.right)), NOTHING]


NOTHING = ""
HELD: Mapping[str, list[str]] = {
    level: sorted(each for each in ALL if each.startswith((f"{level}.", "global.")))
    for level in (*LEVELS, "members", "services")
}
FROM_ABOVE = ("contracts.devTeams.get", "contracts.workspace.listAll")
"""Permissions of contracts that the tenant's roles are asked for."""
HELD["tenants"].extend(FROM_ABOVE)
HELD["members"].extend(each for each in sorted(ALL) if each.startswith("tenants.") and ".auth_clients." not in each)
HELD["services"].extend(each for each in sorted(ALL) if each.startswith("tenants.tenant."))
READS_CLIENTS = frozenset({"workspaces.auth_clients.get", "global.auth_clients.get"})
TEAM = frozenset({"contracts.devTeams.get"})
HIDDEN: dict[str, frozenset[str]] = {
    "/v2/auth-clients/{auth_client_id}": READS_CLIENTS,
    "/v2/auth-clients/{auth_client_id}/usage": READS_CLIENTS,
    "/v2/auth-clients/{auth_client_id}/diagnose": READS_CLIENTS,
    "/v2/auth-clients/{auth_client_id}/secret-rotation": READS_CLIENTS,
    "/v2/auth-clients/{lone_auth_client_id}/secret-rotation": READS_CLIENTS,
    "/v2/auth-clients/{lone_auth_client_id}": READS_CLIENTS,
    "/v2/teams/{team_id}": TEAM,
    "/v2/users/{newcomer_id}/setup-links": frozenset({"tenants.user.get"}),
    "/v2/users/{stranger_id}": frozenset(),
    ACCOUNT: frozenset({"global.service_accounts.get"}),
    "/v2/flows/{flow_id}/task-keys": frozenset({"global.workspace.get_all"}),
}
"""What is addressed without a parent and not seen is not there (section 3), but for those who hold one of these."""
STATUSES = {
    ("PATCH", "/v2/tenants/{tenant_id}/roles"): 409,  # it would take the roles of these callers away
}


def _oauth_consent(ids: Mapping[str, str], secret: str | None = None) -> Any:
    related = {"auth_client": relationship("auth-client", ids["auth_client_id"])}
    if secret is not None:
        related["auth_secret"] = relationship("auth-secret", ids[secret])
    return {"data": {"type": "oauth-consent", "attributes": {}, "relationships": related}}


def _connect_link(ids: Mapping[str, str], secret: str | None = None) -> Any:
    body = _oauth_consent(ids, secret)
    return {"data": {**body["data"], "type": "connect-link"}}


def _link_again(ids: Mapping[str, str]) -> Any:
    return _connect_link(ids, "secret_id")


def _again(ids: Mapping[str, str]) -> Any:
    return _oauth_consent(ids, "secret_id")


def _attributes(kind: str, **values: Any) -> Any:
    return lambda _: {"data": {"type": kind, "attributes": values}}


def _plain_graph(ids: Mapping[str, str]) -> Any:
    team = ids["team_name"]
    return graph_of(node(f"{team}/{team}-calendar:due"))


def _flow(ids: Mapping[str, str]) -> Any:
    return flow_body(ids["workspace_id"], graph=_plain_graph(ids))


def _flow_change(ids: Mapping[str, str]) -> Any:
    return {"data": {"type": "flow", "id": ids["flow_id"], "attributes": {"name": "New"}}}


def _draft(ids: Mapping[str, str]) -> Any:
    return {"data": {"type": "flow-draft", "attributes": {"graph": _plain_graph(ids)}}}


TYPE = _attributes("workspace", type="full")
DATA = {
    ("POST", "/v2/flows"): _flow,  # a graph that names a secret or a credential needs more than one permission
    ("PATCH", "/v2/flows/{flow_id}"): _flow_change,
    ("PUT", "/v2/flows/{flow_id}/draft"): _draft,
}


def _spelled_out(names: str, level: str) -> Iterator[str]:
    for name in names.split():
        if name.startswith("~"):
            yield from (f"{level}.{name[1:]}", f"global.{name[1:]}")
        else:
            yield name.replace("..", f"{level}.", 1)


def _cases() -> Iterator[Case]:
    table = {(row.method, row.path): row.status for row in rows()}
    for level, method, path, spelled in GUARDED:
        right = frozenset(_spelled_out(spelled, PREFIX.get(level, level)))
        hidden = None if level == "contracts" else HIDDEN.get(path)
        status = STATUSES.get((method, path), table[method, path])
        data = DATA.get((method, path))
        yield Case(f"{level} {method} {path}", level, right, status, method, path, data, hidden)
    consents = "/v2/workspaces/{workspace_id}/oauth-consents"
    links = "/v2/workspaces/{workspace_id}/connect-links"
    place, contract = "/v2/workspaces/{workspace_id}", "/v2/contracts/{contract_id}"
    of_secret = "workspaces.auth_secret."
    for name, level, permission, status, method, path, data in (
        ("connect", "workspaces", f"{of_secret}create", 201, "POST", consents, _oauth_consent),
        ("link", "workspaces", f"{of_secret}create", 201, "POST", links, _connect_link),
        ("link again", "workspaces", f"{of_secret}edit", 201, "POST", links, _link_again),
        ("reconnect", "workspaces", f"{of_secret}edit", 201, "POST", consents, _again),
        ("step", "workspaces", f"{of_secret}get_credentials", 200, "GET", "/v1/tasks/{flow_id}/steps/step_2", None),
        ("type", "workspaces", "workspaces.workspace.edit_type", 200, "PATCH", place, TYPE),
        ("roles", "contracts", "contracts.contract.edit_available_roles", 200, "PATCH", contract,
         _attributes("contract", available_roles=[])),
        ("custom", "contracts", "contracts.contract.edit_custom_data", 200, "PATCH", contract,
         _attributes("contract", custom_data={})),
    ):  # fmt: skip
        yield Case(name, level, frozenset({permission}), status, method, path, data)


CASES = list(_cases())


@dataclass(frozen=True)
class Single:
    """The stage with callers that hold one permission each.

    Attributes:
        stage: the two tenants.
        callers: by level and permission.
        kept: the rows as they are with these callers.
    """

    stage: Stage
    callers: Mapping[tuple[str, str], Caller]
    kept: Snapshot


@pytest.fixture(scope="module")
async def single(stage: Stage) -> AsyncIterator[Single]:
    stage.snapshot.restore()
    world, ids = stage.world, stage.mine.ids
    pairs = [(level, held) for level in (*LEVELS, "members") for held in [*HELD[level], NOTHING]]
    names = {pair: f"only {pair[1] or 'nothing'}" for pair in pairs}
    callers = {
        (level, held): await world.add_user(
            ids["tenant_id"],
            f"only-{level}-{number}@single.example",
            tenant_roles=[names[level, held]] if level in {"tenants", "members"} else [],
        )
        for number, (level, held) in enumerate(pairs)
    }
    services = {
        ("services", held): await world.add_service_account(*{held} - {NOTHING})
        for held in [*HELD["services"], NOTHING]
    }
    async with world.store.unit(ids["tenant_id"], writes=True) as unit:
        roles = [
            Role(level, names[level, held], frozenset({held} - {NOTHING}), {"en": "One"})
            for level, held in pairs
            if level in LEVELS
        ]
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), *roles])
        for (level, held), who in callers.items():
            if level != "tenants":
                of_contract = [names[level, held]] if level == "contracts" else []
                await ContractMembers(unit).add(ids["contract_id"], who.id, of_contract)
            if level == "workspaces":
                await WorkspaceMembers(unit).add(ids["workspace_id"], who.id, [names[level, held]])
    with snapshot(world) as kept:
        yield Single(stage, callers | services, kept)
    stage.snapshot.restore()


def test_every_route_is_guarded_or_open_by_standing() -> None:
    guarded = {(method, path) for _, method, path, _ in GUARDED}
    others = {f"{row.method} {row.route[1]}" for row in rows() if (row.method, row.path) not in guarded}
    assert guarded <= {(row.method, row.path) for row in rows()}
    assert others - {"GET /v2/users/{user_id}"} == set(STANDING)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_route_takes_the_right_permission_alone_and_no_other(single: Single, case: Case) -> None:
    single.kept.restore()
    ids = single.stage.mine.ids
    sent = body(case.method, case.path, ids) if case.data is None else case.data(ids)
    asked = sorted(case.asked_by, key=lambda held: held in case.right)  # refusals first, which change nothing
    got, wanted = {}, {}
    for held in asked:
        answer = await single.callers[case.level, held].call(case.method, case.path.format_map(ids), sent)
        got[held] = answer.status_code if held in case.right or answer.status_code < 500 else answer.text
        refused = 403 if case.hidden is None or held in case.hidden else 404
        wanted[held] = case.status if held in case.right else refused
        if held in case.right and case.method != "GET":
            single.kept.restore()
    assert got == wanted
    assert len(asked) > 1
