"""`keyrack providers`."""

import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, show_json
from keyrack.visible import visible

if TYPE_CHECKING:
    from keyrack.service.importers.providers.conversion import ConvertedEntry

providers = typer.Typer(no_args_is_help=True)

_MAX_BYTES = 8 << 20


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
    entries = list(_conversion(catalogue)(_read(file, catalogue)))
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


def _conversion(catalogue: CatalogueFormat) -> "Callable[[Mapping[str, Any]], Iterator[ConvertedEntry]]":
    from keyrack.service.importers.providers import grant, nango

    return {CatalogueFormat.nango: nango.converted, CatalogueFormat.grant: grant.converted}[catalogue]


def _read(file: Path, catalogue: CatalogueFormat) -> Mapping[str, Any]:
    """Return what a catalogue holds, by name.

    Raises:
        BadRequest: the file is too large, or is not in the format.
    """
    from keyrack.errors import BadRequest
    from keyrack.validation.small_yaml import parse_yaml

    content = typer.get_binary_stream("stdin").read(_MAX_BYTES + 1) if str(file) == "-" else _bytes(file)
    if len(content) > _MAX_BYTES:
        raise BadRequest("the file is larger than 8 MiB")
    try:
        found = parse_yaml(content) if catalogue is CatalogueFormat.nango else json.loads(content)
    except (ValueError, RecursionError):
        raise BadRequest(f"the file is not in the format {catalogue}") from None
    if not isinstance(found, dict):
        raise BadRequest(f"the file is not in the format {catalogue}: it has no entries by name")
    return found


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MAX_BYTES + 1)


def _write(folder: Path, entries: "list[ConvertedEntry]") -> None:
    from keyrack.oauth.profiles.reading import document_of

    folder.mkdir(parents=True, exist_ok=True)
    for each in entries:
        if each.profile is not None:
            text = json.dumps(document_of(each.profile), indent=2, ensure_ascii=False)
            (folder / f"{each.profile.name}.json").write_text(f"{text}\n", "utf-8")
