"""What a diagnosis has found, each with what to change and where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad a finding is."""

    ok = "ok"
    """As it should be."""
    notice = "notice"
    """Worth knowing; or it could not be told."""
    warning = "warning"
    """Likely to fail for some, or later."""
    error = "error"
    """Connecting or refreshing fails because of it."""


class Where(StrEnum):
    """Where something is changed."""

    client = "client"
    """In the auth client or OAuth client: with PATCH, at the pointer."""
    component = "component"
    """In the `component.json` of the component, at the pointer."""
    provider = "provider"
    """Where the client is registered at the provider."""
    installation = "installation"
    """In the settings of this installation, or on its machine; the pointer is the setting."""


class Place(NamedTuple):
    """Where to change something; `pointer` is a JSON pointer, the name of a setting, or None."""

    where: Where
    pointer: str | None = None


AT_PROVIDER = Place(Where.provider)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word, such as `client_authentication`.
        level: how bad it is.
        seen: what was seen, for a person; without anything secret.
        change: what to change; empty where nothing is to be.
        place: where to change it.
    """

    check: str
    level: Level
    seen: str
    change: str = ""
    place: Place | None = None


Places = Mapping[str, Place]
"""Where each part of a client is changed, by its name: `token_endpoint`, `client_secret`, `pkce` and so on."""

_ORDER = tuple(Level)


def worst_of(findings: Iterable[Finding]) -> Level:
    """Return the worst level among findings; `ok` if there is none."""
    return max((finding.level for finding in findings), key=_ORDER.index, default=Level.ok)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the worst first, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: -_ORDER.index(finding.level)))
