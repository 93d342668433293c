"""Contract section 19.4, plain texts."""

import time

import pytest

from keyrack.descriptor.template import placeholders, render, sole_placeholder, unresolved


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("plain", []),
        ("{{A}}", ["A"]),
        ("{{ A }}-{{\tb.c-d }}{{A}}", ["A", "b.c-d", "A"]),
        ("{{}} {{ }} {A} {{A} {A}}", []),
        ("{{a b}} {{#if x}}", []),
        ("{{{A}}}", ["A"]),
        ("{{{{A}}}}", ["A"]),
        ("{{A\n}}", []),
        ("{{größe}}", ["größe"]),
    ],
)
def test_placeholders(text: str, names: list[str]) -> None:
    assert placeholders(text) == names


def test_rendering_is_plain_and_in_one_pass() -> None:
    context = {"A": "{{B}}", "B": "<&\\1\\g<0>>", "C": "{{"}
    assert render("{{A}}|{{ B }}|{{C}}A}}|{{missing}}|{{A}}", context) == "{{B}}|<&\\1\\g<0>>|{{A}}||{{B}}"


def test_unresolved_names_each_variable_once() -> None:
    assert unresolved("{{A}}{{B}}{{C}}{{A}}", {"B": "x", "C": ""}) == ["A", "C"]


@pytest.mark.parametrize("text", [None, "", "A", " {{A}}", "{{A}} ", "{{A}}{{B}}", "x{{A}}", "{{{A}}}", "{{A}}\n"])
def test_a_sole_placeholder_has_nothing_beside_it(text: str | None) -> None:
    assert sole_placeholder(text) is None


def test_a_sole_placeholder_may_have_spaces_inside() -> None:
    assert sole_placeholder("{{ A }}") == "A"


@pytest.mark.parametrize(
    "hostile", ["{{" * 200_000, "{{" + " " * 400_000, ("{{" + " " * 50) * 8_000, "{{" + "a" * 400_000]
)
def test_hostile_templates_take_linear_time(hostile: str) -> None:
    started = time.perf_counter()
    assert placeholders(hostile) == []
    assert time.perf_counter() - started < 20
