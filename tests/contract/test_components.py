"""Components, builds and descriptors: the skeletons of contract 13.1 and the routes of 13.2, rules 24.24 and 24.27."""

from typing import Any

import pytest

from keyrack.ids import new_id
from support.app import Caller, World, error_of, relationship
from support.components import build, created, new_component
from support.documents import ID, identifier, rel

NO_ID = "0" * 24
TEAM = "/data/relationships/team/data"
REVISION = "0123456789abcdef" * 2 + "01234567"
DESCRIPTOR = {
    "title": "Pizza Van",
    "description": "Orders",
    "icon": "aWNvbg==",
    "language": "nodejs",
    "sailor_version": "2.7.4",
    "service": {"kind": "http"},
    "deprecated": True,
    "envVars": {"PIZZAVAN_KEY": {"required": True}},
    "useOAuthClient": True,
    "authClientTypes": ["oauth2"],
    "fields": {"room": {"viewClass": "TextFieldView"}},
    "credentials": {"oauth2": {"client_id": "{{PIZZAVAN_KEY}}", "client_secret": "literal"}},
    "actions": {"run": {"title": "Run"}},
    "triggers": {"poll": {"title": "Poll"}},
}


async def test_a_component_without_a_build(keyrack: World) -> None:  # 13.1, 13.2, 24.24
    given = {"icon": "aWNvbg==", "docker_repo_name": "acme/van", "docker_target_tag": "1.0"}
    answer = await keyrack.tenants["Acme"].admin.post("/v2/components", new_component(keyrack, "pizza-van", **given))
    assert answer.status_code == 201, answer.text
    found = answer.json()["data"]["id"]
    assert ID.fullmatch(found)
    expected = {
        "id": found,
        "type": "component",
        "links": {"self": f"/v2/components/{found}"},
        "attributes": {"name": "pizza-van", "team_name": "acme", "access": "team", **given},
        "relationships": {"versions": {"links": {"related": f"/v2/components/{found}/versions"}}},
    }
    assert answer.json() == {"data": expected, "meta": {}, "included": []}
    read = await keyrack.tenants["Acme"].admin.get(f"/v2/components/{found}")
    assert read.json() == {"data": expected, "meta": {}, "included": []}
    latest = await keyrack.tenants["Acme"].admin.get(f"/v2/components/{found}/versions/latest/descriptor")
    assert error_of(latest)[:2] == (404, "not_found")


async def test_a_component_with_a_build(keyrack: World) -> None:  # 13.1, 13.2
    acme = keyrack.tenants["Acme"]
    component = await created(keyrack, "pizza-van")
    path = f"/v2/components/{component}"
    answer = await build(keyrack, component, DESCRIPTOR, REVISION)
    assert answer.status_code == 201, answer.text
    date = answer.json()["data"]["attributes"]["date"]
    assert isinstance(date, int)  # 1: the exception among times, epoch milliseconds
    version = {
        "id": REVISION,
        "type": "version",
        "links": {"self": f"{path}/versions/{REVISION}"},
        "attributes": {"date": date, "version_number": 1},
        "relationships": {
            "descriptor": {
                "data": identifier("descriptor", REVISION),
                "links": {"self": f"{path}/versions/{REVISION}/descriptor"},
            },
            "component": rel("component", component),
        },
    }
    assert answer.json() == {"data": version, "meta": {}}
    descriptor = {
        "id": REVISION,
        "type": "descriptor",
        "links": {"self": f"{path}/versions/{REVISION}/descriptor"},
        "attributes": DESCRIPTOR
        | {
            "repo_name": "pizza-van",
            "team_name": "acme",
            "short_revision": REVISION[:7],
            "is_latest": True,
            "credentials": {"oauth2": {"client_id": "{{PIZZAVAN_KEY}}"}},  # a literal secret is removed
        },
        "relationships": {
            "version": {"data": identifier("version", REVISION), "links": {"self": f"{path}/versions/{REVISION}"}}
        },
    }
    for name in (REVISION, "latest"):
        one = await acme.admin.get(f"{path}/versions/{name}/descriptor")
        assert one.json() == {"data": descriptor, "meta": {}}
    versions = await acme.admin.get(f"{path}/versions")
    assert versions.json() == {"data": [version], "meta": {}, "links": {"self": f"{path}/versions"}}
    resource = {
        "id": component,
        "type": "component",
        "links": {"self": path},
        "attributes": {"name": "pizza-van", "team_name": "acme", "access": "team"},
        "relationships": {
            "versions": {"links": {"related": f"{path}/versions"}},
            "latest_version": {
                "data": identifier("version", REVISION),
                "links": {"self": f"{path}/versions/latest"},
            },
        },
    }
    included = [version, descriptor]
    assert (await acme.admin.get(path)).json() == {"data": resource, "meta": {}, "included": included}
    # 4: links.self where the contract shows it and nowhere else
    listed = {"data": [resource], "meta": {}, "included": included}
    in_contract = await acme.admin.get(f"/v2/components?contract_id={acme.contract_id}")
    assert in_contract.json() == listed | {"links": {"self": "/v2/components"}}
    assert (await acme.admin.get("/v2/components/all")).json() == listed
    resource["attributes"] |= {"whitelisted_contract_ids": []}  # type: ignore[operator]
    in_workspace = f"/v2/workspace/{acme.workspace_id}/components"
    assert (await acme.admin.get(in_workspace)).json() == listed
    one = await acme.admin.get(f"{in_workspace}/{component}")
    assert one.json() == {"data": resource, "meta": {}, "included": included}


# fmt: off
REFUSED: list[tuple[str, dict[str, Any], tuple[int, str, str | None]]] = [
    # section, what differs from a good request,        status, code, pointer
    ("13.2", {"attributes": {}},                         (400, "validation_error", "/data/attributes/name")),
    ("13.2", {"attributes": {"name": "with space"}},     (400, "validation_error", "/data/attributes/name")),
    ("13.2", {"attributes": {"name": "line\n"}},         (400, "validation_error", "/data/attributes/name")),
    ("13.2", {"attributes": {"name": ""}},               (400, "validation_error", "/data/attributes/name")),
    ("13.2", {"attributes": {"name": "taken"}},          (409, "already_exists", "/data/attributes/name")),
    ("13.2", {"relationships": {}},                      (400, "validation_error", "/data/relationships/team")),
    ("13.2", {"relationships": {"team": relationship("team", NO_ID)}},
                                                         (404, "related_not_found", f"{TEAM}/id")),
    ("4",    {"relationships": {"team": relationship("user", NO_ID)}},
                                                         (400, "validation_error", f"{TEAM}/type")),
    ("4",    {"type": "version"},                        (409, "type_conflict", "/data/type")),
]
"""13.2: what creating refuses."""
# fmt: on


@pytest.mark.parametrize(("section", "differs", "expected"), REFUSED)
async def test_creating_refuses(
    keyrack_to_read: World, section: str, differs: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    await admin.post("/v2/components", new_component(keyrack_to_read, "taken"))
    good = new_component(keyrack_to_read, "fine")["data"]
    answer = await admin.post("/v2/components", {"data": good | differs})
    assert error_of(answer) == expected, section


async def test_the_contract_must_be_the_teams(keyrack: World) -> None:  # 13.2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    for contract, status in ((globex.contract_id, 400), (NO_ID, 400), (acme.contract_id, 201)):
        body = new_component(keyrack, "pizza-van")
        body["data"]["relationships"] |= {"contract": relationship("contract", contract)}
        answer = await acme.admin.post("/v2/components", body)
        assert answer.status_code == status, answer.text
        if status == 400:
            assert error_of(answer)[1:] == ("validation_error", "/data/relationships/contract/data/id")


async def test_a_made_up_id_is_ignored_but_must_not_exist(keyrack: World) -> None:  # 4
    component = await created(keyrack, "first", icon="")
    body = new_component(keyrack, "second")
    body["data"]["id"] = component
    answer = await keyrack.tenants["Acme"].admin.post("/v2/components", body)
    assert error_of(answer) == (409, "id_conflict", "/data/id")


# fmt: off
ACCESS: list[tuple[str, str, str, tuple[int, str]]] = [
    # who, from,     to:        status, code
    ("admin",   "team",   "tenant", (200, "")),
    ("admin",   "tenant", "tenant", (200, "")),
    ("admin",   "tenant", "team",   (400, "validation_error")),   # never lowered by API
    ("admin",   "team",   "global", (403, "forbidden")),          # only for support
    ("admin",   "global", "tenant", (400, "validation_error")),
    ("support", "team",   "global", (200, "")),
    ("support", "global", "team",   (400, "validation_error")),
    ("service", "team",   "global", (403, "forbidden")),          # a service account without the permission
    ("editor",  "team",   "tenant", (403, "forbidden")),          # repository.edit is not enough
    ("member",  "team",   "tenant", (403, "forbidden")),
    ("foreign", "global", "tenant", (403, "forbidden")),          # sees it, but it is another tenant's
    ("foreign", "team",   "tenant", (404, "not_found")),          # does not see it
]
"""13.2, 24.27: who may change `access` to what."""
# fmt: on


@pytest.mark.parametrize(("who", "before", "after", "expected"), ACCESS)
async def test_access(keyrack_to_read: World, who: str, before: str, after: str, expected: tuple[int, str]) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    component = await keyrack_to_read.add_component(acme, f"{who}-{before}-{after}", {}, access=before)
    callers = {
        "admin": acme.admin,
        "support": keyrack_to_read.support,
        "service": await keyrack_to_read.add_service_account("contracts.repository.edit", "contracts.devTeam.edit"),
        "editor": await editor(keyrack_to_read, component),
        "member": acme.integrator,
        "foreign": keyrack_to_read.tenants["Globex"].admin,
    }
    body = {"data": {"type": "component", "id": component, "attributes": {"access": after}}}
    answer = await callers[who].patch(f"/v2/components/{component}", body)
    assert answer.status_code == expected[0], answer.text
    if answer.is_success:
        attributes = answer.json()["data"]["attributes"]
        assert (attributes["access"], attributes["whitelisted_contract_ids"]) == (after, [])
    else:
        assert error_of(answer)[1] == expected[1]


async def editor(world: World, name: str, *, in_team: bool = False) -> Caller:
    """A contract admin, who holds `contracts.repository.edit`, in the owning team or not."""
    from keyrack.store.contracts import ContractMembers  # noqa: PLC0415 - only used here
    from keyrack.store.teams import TeamRows  # noqa: PLC0415 - only used here

    acme = world.tenants["Acme"]
    made = await world.add_user(acme.id, f"editor-{name}-{in_team}@acme.example")
    async with world.store.unit(acme.id, writes=True) as unit:
        await ContractMembers(unit).add(acme.contract_id, made.id, ["admin"])
        if in_team:
            await TeamRows(unit).add_member(acme.team_id, made.id)
    return made


# fmt: off
DEVELOPERS: list[tuple[str, str, tuple[int, ...]]] = [
    # section, route                               admin team+editor editor member stranger foreign-admin service
    ("13.2", "POST /v2/components",                 (403, 201,        201,   403,   404,     404,          201)),
    ("13.2", "POST {component}/versions",           (403, 201,        201,   403,   404,     404,          201)),
    ("13.4", "GET {component}/env",                 (200, 200,        200,   403,   404,     404,          200)),
    ("13.4", "PUT {component}/env",                 (200, 200,        200,   403,   404,     404,          200)),
    ("13.2", "DELETE {component}/versions/latest",  (204, 204,        403,   403,   404,     404,          204)),
    ("13.2", "DELETE {component}",                  (204, 204,        403,   403,   404,     404,          204)),
]
"""13.2 and 13.4: who may work on a component with access `team`. The admin is tenant admin and nothing else."""
# fmt: on
COLUMNS = ("admin", "editor in team", "editor", "member", "stranger", "foreign admin", "service")


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
@pytest.mark.parametrize(("section", "route", "statuses"), DEVELOPERS)
async def test_who_may_develop(
    keyrack_to_read: World, section: str, route: str, statuses: tuple[int, ...], column: int
) -> None:
    world, acme = keyrack_to_read, keyrack_to_read.tenants["Acme"]
    name = f"dev-{new_id()}"
    component = await world.add_component(acme, name, {})
    who = {
        "admin": await world.add_user(acme.id, f"{name}@acme.example", tenant_roles=["tenant-admin"]),
        "editor in team": await editor(world, name, in_team=True),
        "editor": await editor(world, name),
        "member": acme.integrator,
        "stranger": acme.stranger,
        "foreign admin": world.tenants["Globex"].admin,
        "service": world.support,
    }[COLUMNS[column]]
    method, target = route.format(component=f"/v2/components/{component}").split()
    bodies = {
        "POST /v2/components": new_component(world, f"{name}-new"),
        "POST {component}/versions": {"data": {"type": "version", "attributes": {"descriptor": {}}}},
        "PUT {component}/env": {"data": {"type": "component-env", "attributes": {"vars": {}}}},
    }
    answer = await who.call(method, target, bodies.get(route))
    assert answer.status_code == statuses[column], f"section {section}: {answer.text}"


async def test_lists_need_standing(keyrack_to_read: World) -> None:  # 13.2
    acme = keyrack_to_read.tenants["Acme"]
    foreign = keyrack_to_read.tenants["Globex"].admin
    missing = await acme.admin.get("/v2/components")
    assert missing.status_code == 400
    assert missing.json()["errors"][0]["source"] == {"parameter": "contract_id"}
    wrong = await acme.admin.get(f"/v2/components?contract_id={acme.contract_id}&filter[access]=mine")
    assert wrong.json()["errors"][0]["source"] == {"parameter": "filter[access]"}
    # fmt: off
    for path, statuses in {
        f"/v2/components?contract_id={acme.contract_id}":     (200, 200, 403, 403),
        f"/v2/components?contract_id={NO_ID}":                (404, 404, 404, 404),
        "/v2/components/all":                                 (200, 403, 403, 200),
        f"/v2/components/all?contract_id={acme.contract_id}": (200, 403, 403, 403),
        f"/v2/workspace/{acme.workspace_id}/components":      (200, 200, 403, 403),
    }.items():
        for who, status in zip((acme.admin, acme.integrator, acme.stranger, foreign), statuses, strict=True):
            assert (await who.get(path)).status_code == status, (path, who.name)
    # fmt: on


async def test_a_service_account_sees_components_only_with_a_permission_for_them(keyrack: World) -> None:  # 2, 13.2
    component = await keyrack.add_component(keyrack.tenants["Acme"], "pizza-van", {})
    for permission, status in {
        "tenants.oauth_clients.get": 404,
        "tenants.oauth_clients.create": 200,
        "tenants.component.list_all": 200,
        "contracts.repository.edit": 200,
    }.items():
        who = await keyrack.add_service_account(permission)
        assert (await who.get(f"/v2/components/{component}")).status_code == status, permission
