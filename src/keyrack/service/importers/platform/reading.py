"""Reads the records of an import file, and collects what is wrong with them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from keyrack.errors import Problem
from keyrack.ids import is_id
from keyrack.service.importers.platform.format import SECTIONS, SHAPES
from keyrack.service.importers.platform.told_ids import ToldIds
from keyrack.validation.check import misshapen
from keyrack.validation.storable import unstorable


@dataclass(slots=True)
class Report:
    """All that was found: problems forbid the import, warnings do not. Neither shows a value of the file."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, detail: str, pointer: str) -> None:
        """Note what is wrong."""
        self.problems.append(Problem(detail, pointer))

    def warn(self, detail: str, pointer: str) -> None:
        """Note what is odd."""
        self.warnings.append(Problem(detail, pointer))


def records(
    section: str, raws: Iterable[str], report: Report, broken: set[str], told: ToldIds
) -> Iterator[tuple[str, Any]]:
    """Go through the records of a section that have the right form; the others are reported.

    Args:
        section: its name.
        raws: its records as text.
        report: where problems go.
        broken: gets the ids of records that are wrong: what refers to them is not at fault.
        told: the ids of the records that the file has.

    Returns:
        Pointers and records.
    """
    for index, raw in enumerate(raws):
        pointer = f"/{section}/{index}"
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            report.problem("cannot be read", pointer)
            continue
        found = unstorable(value, pointer) or misshapen(value, SECTIONS[section], pointer)
        if section in SHAPES and not found:
            found = misshapen(value, SHAPES[section], pointer)
        given = value.get("id") if isinstance(value, dict) else None
        if found:
            report.problems += found
            if isinstance(given, str) and is_id(given):
                broken.add(given)
            continue
        record: Any = msgspec.convert(value, SECTIONS[section])
        if not told.is_first(section, record.id):
            report.problem("another record of this kind has this id", f"{pointer}/id")
            continue
        yield pointer, record
