"""The body parser only reads or refuses, whatever comes; the graph validator accepts or points at what is wrong."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyrack.errors import BadRequest, Problem, ValidationFailed
from keyrack.service.flows.graph import GRAPH_POINTER, Node, emitted, parse_graph
from keyrack.validation.strict_json import MAX_DEPTH, parse_json

NEARLY_JSON = st.text(alphabet='{}[]",:0123456789.eE+-\\u \nnultrefaNIity', max_size=40).map(str.encode)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
SHORT = st.sampled_from(["a", "b", "step_1", "", " ", "a:b", "\ud800", "0"])
COMMAND = st.sampled_from(["t/c:f", "t/c:f@latest", "t/c:f@0", "t/c", "/c:f", "t/c:f@", "t/c:f@a@b", "t/c:\n"]) | TEXT
NODE = st.fixed_dictionaries(
    {},
    optional={
        "id": SHORT | JSON,
        "command": COMMAND | JSON,
        "credentials_id": SHORT | JSON,
        "secret_id": SHORT | JSON,
        "fields": JSON,
        "name": TEXT | JSON,
    },
)
EDGE = st.fixed_dictionaries({}, optional={"source": SHORT | JSON, "target": SHORT | JSON, "config": JSON})
GRAPH = st.fixed_dictionaries(
    {}, optional={"nodes": st.lists(NODE | JSON, max_size=4) | JSON, "edges": st.lists(EDGE | JSON, max_size=4) | JSON}
)


@settings(max_examples=300, deadline=None)
@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_what_json_writes_is_read_alike(value: Any, indent: int | None, ascii_only: bool) -> None:
    content = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert parse_json(content) == value


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60) | NEARLY_JSON)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        value = parse_json(content)
    except BadRequest:
        return
    again = json.dumps(value, allow_nan=False).encode()
    assert b"\\u0000" not in again.replace(b"\\\\", b"")
    assert parse_json(again) == value


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.data())
def test_a_member_twice_is_refused_wherever_it_stands(names: list[str], data: st.DataObject) -> None:
    twice = data.draw(st.permutations([*names, data.draw(st.sampled_from(names))]))
    inner = "{" + ",".join(f"{json.dumps(name)}: 1" for name in twice) + "}"
    for content in (inner, f'{{"data": {inner}}}', f"[[{inner}]]"):
        with pytest.raises(BadRequest):
            parse_json(content.encode())


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3 * MAX_DEPTH), st.sampled_from([("[", "]"), ('{"a":', "}")]))
def test_depth_is_bounded_exactly(depth: int, brackets: tuple[str, str]) -> None:
    content = (brackets[0] * depth + "1" + brackets[1] * depth).encode()
    if depth <= MAX_DEPTH:
        parse_json(content)
    else:
        with pytest.raises(BadRequest):
            parse_json(content)


@settings(max_examples=100, deadline=None)
@given(TEXT, st.sampled_from(["\0", "\ud800", "\udfff"]), TEXT)
def test_a_text_no_database_takes_is_refused_as_name_and_as_value(before: str, bad: str, after: str) -> None:
    text = json.dumps(before + bad + after)
    for content in (text, f'{{"a": {text}}}', f"{{{text}: 1}}", f"[[{text}]]"):
        with pytest.raises(BadRequest):
            parse_json(content.encode())


@settings(max_examples=500, deadline=None)
@given(GRAPH | JSON, st.booleans())
def test_any_graph_is_valid_or_refused_with_pointers_into_it(graph: Any, complete: bool) -> None:
    problems: Sequence[Problem] = ()
    nodes: list[Node] = []
    try:
        nodes = parse_graph(graph, complete=complete)
    except ValidationFailed as failed:
        problems = failed.problems
    if problems:
        assert len(problems) <= 100
        assert all(problem.detail and str(problem.pointer).startswith(GRAPH_POINTER) for problem in problems)
        return
    ids = [raw["id"] for raw in graph.get("nodes", [])]
    assert len(set(ids)) == len(ids)
    assert {node.id for node in nodes} <= set(ids)
    if complete:
        assert [node.id for node in nodes] == ids != []
    for node in nodes:
        assert node.raw["command"].startswith(f"{node.team}/{node.component}:{node.function}")
    for edge in emitted(graph, {})["edges"]:
        assert not complete or {edge["source"], edge["target"]} <= set(ids)
        assert edge["id"].endswith(f"{edge['source']}:{edge['target']}")
