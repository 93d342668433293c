"""Compiles the hot path's queries once and runs them on the raw driver; others share their expressions."""

import keyword
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query's text for a driver.

    Attributes:
        text: with the driver's placeholders.
        parameters: names of the bound parameters in the order of the placeholders.
        read: makes of a driver's row one with named members and Python's values, as SQLAlchemy would.
    """

    text: str
    parameters: tuple[str, ...]
    read: Callable[[Sequence[Any]], Any]


def compiled(query: "Select[Any]", dialect: Dialect, values: Dialect | None = None) -> CompiledQuery:
    """Compile a query.

    Args:
        query: all its values are named bound parameters.
        dialect: whose placeholders to use.
        values: whose rules say what a driver's values mean; those of `dialect` by default.

    Raises:
        ValueError: a column has the name of a Python keyword, so no row could have a member of that name.
    """
    made = query.compile(dialect=dialect)
    columns = list(query.selected_columns)
    rules = values or dialect
    processors = [column.type.dialect_impl(rules).result_processor(rules, None) for column in columns]
    needed = [(place, processor) for place, processor in enumerate(processors) if processor is not None]
    names = [str(column.name) for column in columns]
    if any(keyword.iskeyword(name) for name in names):
        raise ValueError("a column has the name of a Python keyword")
    row_type = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - the members are the query's columns

    def read(row: Sequence[Any]) -> Any:
        row_values = list(row)
        for place, processor in needed:
            row_values[place] = processor(row_values[place])
        return row_type._make(row_values)

    return CompiledQuery(str(made), tuple(made.positiontup or ()), read)
