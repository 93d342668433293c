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
    convert, read, mark = _READERS[catalogue]
    try:
        found = read(content)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise BadRequest(f"the file is not in the format of {catalogue}") from None
    if not isinstance(found, dict):
        raise BadRequest(f"the file is not in the format of {catalogue}: it has no entries by name")
    if not any(isinstance(entry, dict) and mark in entry for entry in found.values()):
        raise BadRequest(f"the file is not in the format of {catalogue}: no entry of it has {mark}")
    return convert(found)


def _parse_yaml(content: bytes) -> Any:
    """Return what YAML says, without aliases: nothing can stand for more than it has letters."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, _Loader)):
        raise yaml.YAMLError
    return yaml.load(content, _Loader)  # noqa: S506 - the safe one


_Convert = Callable[[Mapping[str, Any]], Iterator[ConvertedEntry]]
_READERS: Mapping[str, tuple[_Convert, Callable[[bytes], Any], str]] = {
    "nango": (nango.converted, _parse_yaml, "auth_mode"),
    "grant": (grant.converted, json.loads, "oauth"),
}
"""By format: what converts the entries, what reads the file, and the member by which an entry says its kind."""
