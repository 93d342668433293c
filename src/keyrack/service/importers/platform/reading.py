"""Reads an import file record by record, so that a large one is never in memory as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from keyrack.errors import Problem, ValidationFailed
from keyrack.ids import is_id
from keyrack.service.importers.platform.format import FORMAT, SECTIONS, SHAPES, VERSION
from keyrack.validation.check import misshapen
from keyrack.validation.pointer import join
from keyrack.validation.storable import unstorable

_HEAD = {"format", "version", "secrets"}


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


def read(content: bytes) -> Mapping[str, Sequence[msgspec.Raw]]:
    """Return the records of each section, in the order in which sections refer to each other, still as text.

    Raises:
        ValidationFailed: it is no file of this format and version, with one problem for everything that is wrong.
    """
    try:
        members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        head = {name: msgspec.json.decode(members[name]) for name in _HEAD & members.keys()}
    except (msgspec.DecodeError, RecursionError):
        raise ValidationFailed(Problem("is not a JSON object", "")) from None
    if head.get("format") != FORMAT:
        raise ValidationFailed(Problem(f'must be "{FORMAT}"', "/format"))
    if head.get("version") != VERSION or head.get("version") is True:
        raise ValidationFailed(Problem(f"must be {VERSION}; this Keyrack reads no other", "/version"))
    problems = [
        Problem("is not a member of this format", join("", name)) for name in members if name not in {*_HEAD, *SECTIONS}
    ]
    found: dict[str, Sequence[msgspec.Raw]] = {}
    for name in SECTIONS:
        try:
            found[name] = msgspec.json.decode(members[name], type=list[msgspec.Raw]) if name in members else []
        except msgspec.DecodeError:
            problems.append(Problem("must be an array", f"/{name}"))
    if problems:
        raise ValidationFailed(*problems)
    return found


def records(section: str, raws: Sequence[msgspec.Raw], report: Report, broken: set[str]) -> Iterator[tuple[str, Any]]:
    """Go through the records of a section that have the right form; the others are reported.

    Args:
        section: its name.
        raws: its records as text.
        report: where problems go.
        broken: gets the ids of records that are wrong: what refers to them is not at fault.

    Returns:
        Pointers and records.
    """
    seen: set[str] = set()
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
        if record.id in seen:
            report.problem("another record of this kind has this id", f"{pointer}/id")
            continue
        seen.add(record.id)
        yield pointer, record


def again(section: str, raw: msgspec.Raw) -> Any:
    """Return a record that was found to be right before."""
    return msgspec.json.decode(raw, type=SECTIONS[section])
