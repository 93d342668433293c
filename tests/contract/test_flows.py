"""Flows: the resource, lists, states, drafts and versions of contract section 17; 0.19, rules 24.23 and 24.25."""

from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.consent import add_oauth_client
from support.documents import TIME, identifier, ids, paging, rel
from support.flows import flow_body, graph_of, node

NO_ID = "0" * 24
TIMER: dict[str, Any] = {"triggers": {"tick": {}}, "actions": {"run": {}}}
TICK = "globex/timer:tick"


@pytest.fixture
async def timer(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Globex"], "timer", TIMER)


def who(world: World) -> Caller:
    return world.tenants["Globex"].integrator


async def made(world: World, command: str = TICK, **attributes: Any) -> str:
    body = flow_body(world.tenants["Globex"].workspace_id, command, **attributes)
    answer = await who(world).post("/v2/flows", body)
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["data"]["id"]
    return identifier


def skeleton(world: World, data: dict[str, Any], component: str, **given: Any) -> dict[str, Any]:
    """The resource of section 17; times and the version's hash are taken from what came."""
    globex = world.tenants["Globex"]
    path = f"/v2/flows/{data['id']}"
    times = {name: data["attributes"][name] for name in ("created_at", "updated_at", "last_modified")}
    assert all(TIME.fullmatch(time) for time in times.values())
    version = data["relationships"]["latest_version"]["data"]["id"]
    assert len(version) == 40
    return {
        "id": data["id"],
        "type": "flow",
        "links": {"self": path},
        "attributes": {
            "name": "Friday",
            "description": "",
            "type": "ordinary",
            "status": "inactive",
            "current_status": "inactive",
            "default_mapper_type": "jsonata",
            "api_version": "2.0",
            **times,
            "graph": {"nodes": [node(TICK, component_id=component)], "edges": []},
            **given,
        },
        "relationships": {
            "user": rel("user", globex.integrator.id),
            "workspace": rel("workspace", globex.workspace_id),
            "versions": {"links": {"related": f"{path}/versions"}},
            "latest_version": {
                "data": identifier("flow-version", version),
                "links": {"self": f"{path}/versions/{version}", "related": f"{path}/versions"},
            },
        },
    }


async def test_the_resource(keyrack: World, timer: str) -> None:  # 17
    workspace = keyrack.tenants["Globex"].workspace_id
    answer = await who(keyrack).post("/v2/flows", flow_body(workspace, TICK))
    assert answer.status_code == 201
    data = answer.json()["data"]
    document = {"data": skeleton(keyrack, data, timer), "meta": {}}
    assert answer.json() == document
    assert (await who(keyrack).get(f"/v2/flows/{data['id']}")).json() == document
    listed = await who(keyrack).get(f"/v2/flows?workspace_id={workspace}")
    assert listed.json() == {"data": [document["data"]], "meta": paging(1, 50, 1)}


async def test_optional_attributes_are_present_when_given(keyrack: World, timer: str) -> None:  # 17
    given: dict[str, Any] = {
        "cron": "* * * * *",
        "nodes_config": {"step_1": {}},
        "stats_enabled": True,
        "description": "Why",
    }
    flow = await made(keyrack, **given, type="long_running")
    data = (await who(keyrack).get(f"/v2/flows/{flow}")).json()["data"]
    assert data == skeleton(keyrack, data, timer, **given, type="long_running")
    change = {"data": {"type": "flow", "id": flow, "attributes": {"cron": None}}}
    assert "cron" not in (await who(keyrack).patch(f"/v2/flows/{flow}", change)).json()["data"]["attributes"]


async def test_every_change_is_a_version(keyrack: World, timer: str) -> None:  # 17
    flow = await made(keyrack)
    change = {"data": {"type": "flow", "id": flow, "attributes": {"name": "Saturday"}}}
    answer = await who(keyrack).patch(f"/v2/flows/{flow}", change)
    data = answer.json()["data"]
    assert (answer.status_code, data) == (200, skeleton(keyrack, data, timer, name="Saturday"))
    versions = (await who(keyrack).get(f"/v2/flows/{flow}/versions")).json()
    assert versions["meta"] == paging(1, 50, 2)
    latest = versions["data"][-1]
    assert latest["id"] == data["relationships"]["latest_version"]["data"]["id"]
    assert (latest["type"], latest["attributes"]["graph"]) == ("flow-version", data["attributes"]["graph"])
    assert "links" not in latest, "4: only where the contract shows it"
    one = await who(keyrack).get(f"/v2/flows/{flow}/versions/{latest['id']}")
    assert one.json() == {"data": latest, "meta": {}}
    assert error_of(await who(keyrack).get(f"/v2/flows/{flow}/versions/{'0' * 40}"))[:2] == (404, "not_found")


@pytest.mark.usefixtures("timer")
async def test_start_and_stop(keyrack: World) -> None:  # 17, 0.19, 24.25
    flow = await made(keyrack)
    for _ in range(2):  # already in that state: 202, and nothing changes
        started = await who(keyrack).post(f"/v2/flows/{flow}/start")
        attributes = started.json()["data"]["attributes"]
        assert (started.status_code, attributes["status"], attributes["current_status"]) == (202, "active", "active")
        assert TIME.fullmatch(attributes["last_start_time"])
    bodies: tuple[dict[str, Any] | None, ...] = ({}, None)
    for content in bodies:
        stopped = await who(keyrack).post(f"/v2/flows/{flow}/stop", content)
        assert (stopped.status_code, stopped.json()) == (202, {"data": {}, "meta": {}})
    read = (await who(keyrack).get(f"/v2/flows/{flow}")).json()["data"]["attributes"]
    assert (read["status"], read["current_status"]) == ("inactive", "inactive")
    assert TIME.fullmatch(read["last_stop_time"])
    await who(keyrack).post(f"/v2/flows/{flow}/start")
    deleted = await who(keyrack).delete(f"/v2/flows/{flow}")
    assert (deleted.status_code, deleted.content) == (204, b""), "an active flow is stopped and deleted"
    assert error_of(await who(keyrack).get(f"/v2/flows/{flow}"))[:2] == (404, "not_found")


async def test_start_needs_the_client(keyrack: World) -> None:  # 0.4, 17
    acme = keyrack.tenants["Acme"]
    asks = TIMER | {"useOAuthClient": True}
    await keyrack.add_component(acme, "plain", TIMER, access="global")
    component = await keyrack.add_component(acme, "asks", asks, access="global")
    await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    flow = await made(keyrack, "acme/asks:run")
    change = {"data": {"type": "flow", "id": flow, "attributes": {"graph": graph_of(node("acme/plain:run"))}}}
    assert (await who(keyrack).patch(f"/v2/flows/{flow}", change)).status_code == 200
    other = await made(keyrack, "acme/plain:run")
    assert (await who(keyrack).post(f"/v2/flows/{other}/start")).status_code == 202
    gated = await keyrack.add_component(acme, "later", TIMER, access="global")
    waiting = await made(keyrack, "acme/later:run")
    body = {"data": {"type": "version", "attributes": {"descriptor": asks}}}
    assert (await acme.admin.post(f"/v2/components/{gated}/versions", body)).status_code == 201
    refused = await who(keyrack).post(f"/v2/flows/{waiting}/start")
    assert error_of(refused)[:2] == (409, "oauth_client_missing")


# fmt: off
LISTS: list[tuple[str, list[str]]] = [
    # query,                                    names, in order
    ("",                                         ["Alpha", "beta", "Über 100%"]),
    ("&filter[status]=active",                   ["beta"]),
    ("&filter[status]=inactive",                 ["Alpha", "Über 100%"]),
    ("&filter[type]=long_running",               ["Alpha"]),
    ("&filter[has_draft]=true",                  ["Alpha"]),
    ("&filter%5Bhas_draft%5D=false",             ["beta", "Über 100%"]),
    ("&filter[user]={integrator}",               ["Alpha", "beta", "Über 100%"]),
    ("&filter[user]=" + NO_ID,                   []),
    ("&unknown=x",                               ["Alpha", "beta", "Über 100%"]),
    ("&sort=name",                               ["Alpha", "beta", "Über 100%"]),
    ("&sort=-created_at",                        ["Über 100%", "beta", "Alpha"]),
    ("&search=BET",                              ["beta"]),
    ("&search=hidden",                           ["beta"]),                         # in the description
    ("&search=über",                             ["Über 100%"]),
    ("&search=ÜBER",                             ["Über 100%"]),
    ("&search=100%25",                           ["Über 100%"]),                    # no pattern
    ("&search=_",                                []),
    ("&page[size]=2&page[number]=2",             ["Über 100%"]),
    ("&page[size]=2&page[number]=9",             []),                               # past the end (24.23)
]
"""17: filters, sort, search and paging."""
# fmt: on


async def test_lists(keyrack_on_each: World) -> None:
    world, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    await world.add_component(globex, "timer", TIMER)
    alpha = await made(world, name="Alpha", type="long_running")
    beta = await made(world, name="beta", description="what is Hidden")
    await made(world, name="Über 100%")
    draft = {"data": {"type": "flow-draft", "attributes": {"graph": {}}}}
    assert (await who(world).put(f"/v2/flows/{alpha}/draft", draft)).status_code == 200
    assert (await who(world).post(f"/v2/flows/{beta}/start")).status_code == 202
    for query, names in LISTS:
        path = f"/v2/flows?workspace_id={globex.workspace_id}{query.format(integrator=globex.integrator.id)}"
        answer = (await who(world).get(path)).json()
        found = [flow["attributes"]["name"] for flow in answer["data"]]
        assert sorted(found) == sorted(names) if "sort" not in query else found == names, query
        assert set(answer["meta"]) == {"page", "per_page", "total", "total_pages"}


@pytest.mark.parametrize(
    "query", ["filter[status]=odd", "filter[type]=odd", "filter[has_draft]=odd", "sort=odd", "page[size]=0"]
)
async def test_list_refuses(keyrack_to_read: World, query: str) -> None:  # 17, 4
    path = f"/v2/flows?workspace_id={keyrack_to_read.tenants['Globex'].workspace_id}"
    answer = await who(keyrack_to_read).get(f"{path}&{query}")
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"parameter": query.partition("=")[0]})
    missing = await who(keyrack_to_read).get("/v2/flows")
    assert missing.json()["errors"][0]["source"] == {"parameter": "workspace_id"}


# fmt: off
WHO_MAY: list[tuple[str, tuple[int, ...]]] = [
    # route                                        admin integr. guest stranger foreign-admin service
    ("GET /v2/flows?workspace_id={workspace}",      (200, 200,    200,  403,     403,          200)),
    ("GET /v2/flows/{flow}",                        (200, 200,    200,  404,     404,          200)),
    ("GET /v2/flows/{flow}/versions",               (200, 200,    200,  404,     404,          200)),
    ("POST /v2/flows",                              (201, 201,    403,  403,     403,          403)),  # names its user
    ("PATCH /v2/flows/{flow}",                      (200, 200,    403,  404,     404,          403)),
    ("PUT /v2/flows/{flow}/draft",                  (200, 200,    403,  404,     404,          200)),
    ("GET /v2/flows/{flow}/draft",                  (200, 200,    403,  404,     404,          200)),
    ("DELETE /v2/flows/{flow}/draft",               (204, 204,    403,  404,     404,          204)),
    ("POST /v2/flows/{flow}/start",                 (202, 202,    403,  404,     404,          202)),
    ("POST /v2/flows/{flow}/stop",                  (202, 202,    403,  404,     404,          202)),
    ("GET /v1/tasks/{flow}/steps/step_1",           (200, 200,    403,  404,     404,          200)),
    ("DELETE /v2/flows/{flow}",                     (204, 204,    403,  404,     404,          204)),
]
"""17 and 18.3: who may call which route."""
# fmt: on


@pytest.mark.parametrize(("route", "statuses"), WHO_MAY)
@pytest.mark.usefixtures("timer")
async def test_who_may(keyrack: World, route: str, statuses: tuple[int, ...]) -> None:
    globex, foreign = keyrack.tenants["Globex"], keyrack.tenants["Acme"].admin
    callers = (globex.admin, globex.integrator, globex.guest, globex.stranger, foreign, keyrack.support)
    draft = {"data": {"type": "flow-draft", "attributes": {"graph": {}}}}
    for caller, status in zip(callers, statuses, strict=True):
        flow = await made(keyrack)
        await who(keyrack).put(f"/v2/flows/{flow}/draft", draft)
        method, path = route.format(flow=flow, workspace=globex.workspace_id).split()
        request = {
            "POST /v2/flows": flow_body(globex.workspace_id, TICK),
            f"PATCH /v2/flows/{flow}": {"data": {"type": "flow", "id": flow}},
            f"PUT /v2/flows/{flow}/draft": draft,
        }.get(f"{method} {path}")
        answer = await caller.call(method, path, request)
        assert answer.status_code == status, (caller.name, answer.text)


@pytest.mark.usefixtures("timer")
async def test_a_draft_need_not_be_complete(keyrack: World, timer: str) -> None:  # 17
    flow = await made(keyrack)
    path = f"/v2/flows/{flow}/draft"
    assert error_of(await who(keyrack).get(path))[:2] == (404, "not_found")
    nodes = [{"id": "a"}, {"id": "b", "command": ""}, {"id": "c", "command": TICK}, {"id": "d", "component_id": timer}]
    graph = {"nodes": nodes, "edges": [{"source": "a", "target": "not there yet"}]}
    answer = await who(keyrack).put(path, {"data": {"type": "flow-draft", "attributes": {"graph": graph}}})
    named = [{"name": "", "description": "", **each} for each in nodes]
    named[2]["component_id"] = timer
    edges = [{"id": "a:not there yet", "source": "a", "target": "not there yet"}]
    document = {
        "data": {"id": flow, "type": "flow-draft", "attributes": {"graph": {"nodes": named, "edges": edges}}},
        "meta": {},
    }
    assert (answer.status_code, answer.json()) == (200, document)
    assert (await who(keyrack).get(path)).json() == document
    assert (await who(keyrack).delete(path)).status_code == 204
    assert error_of(await who(keyrack).delete(path))[:2] == (404, "not_found")


async def test_a_draft_counts_as_use_by_component_id_too(keyrack: World, timer: str) -> None:  # 0.1, 22
    await keyrack.add_component(keyrack.tenants["Globex"], "other", TIMER)
    flow = await made(keyrack, "globex/other:run")
    graph = {"nodes": [{"id": "a", "component_id": timer}], "edges": []}
    body = {"data": {"type": "flow-draft", "attributes": {"graph": graph}}}
    assert (await who(keyrack).put(f"/v2/flows/{flow}/draft", body)).status_code == 200
    refused = await keyrack.tenants["Globex"].admin.delete(f"/v2/components/{timer}")
    assert error_of(refused)[:2] == (409, "in_use")


@pytest.mark.usefixtures("timer")
async def test_creating_refuses(keyrack: World) -> None:  # 17, 4
    workspace = keyrack.tenants["Globex"].workspace_id
    empty = await who(keyrack).post("/v2/flows", {"data": {"type": "flow", "attributes": {}, "relationships": {}}})
    members = {f"/data/attributes/{name}" for name in ("name", "type", "graph", "default_mapper_type")}
    pointers = {error["source"]["pointer"] for error in empty.json()["errors"]}
    assert (empty.status_code, pointers) == (400, members | {"/data/relationships/workspace"})
    flow = await made(keyrack)
    # fmt: off
    for changed, expected in (
        ({"type": "flows"},                                 (409, "type_conflict", "/data/type")),
        ({"id": flow},                                      (409, "id_conflict", "/data/id")),
        ({"relationships": {"workspace": relationship("workspace", NO_ID)}},
                                        (404, "related_not_found", "/data/relationships/workspace/data/id")),
    ):
        answer = await who(keyrack).post("/v2/flows", {"data": flow_body(workspace, TICK)["data"] | changed})
        assert error_of(answer) == expected
    for changed, expected in (
        ({"type": "flow"},                                  (400, "validation_error", "/data/id")),
        ({"type": "flow", "id": NO_ID},                     (409, "id_conflict", "/data/id")),
        ({"id": flow},                                      (400, "validation_error", "/data/type")),
    ):
        assert error_of(await who(keyrack).patch(f"/v2/flows/{flow}", {"data": changed})) == expected
    # fmt: on
    assert ids(await who(keyrack).get(f"/v2/flows?workspace_id={workspace}")) == [flow]
