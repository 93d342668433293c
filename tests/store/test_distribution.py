"""The schema can be parted by tenant: what an engine past one PostgreSQL demands of it, and what is left to do."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from keyrack.store.schema import metadata
from support.distribution import DISTRIBUTED, EXCEPTIONS, LOCAL, REFERENCE, TENANT, faults, planned
from support.postgres import PostgresServer

PARTS = 2


def test_every_table_is_distributed_or_has_a_reason_not_to_be() -> None:
    named = [*DISTRIBUTED, *REFERENCE, *LOCAL]
    assert len(named) == len(set(named))
    assert set(named) == set(metadata.tables), "which new table grows with grants or traffic, and which does not?"
    assert all(reason for reason in (*REFERENCE.values(), *LOCAL.values()))


def test_every_row_of_a_distributed_table_has_its_tenant() -> None:
    for name in DISTRIBUTED:
        column = metadata.tables[name].c[TENANT]
        assert not column.nullable, name


def test_the_tenant_is_in_every_key_of_a_distributed_table_but_for_those_that_are_named() -> None:
    assert set(faults(metadata.tables)) == set(EXCEPTIONS), "a new key has the tenant in it; an old one may have got it"


def test_what_would_be_done_about_those_leaves_none() -> None:
    assert list(faults(planned().tables)) == []


def test_postgresql_takes_the_planned_schema_as_partitions(postgres_server: PostgresServer, postgres_url: str) -> None:
    """It has the same demands of a table that is parted by hash, and refuses what does not meet them."""
    database, dialect = postgres_url.rpartition("/")[2], postgresql.dialect()  # type: ignore[no-untyped-call]
    made = planned()
    statements = list[str]()
    for table in made.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        if table.name in DISTRIBUTED:
            statements += [
                f"CREATE TABLE {table.name}_{part} PARTITION OF {table.name}"
                f" FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
                for part in range(PARTS)
            ]
        statements += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
    postgres_server.sql(";\n".join(statements), database)
    parted = postgres_server.sql("SELECT relname FROM pg_class WHERE relkind = 'p'", database)
    assert set(parted.splitlines()) == DISTRIBUTED
    foreign = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
    of_one = f"{foreign} AND conrelid::regclass::text = 'flow_secrets'"
    assert postgres_server.sql(of_one, database) == "2"
