"""What the examination of an installation finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: `error`, something does not work or grants are at risk; `warning`, it may come to that."""

    ok = "ok"
    warning = "warning"
    error = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, a word that stays.
        level: how bad it is.
        seen: what was seen; nothing secret.
        change: what to change; empty where nothing has to be.
        where: a setting, a file or a place where to change it; empty where there is none.
    """

    check: str
    level: Level
    seen: str
    change: str = ""
    where: str = ""


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level among findings."""
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.ok)


def ok(check: str, seen: str) -> Finding:
    """Return that something is well."""
    return Finding(check, Level.ok, seen)


def warning(check: str, seen: str, change: str, where: str = "") -> Finding:
    """Return that something may become a problem."""
    return Finding(check, Level.warning, seen, change, where)


def error(check: str, seen: str, change: str, where: str = "") -> Finding:
    """Return that something does not work, or puts grants at risk."""
    return Finding(check, Level.error, seen, change, where)
