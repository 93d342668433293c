"""Reads members of a JSON object by type and gathers every problem on the way."""

from collections.abc import Iterator, Mapping
from typing import Any

from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.json_types import A_BOOLEAN, A_STRING, AN_ARRAY, AN_OBJECT, wrong_type
from keyrack.validation.pointer import join
from keyrack.validation.storable import MAX_PROBLEMS

Json = Mapping[str, Any]


class Reader:
    """Typed access to JSON members.

    Each method returns the member, or a neutral value when it is absent, null, or of the wrong type; the last
    is noted as a problem. Values never appear in a problem.

    Args:
        lossless: what would be left out is a problem too, see `note_loss`.
    """

    def __init__(self, *, lossless: bool = False) -> None:
        self._problems: list[Problem] = []
        self._lossless = lossless

    def note(self, detail: str, pointer: str) -> None:
        """Note a problem; those past `MAX_PROBLEMS` are dropped."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(detail, pointer))

    def note_loss(self, detail: str, pointer: str) -> None:
        """Note a member that says something and is left out, if that is a problem here."""
        if self._lossless:
            self.note(detail, pointer)

    def finish(self) -> None:
        """Raise `ValidationFailed` with everything noted, if there is anything."""
        if self._problems:
            raise ValidationFailed(*self._problems)

    def string(self, owner: Json, name: str, base: str) -> str | None:
        """Return a string member or None."""
        value = owner.get(name)
        if value is None or isinstance(value, str):
            return value
        self.note(wrong_type(A_STRING, value), join(base, name))
        return None

    def boolean(self, owner: Json, name: str, base: str, *, default: bool = False) -> bool:
        """Return a boolean member or the default; a text such as "true" is not a boolean."""
        value = owner.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self.note(wrong_type(A_BOOLEAN, value), join(base, name))
        return default

    def mapping(self, owner: Json, name: str, base: str) -> Json | None:
        """Return an object member or None."""
        value = owner.get(name)
        if value is None or isinstance(value, dict):
            return value
        self.note(wrong_type(AN_OBJECT, value), join(base, name))
        return None

    def strings(self, owner: Json, name: str, base: str) -> tuple[str, ...]:
        """Return the items of an array of strings; empty when there is none."""
        value = owner.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.note(wrong_type(f"{AN_ARRAY} of strings", value), join(base, name))
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.note(wrong_type(A_STRING, item), join(base, name, index))
        return tuple(item for item in value if isinstance(item, str))

    def mappings(self, owner: Json, pointer: str) -> Iterator[tuple[str, Json]]:
        """Yield the members of an object whose values are objects (null counts as an empty one)."""
        for name, value in owner.items():
            if value is None or isinstance(value, dict):
                yield name, value or {}
            else:
                self.note(wrong_type(AN_OBJECT, value), join(pointer, name))
