"""Checks the form of a flow's graph, without asking what exists (contract section 17)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.json_types import A_STRING, AN_ARRAY, AN_OBJECT, wrong_type

GRAPH_POINTER = "/data/attributes/graph"
_COMMAND = re.compile(r"([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+):([^@\s]+)(?:@(\S+))?")
_TEXTS = ("name", "description", "component_id", "credentials_id", "secret_id")
MAX_NODES = 500


@dataclass(frozen=True, slots=True)
class Node:
    """A step of a graph.

    Attributes:
        id: step id, unique in the graph.
        pointer: where the node stands in the request.
        team: team name of its command.
        component: component name of its command.
        function: action or trigger of its command.
        version: revision of its command; None for the newest build.
        raw: the node as submitted.
    """

    id: str
    pointer: str
    team: str
    component: str
    function: str
    version: str | None
    raw: Mapping[str, Any]


def parse_graph(graph: object, pointer: str = GRAPH_POINTER, *, complete: bool = True) -> list[Node]:
    """Check the form of a graph and return its nodes.

    Args:
        graph: the submitted value.
        pointer: where it stands in the request.
        complete: whether it must have nodes and valid commands; drafts need not.

    Returns:
        The nodes that have a valid command, in order.

    Raises:
        ValidationFailed: with one problem for everything that is wrong.
    """
    raw_nodes, raw_edges = _lists(graph, pointer)
    problems: list[Problem] = []
    if complete and not raw_nodes:
        problems.append(Problem("needs at least one node", f"{pointer}/nodes"))
    nodes: list[Node] = []
    ids: set[str] = set()
    for index, raw in enumerate(raw_nodes):
        at = f"{pointer}/nodes/{index}"
        node = _node(raw, at, ids, problems, complete=complete)
        if node is not None:
            nodes.append(node)
    for index, edge in enumerate(raw_edges):
        problems += _edge_problems(edge, f"{pointer}/edges/{index}", ids if complete else None)
    if problems:
        raise ValidationFailed(*problems[:100])
    return nodes


def _lists(graph: object, pointer: str) -> tuple[list[Any], list[Any]]:
    if not isinstance(graph, Mapping):
        raise ValidationFailed(Problem(wrong_type(AN_OBJECT, graph), pointer))
    found = {name: graph.get(name, []) for name in ("nodes", "edges")}
    wrong = [
        Problem(wrong_type(AN_ARRAY, value), f"{pointer}/{name}")
        for name, value in found.items()
        if not isinstance(value, list)
    ]
    if wrong:
        raise ValidationFailed(*wrong)
    if len(found["nodes"]) > MAX_NODES:
        raise ValidationFailed(Problem(f"has more than {MAX_NODES} nodes", f"{pointer}/nodes"))
    return found["nodes"], found["edges"]


def emitted(graph: Mapping[str, Any], component_ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a graph of good form as it is emitted (contract section 17).

    Every node has a name, a description and, as far as it is known, `component_id`; the command stays as submitted.
    An edge's id is `source:target`, with `mapper:` in front if it has a mapper.

    Args:
        graph: as submitted.
        component_ids: the component of each step, by step id.
    """
    nodes = [
        {
            **raw,
            "name": raw.get("name") or "",
            "description": raw.get("description") or "",
            **({"component_id": component_ids[raw["id"]]} if raw["id"] in component_ids else {}),
        }
        for raw in graph.get("nodes", [])
    ]
    return {**graph, "nodes": nodes, "edges": [{**edge, "id": _edge_id(edge)} for edge in graph.get("edges", [])]}


def _edge_id(edge: Mapping[str, Any]) -> str:
    mapped = isinstance(edge.get("config"), Mapping) and edge["config"].get("mapper")
    return f"{'mapper:' if mapped else ''}{edge['source']}:{edge['target']}"


def _node(raw: object, at: str, ids: set[str], problems: list[Problem], *, complete: bool) -> Node | None:
    if not isinstance(raw, Mapping):
        problems.append(Problem(wrong_type(AN_OBJECT, raw), at))
        return None
    node_id = raw.get("id")
    if not isinstance(node_id, str) or not node_id:
        problems.append(Problem("id is required: a string that names the step", f"{at}/id"))
    elif node_id in ids:
        problems.append(Problem("another step has this id", f"{at}/id"))
    else:
        ids.add(node_id)
    problems.extend(
        Problem(wrong_type(A_STRING, raw[name]), f"{at}/{name}")
        for name in _TEXTS
        if raw.get(name) is not None and not isinstance(raw[name], str)
    )
    if raw.get("fields") is not None and not isinstance(raw["fields"], Mapping):
        problems.append(Problem(wrong_type(AN_OBJECT, raw["fields"]), f"{at}/fields"))
    if raw.get("credentials_id") and raw.get("secret_id"):
        problems.append(Problem("a step has credentials or a secret, not both", f"{at}/secret_id"))
    command = raw.get("command")
    match = _COMMAND.fullmatch(command) if isinstance(command, str) else None
    if match is None:
        if complete or (command is not None and not isinstance(command, str)):
            detail = "must be team/component:function, optionally with @version"
            detail = f"command is required: it {detail}" if command is None else detail
            problems.append(Problem(detail, f"{at}/command"))
        return None
    team, component, function, version = match.groups()
    return Node(str(node_id), at, team, component, function, None if version == "latest" else version, raw)


def _edge_problems(edge: object, at: str, ids: set[str] | None) -> list[Problem]:
    """Return what is wrong with an edge; without `ids` its ends need not be there yet."""
    if not isinstance(edge, Mapping):
        return [Problem(wrong_type(AN_OBJECT, edge), at)]
    ends = [(f"{at}/{end}", edge.get(end)) for end in ("source", "target")]
    problems = [
        Problem(f"{where.rpartition('/')[2]} is required: the id of a step", where)
        for where, end in ends
        if not isinstance(end, str)
    ]
    if not problems and ids is not None:
        problems = [Problem("there is no step with this id", where) for where, end in ends if end not in ids]
    if edge.get("config") is not None and not isinstance(edge["config"], Mapping):
        problems.append(Problem(wrong_type(AN_OBJECT, edge["config"]), f"{at}/config"))
    return problems
