"""A flow's graph: what is emitted and refused (contract section 17), and a step's configuration (18.2, 18.3)."""

from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.flows import flow_body, graph_of, node

GRAPH = "/data/attributes/graph"
TIMER: dict[str, Any] = {"triggers": {"tick": {}}, "actions": {"run": {}}}
TICK = "globex/timer:tick"
NO_ID = "0" * 24


@pytest.fixture(scope="module")
async def parts(keyrack_to_read: World) -> dict[str, str]:
    """Components and credentials of Globex, and a component of Acme that Globex does not see."""
    world, globex = keyrack_to_read, keyrack_to_read.tenants["Globex"]
    found = {
        "timer": await world.add_component(globex, "timer", TIMER),
        "other": await world.add_component(globex, "other", TIMER),
        "unbuilt": await world.add_component(globex, "unbuilt", None),
        "hidden": await world.add_component(world.tenants["Acme"], "hidden", TIMER, access="tenant"),
    }
    for name in ("timer", "other"):
        about = {
            "component": relationship("component", found[name]),
            "workspace": relationship("workspace", globex.workspace_id),
        }
        body = {"type": "credential", "attributes": {"keys": {"shared": "key", "a": 1}}, "relationships": about}
        made = await globex.integrator.post("/v2/credentials", {"data": body})
        found[f"{name} credential"] = made.json()["data"]["id"]
    versions = await globex.admin.get(f"/v2/components/{found['timer']}/versions")
    return found | {"revision": versions.json()["data"][0]["id"]}


def who(world: World) -> Caller:
    return world.tenants["Globex"].integrator


async def post(world: World, graph: Any) -> Any:
    body = flow_body(world.tenants["Globex"].workspace_id, graph={"nodes": []})
    body["data"]["attributes"]["graph"] = graph
    return await who(world).post("/v2/flows", body)


# fmt: off
REFUSED: list[tuple[str, Any, str]] = [
    # what is wrong,                            graph,                                      pointer below the graph
    ("not an object",                           [],                                                  ""),
    ("no node",                                 graph_of(), "/nodes"),
    ("nodes no array",                          {"nodes": {}},                                       "/nodes"),
    ("unknown component",                       graph_of(node("globex/nothing:run")), "/nodes/0/command"),
    ("component the workspace does not have",   graph_of(node("acme/hidden:run")), "/nodes/0/command"),
    ("component without a build",               graph_of(node("globex/unbuilt:run")), "/nodes/0/command"),
    ("unknown function",                        graph_of(node("globex/timer:fly")), "/nodes/0/command"),
    ("unknown version",                         graph_of(node(f"{TICK}@{'0' * 40}")), "/nodes/0/command"),
    ("no command",                              graph_of({"id": "a"}), "/nodes/0/command"),
    ("no team in the command",                  graph_of(node("timer:tick")), "/nodes/0/command"),
    ("duplicate step id",                       graph_of(node(TICK, "a"), node(TICK, "a")), "/nodes/1/id"),
    ("no step id",                              graph_of({"command": TICK}), "/nodes/0/id"),
    ("edge to a missing step", graph_of(node(TICK, "a"), edges=({"source": "a", "target": "b"},)), "/edges/0/target"),
    ("edge from nowhere",                       graph_of(node(TICK, "a"), edges=({"target": "a"},)), "/edges/0/source"),
    ("component_id contradicts the command",    graph_of(node(TICK, component_id="{other}")), "/nodes/0/component_id"),
    ("another component's credential",          graph_of(node(TICK, credentials_id="{other credential}")),
     "/nodes/0/credentials_id"),
    ("unknown credential",                      graph_of(node(TICK, credentials_id=NO_ID)), "/nodes/0/credentials_id"),
    ("unknown secret",                          graph_of(node(TICK, secret_id=NO_ID)), "/nodes/0/secret_id"),
    ("a credential by an empty text",           graph_of(node(TICK, credentials_id="")), "/nodes/0/credentials_id"),
    ("a secret by an empty text",               graph_of(node(TICK, secret_id="")), "/nodes/0/secret_id"),
]
"""Section 17: invalid graphs are 400 with a pointer."""
# fmt: on


def filled(value: Any, parts: dict[str, str]) -> Any:
    if isinstance(value, str):
        return parts.get(value.removeprefix("{").removesuffix("}"), value) if value.startswith("{") else value
    if isinstance(value, dict):
        return {name: filled(inner, parts) for name, inner in value.items()}
    return [filled(inner, parts) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("wrong", "graph", "pointer"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_refused(keyrack_to_read: World, parts: dict[str, str], wrong: str, graph: Any, pointer: str) -> None:
    answer = await post(keyrack_to_read, filled(graph, parts))
    assert error_of(answer) == (400, "validation_error", GRAPH + pointer), wrong


async def test_a_draft_may_name_its_credential_by_an_empty_text(
    keyrack_to_read: World, parts: dict[str, str]
) -> None:  # 17: it need not be complete
    del parts
    made = (await post(keyrack_to_read, graph_of(node(TICK)))).json()["data"]["id"]
    body = {"data": {"type": "flow-draft", "attributes": {"graph": graph_of(node(TICK, credentials_id=""))}}}
    assert (await who(keyrack_to_read).put(f"/v2/flows/{made}/draft", body)).status_code == 200


async def test_credentials_or_a_secret_but_not_both(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 17
    both = node(TICK, credentials_id=parts["timer credential"], secret_id=NO_ID)
    answer = await post(keyrack_to_read, graph_of(both))
    assert answer.status_code == 400
    assert {error["source"]["pointer"] for error in answer.json()["errors"]} == {f"{GRAPH}/nodes/0/secret_id"}


async def test_all_problems_are_reported_together(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 3, 17
    del parts
    graph = graph_of(node("globex/nothing:run", "a"), node("globex/timer:fly", "b"))
    answer = await post(keyrack_to_read, graph)
    pointers = [error["source"]["pointer"] for error in answer.json()["errors"]]
    assert pointers == [f"{GRAPH}/nodes/0/command", f"{GRAPH}/nodes/1/command"]


async def test_what_is_emitted(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 17: commands as submitted
    commands = [TICK, f"{TICK}@latest", f"{TICK}@{parts['revision']}"]
    nodes: list[dict[str, Any]] = [
        {"id": "a", "command": commands[0]},
        {"id": "b", "command": commands[1], "name": "B", "component_id": parts["timer"], "fields": {"x": 1}},
        {"id": "c", "command": commands[2], "selected_data_samples": ["s"], "vpn_agent_id": "v"},
    ]
    config = {"mapper_type": "jsonata", "mapper": {"to": "x"}, "condition": None}
    edges: list[dict[str, Any]] = [
        {"source": "a", "target": "b"},
        {"id": "mine", "source": "b", "target": "c", "config": config},
    ]
    answer = await post(keyrack_to_read, {"nodes": nodes, "edges": edges})
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["attributes"]["graph"] == {
        "nodes": [{"name": "", "description": "", **each, "component_id": parts["timer"]} for each in nodes],
        "edges": [edges[0] | {"id": "a:b"}, edges[1] | {"id": "mapper:b:c"}],
    }


async def test_a_steps_configuration(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 18.2, 18.3
    credential = parts["timer credential"]
    fields: dict[str, Any] = {"shared": "field", "own": True}
    nodes = (node(TICK, "plain", fields=fields), node(TICK, "with", fields=fields, credentials_id=credential))
    flow = (await post(keyrack_to_read, graph_of(*nodes))).json()["data"]["id"]
    keys = {"shared": "key", "a": 1, "_account": credential}  # credential keys win
    for step, config in (("plain", fields), ("with", fields | keys)):
        answer = await who(keyrack_to_read).get(f"/v1/tasks/{flow}/steps/{step}")
        expected = {"id": step, "comp_id": parts["timer"], "config": config, "snapshot": {}}
        assert (answer.status_code, answer.json()) == (200, expected)
    assert error_of(await who(keyrack_to_read).get(f"/v1/tasks/{flow}/steps/none"))[:2] == (404, "not_found")
    assert error_of(await who(keyrack_to_read).get(f"/v1/tasks/{NO_ID}/steps/plain"))[:2] == (404, "not_found")
