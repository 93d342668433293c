"""Metadata, column types and columns that all tables share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


class Moment(TypeDecorator[datetime]):
    """A time, stored as whole milliseconds since 1970 so that it means the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware time into milliseconds."""
        del dialect
        return None if value is None else as_milliseconds(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        """Return what turns milliseconds into an aware time in UTC."""
        del dialect, coltype
        return as_moment


def as_milliseconds(value: datetime) -> int:
    """Return an aware time as it is stored."""
    return (value - _EPOCH) // _MILLISECOND


def as_moment(value: int | None) -> datetime | None:
    """Return the time that is stored as so many milliseconds."""
    return None if value is None else _EPOCH + value * _MILLISECOND


Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(24)


Ordered = Text().with_variant(Text(collation="C"), "postgresql")
"""A text that is sorted by its characters' numbers, on every database alike."""

EmailKey = String(320).with_variant(String(320, collation="C"), "postgresql")
"""A form in which emails are compared, sorted as `Ordered`."""


def own_id() -> Column[Any]:
    """The primary key."""
    return Column("id", Id, primary_key=True)


def tenant() -> Column[Any]:
    """The tenant whose data a row is; it goes with the tenant."""
    return Column("tenant_id", Id, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def belongs_to(name: str, target: str, **options: Any) -> Column[Any]:
    """A parent that takes the row with it."""
    return Column(name, Id, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def indexed_where_set(table: Table, column: str, *more: str) -> None:
    """Add an index over a column that few rows have, and what is read along with it."""
    is_set = table.c[column].is_not(None)
    names = [table.c[name] for name in (column, *more)]
    Index(f"{table.name}_{column}_idx", *names, postgresql_where=is_set, sqlite_where=is_set)


def at(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[Any]:
    """A time."""
    return Column(name, Moment, nullable=nullable, primary_key=primary_key)


def rotation_columns() -> tuple[Column[Any], ...]:
    """What a client has while its secret is rotated: the other live secret, how it stands, when it is looked at."""
    return (
        Column("sealed_second_secret", LargeBinary),
        Column("rotation", Document),
        at("rotation_due_at", nullable=True),
    )
