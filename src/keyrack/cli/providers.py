"""`keyrack providers`."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json, show_list
from keyrack.cli.provider_tests import play_profiles
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.oauth.profiles.model import ProviderProfile
    from keyrack.service.importers.providers.conversion import ConvertedEntry

providers = typer.Typer(no_args_is_help=True)
providers.command("test")(play_profiles)


class CatalogueFormat(StrEnum):
    """Whose catalogue a file is."""

    nango = "nango"
    grant = "grant"


@providers.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="The catalogue; `-` reads standard input.")],
    *,
    catalogue: Annotated[
        CatalogueFormat, typer.Option("--format", help="nango: a providers.yaml; grant: an oauth.json.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write each profile to, as NAME.json; made if need be.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert another project's catalogue into provider profiles.

    Says of each OAuth entry whether its profile says all that the entry does, and else which members it does not.
    Needs no server and no database.
    """
    from keyrack.service.importers.providers.files import converted_file

    entries = list(converted_file(_content(file), catalogue))
    if out is not None:
        _write(out, entries)
    if as_json:
        show_json({"entries": [each.document for each in entries]})
        return
    for each in entries:
        if not each.lossless:
            typer.echo(visible(f"{each.name}: not expressed: {', '.join(each.not_expressed)}"))
    whole = sum(each.lossless for each in entries)
    typer.echo(visible(f"{file}: {len(entries)} OAuth entries, {whole} without loss"))


def _content(file: Path) -> bytes:
    from keyrack.service.importers.providers.files import MAX_BYTES

    if str(file) == "-":
        return typer.get_binary_stream("stdin").read(MAX_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _write(folder: Path, entries: "list[ConvertedEntry]") -> None:
    from keyrack.oauth.profiles.reading import document_of

    folder.mkdir(parents=True, exist_ok=True)
    for each in entries:
        text = json.dumps(document_of(each.profile), indent=2, ensure_ascii=False)
        (folder / f"{each.profile.name}.json").write_text(f"{text}\n", "utf-8")


@providers.command("list")
def list_profiles(
    *,
    search: Annotated[str, typer.Option("--search", help="Part of the name or title.")] = "",
    as_json: Json = False,
) -> None:
    """List the provider profiles that come with Keyrack."""
    from keyrack.oauth.profiles.catalogue import matching

    rows: list[dict[str, Any]] = [
        {
            "name": each.name,
            "title": each.title,
            "grant": each.grant.value,
            "legacy": each.is_legacy,
            "documentation": each.documentation,
        }
        for each in matching(search)
    ]
    if not as_json:
        rows = [{**row, "legacy": "yes" if row["legacy"] else ""} for row in rows]
    show_list(("name", "title", "grant", "legacy", "documentation"), rows, as_json=as_json)


@providers.command("show")
def show_profile(
    name: Annotated[str, typer.Argument(help="Name of the profile.")],
    *,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="Show the requests that it makes, with example values and *** for secrets."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a profile.

    What to register where, what has cost others a day, and all that it says.
    """
    from keyrack.errors import NotFound
    from keyrack.oauth.profiles.catalogue import catalogue
    from keyrack.oauth.profiles.reading import document_of
    from keyrack.validation.known_names import close_to

    profile = catalogue().get(name)
    if profile is None:
        meant = close_to(name, catalogue())
        raise NotFound(f"there is no such profile{f'; is it {meant}?' if meant else ''}")
    if trace:
        _show_requests(profile, as_json=as_json)
        return
    if as_json:
        show_json(document_of(profile))
        return
    legacy = ", which is legacy: only where the provider has nothing better" if profile.is_legacy else ""
    typer.echo(visible(f"{profile.title} ({profile.name}), {profile.grant.value}{legacy}"))
    if profile.documentation:
        typer.echo(visible(f"{profile.documentation}, as of {profile.written}"))
    for title, lines in (("Register", profile.registration), ("Beware", profile.traps)):
        if lines:
            typer.echo(f"\n{title}:")
            for number, line in enumerate(lines, 1):
                typer.echo(visible(f"  {number}. {line}"))
    typer.echo("\nProfile:")
    _show_nested(
        {key: value for key, value in document_of(profile).items() if key not in ("registration", "traps")}, "  "
    )


def _show_requests(profile: "ProviderProfile", *, as_json: bool) -> None:
    from keyrack.service.clients.profile_trace import example_requests

    requests = example_requests(profile)
    if as_json:
        show_json({"requests": [{"purpose": each.purpose, "request": each.text} for each in requests]})
        return
    for each in requests:
        typer.echo(f"--- {each.purpose}")
        for line in each.text.split("\n"):
            typer.echo(f"> {visible(line)}".rstrip())
        typer.echo("")


def _show_nested(value: "Mapping[str, Any]", indent: str) -> None:
    for name, inner in value.items():
        if isinstance(inner, dict):
            typer.echo(visible(f"{indent}{name}:"))
            _show_nested(inner, indent + "  ")
        else:
            text = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
            typer.echo(f"{indent}{visible(name)}: {visible(text)}")
