"""Reads the files of other projects' catalogues, which may be anybody's."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from keyrack.errors import BadRequest
from keyrack.service.importers.providers import grant, nango
from keyrack.service.importers.providers.conversion import ConvertedEntry

MAX_BYTES = 8 << 20
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where there is one: it takes a tenth of the time."""


def converted_file(content: bytes, catalogue: str) -> Iterator[ConvertedEntry]:
    """Yield each OAuth entry of a catalogue's file as a profile.

    Args:
        content: of the file.
        catalogue: whose it is: `nango` is a `providers.yaml`, `grant` an `oauth.json`.

    Raises:
        BadRequest: the file is too large, or is not in the format.
    """
    if len(content) > MAX_BYTES:
        raise BadRequest("the file is larger than 8 MiB")
    convert, read = _READERS[catalogue]
    try:
        found = read(content)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise BadRequest(f"the file is not in the format of {catalogue}") from None
    if not isinstance(found, dict):
        raise BadRequest(f"the file is not in the format of {catalogue}: it has no entries by name")
    return convert(found)


def _parse_yaml(content: bytes) -> Any:
    """Return what YAML says, without aliases: nothing can stand for more than it has letters."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, _Loader)):
        raise yaml.YAMLError
    return yaml.load(content, _Loader)  # noqa: S506 - the safe one


_READERS: Mapping[str, tuple[Callable[[Mapping[str, Any]], Iterator[ConvertedEntry]], Callable[[bytes], Any]]] = {
    "nango": (nango.converted, _parse_yaml),
    "grant": (grant.converted, json.loads),
}
