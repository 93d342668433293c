"""`keyrack providers test`: plays provider profiles against the simulator's twin of each."""

import asyncio
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.conformance.report import Report
    from keyrack.oauth.profiles.model import ProviderProfile

_MAX_BYTES = 8 << 20


def play_profiles(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Of profiles; none: all that come along, or all of the file."),
    ] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A profile of your own, in TOML or JSON, or a JSON list or object of several."),
    ] = None,
    requests: Annotated[
        bool, typer.Option("--requests", help="Show each request as the provider gets it, with secrets masked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play profiles against strict twins of providers.

    The twin accepts exactly what the profile says. Exits with 1 unless every profile held. Needs no database, and no
    provider is asked.
    """
    profiles = _chosen(names or (), file)
    reports = asyncio.run(_played(profiles))
    if as_json:
        show_json({"profiles": [each.document for each in reports]})
    else:
        for each in reports:
            _show(each, requests=requests)
        _count(reports)
    if any(each.outcome != "held" for each in reports):
        raise typer.Exit(1)


async def _played(profiles: "Iterable[ProviderProfile]") -> "list[Report]":
    from keyrack.conformance.installation import embedded_keyrack
    from keyrack.conformance.play import played

    async with embedded_keyrack() as made:
        return [await played(made, profile) for profile in profiles]


def _chosen(names: Sequence[str], file: Path | None) -> "list[ProviderProfile]":
    """Return the profiles that are meant.

    Raises:
        NotFound: there is none of a name.
        ValidationFailed: one of the file is none.
    """
    from keyrack.errors import NotFound
    from keyrack.oauth.profiles.catalogue import catalogue
    from keyrack.validation.known_names import close_to

    known = catalogue() if file is None else {each.name: each for each in _of_file(file)}
    for name in names:
        if name not in known:
            meant = close_to(name, known)
            hint = f"; is it {meant}?" if meant else "; a file is given as --file" if Path(name).exists() else ""
            raise NotFound(f"there is no profile {name}{hint}")
    return [known[name] for name in names] if names else list(known.values())


def _of_file(file: Path) -> "list[ProviderProfile]":
    """Return the profiles of a file; one without a name is called as the file is."""
    from keyrack.errors import BadRequest, Problem, ValidationFailed
    from keyrack.oauth.profiles.reading import profile_of

    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise BadRequest("the file is larger than 8 MiB")
    try:
        text = content.decode()
        said: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError):
        kind = "TOML" if file.suffix == ".toml" else "JSON, which a file is taken for unless it is called .toml"
        raise BadRequest(f"{file} is no {kind}") from None
    found = []
    for name, document in _documents(said, file.stem):
        try:
            found.append(profile_of({"name": name, **document} if isinstance(document, dict) else document))
        except ValidationFailed as wrong:
            problems = (Problem(f"{name}: {each.pointer or '/'}: {each.detail}") for each in wrong.problems)
            raise ValidationFailed(*problems) from None
    return found


def _documents(said: Any, stem: str) -> list[tuple[str, Any]]:
    """Return the profiles of a document, each with the name that it has if it says none."""
    if isinstance(said, list):
        return [(f"{stem}-{number}", each) for number, each in enumerate(said, 1)]
    if (
        isinstance(said, dict)
        and said
        and "endpoints" not in said
        and all(isinstance(each, dict) for each in said.values())
    ):
        return list(said.items())
    return [(stem, said)]


def _show(report: "Report", *, requests: bool) -> None:
    typer.echo(visible(f"{report.name} ({report.grant}): {report.outcome.value}"))
    for step in report.steps:
        if step.outcome != "held":
            for line in step.told:
                typer.echo(visible(f"  {step.name}: {line}"))
    if requests:
        for each in report.requests:
            typer.echo(visible(f"  {each['request']}: {each['method']} {each['address']}"))
            for part in ("own_query", "parameters", "headers"):
                for name, value in each.get(part, {}).items():
                    typer.echo(visible(f"    {part.removesuffix('s')} {name}: {value}"))


def _count(reports: "Sequence[Report]") -> None:
    counts = {outcome: sum(each.outcome == outcome for each in reports) for outcome in ("held", "differs", "refused")}
    text = (
        f"{len(reports)} profile{'' if len(reports) == 1 else 's'}: {counts['held']} held, {counts['differs']} differ"
    )
    typer.echo(text + (f", {counts['refused']} ask for what Keyrack does not do" if counts["refused"] else ""))
