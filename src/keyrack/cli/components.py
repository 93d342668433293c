"""`keyrack components`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.descriptor.lint import Findings
    from keyrack.errors import Problem

components = typer.Typer(no_args_is_help=True)

_MAX_BYTES = 1 << 20
_IN_REQUEST = 3
"""A descriptor stands in three objects of a request: it may be nested so much less."""


@components.command("lint")
def lint_file(
    file: Annotated[Path, typer.Argument(help="The component.json; `-` reads standard input.")],
    *,
    as_json: Json = False,
) -> None:
    """Say what is wrong with a component.json.

    Errors are what a build is refused for, warnings what looks wrong. Needs no server.
    """
    found = _judged(_content(file))
    if as_json:
        show_json({"errors": _objects(found.errors), "warnings": _objects(found.warnings)})
    else:
        for word, problems in (("error", found.errors), ("warning", found.warnings)):
            for problem in problems:
                at = "" if problem.pointer is None else f"{problem.pointer or 'the file'}: "
                typer.echo(visible(f"{word}: {at}{problem.detail}"))
        typer.echo(visible(f"{file}: {_count(found.errors, 'error')}, {_count(found.warnings, 'warning')}"))
    if found.errors:
        raise typer.Exit(1)


def _content(file: Path) -> bytes:
    if str(file) == "-":
        return typer.get_binary_stream("stdin").read(_MAX_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(_MAX_BYTES + 1)


def _judged(content: bytes) -> "Findings":
    from keyrack.descriptor.lint import Findings
    from keyrack.errors import BadRequest, Problem
    from keyrack.service.components.descriptor_rules import judged
    from keyrack.validation.strict_json import MAX_DEPTH, parse_json

    if len(content) > _MAX_BYTES:
        return Findings((Problem("the file is larger than 1 MiB, which no request may be"),), ())
    try:
        return judged(parse_json(content, "the file", max_depth=MAX_DEPTH - _IN_REQUEST))
    except BadRequest as refused:
        return Findings(tuple(refused.problems), ())


def _count(problems: "Sequence[Problem]", word: str) -> str:
    return f"{len(problems)} {word}{'' if len(problems) == 1 else 's'}"


def _objects(problems: "Sequence[Problem]") -> list[Mapping[str, Any]]:
    """Return problems as JSON:API has them in an answer."""
    return [{"detail": problem.detail, "source": {"pointer": problem.pointer or ""}} for problem in problems]
