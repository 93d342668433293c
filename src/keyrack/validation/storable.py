"""Checks what can be stored and sent again: JSON of well-formed text and bounded depth."""

import math
import re
from collections.abc import Iterator

from keyrack.errors import Problem
from keyrack.validation.pointer import join

MAX_DEPTH = 100
MAX_PROBLEMS = 100
"""Problems reported at once; a hostile document could hold hundreds of thousands."""
_ILL_FORMED = re.compile("[\0\ud800-\udfff]")


def unstorable(value: object, pointer: str) -> list[Problem]:
    """Return what in a JSON value cannot be stored: NUL, lone surrogates, NaN, nesting deeper than `MAX_DEPTH`.

    Args:
        value: a parsed JSON value.
        pointer: where it stands in the request.

    Returns:
        At most `MAX_PROBLEMS` problems; empty when all is well. An ill-formed member name is reported at its
        parent, since it cannot be printed.
    """
    if _all_well(value):
        return []
    problems: list[Problem] = []
    pending: list[tuple[object, str, int]] = [(value, pointer, 0)]
    while pending and len(problems) < MAX_PROBLEMS:
        item, where, depth = pending.pop()
        if depth > MAX_DEPTH:
            problems.append(Problem(f"is nested deeper than {MAX_DEPTH} levels", pointer))
            break
        if isinstance(item, str) and not _well_formed(item):
            problems.append(Problem("contains NUL or a lone surrogate", where))
        elif isinstance(item, float) and not math.isfinite(item):
            problems.append(Problem("is not a finite number", where))
        elif isinstance(item, dict) and not all(isinstance(name, str) and _well_formed(name) for name in item):
            problems.append(Problem("has a member whose name contains NUL or a lone surrogate", where))
        else:
            pending.extend((child, inner, depth + 1) for child, inner in _children(item, where))
    return problems


def _children(item: object, where: str) -> Iterator[tuple[object, str]]:
    if isinstance(item, dict):
        yield from ((child, join(where, name)) for name, child in item.items())
    elif isinstance(item, list):
        yield from ((child, join(where, index)) for index, child in enumerate(item))


def _well_formed(text: str) -> bool:
    return _ILL_FORMED.search(text) is None


def _all_well(value: object) -> bool:
    """Tell whether nothing is wrong with a value: most are so, and then nobody asks where something stands."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for item in level:
            if isinstance(item, str):
                if not _well_formed(item):
                    return False
            elif isinstance(item, dict):
                if not all(isinstance(name, str) and _well_formed(name) for name in item):
                    return False
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, float) and not math.isfinite(item):
                return False
        if not inner:
            return True
        level = inner
    return False
