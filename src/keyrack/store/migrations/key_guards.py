"""Triggers on data keys: no value is stored under a key that is gone, and everybody hears when a key comes or goes.

Made anew by each `upgrade`, from the tables as they are then, so that no migration has to think of them. A value names
its data key (`keyrack.crypto.envelope`); what does not begin like an envelope is left to whoever opens it.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from keyrack.store.access_changes import KEY_CHANNEL
from keyrack.store.core.database_errors import DATA_KEY_GONE
from keyrack.store.sealed_columns import SEALED_COLUMNS

_SHORTEST = 25  # version, key id and nonce
_PREFIX = "data_key_guard_"
_NOTIFIER = f"{_PREFIX}notifies"


def install(connection: Connection) -> None:
    """Create the triggers."""
    remove(connection)
    make = _postgresql if connection.dialect.name == "postgresql" else _sqlite
    for table, columns in SEALED_COLUMNS.items():
        for statement in make(table.name, [column.name for column in columns]):
            connection.execute(text(statement))
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                f"CREATE FUNCTION {_NOTIFIER}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" PERFORM pg_notify('{KEY_CHANNEL}', COALESCE(NEW.tenant_id, OLD.tenant_id));"
                " RETURN NULL; END $$"
            )
        )
        connection.execute(
            text(
                f"CREATE TRIGGER {_NOTIFIER} AFTER INSERT OR DELETE OR UPDATE OF tenant_id ON data_keys"
                f" FOR EACH ROW EXECUTE FUNCTION {_NOTIFIER}()"
            )
        )


def remove(connection: Connection) -> None:
    """Drop the triggers, so that tables can be changed."""
    if connection.dialect.name == "postgresql":
        ours = "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname LIKE :name"
        what, rest = "FUNCTION", "() CASCADE"
    else:
        ours = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE :name"
        what, rest = "TRIGGER", ""
    for name in connection.scalars(text(ours), {"name": f"{_PREFIX}%"}).all():
        connection.execute(text(f"DROP {what} {name}{rest}"))


def _name(table: str) -> str:
    return f"{_PREFIX}{table}"


def _postgresql(table: str, columns: list[str]) -> list[str]:
    """Return what makes a row's data keys stay until the transaction ends, as a foreign key would."""
    checks = " ".join(
        f"IF NEW.{name} IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.{name} IS DISTINCT FROM OLD.{name})"
        f" AND length(NEW.{name}) >= {_SHORTEST} AND get_byte(NEW.{name}, 0) = 1 THEN"
        f" PERFORM FROM data_keys WHERE id = encode(substr(NEW.{name}, 2, 12), 'hex') FOR KEY SHARE;"
        f" IF NOT FOUND THEN RAISE EXCEPTION 'the data key is gone'"
        f" USING ERRCODE = 'check_violation', CONSTRAINT = '{DATA_KEY_GONE}'; END IF; END IF;"
        for name in columns
    )
    name = _name(table)
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {checks} RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _sqlite(table: str, columns: list[str]) -> list[str]:
    made = []
    for event in ("INSERT", "UPDATE"):
        bad = " OR ".join(_names_no_key(name, event) for name in columns)
        made.append(
            f"CREATE TRIGGER {_name(table)}_{event.lower()} BEFORE {event} ON {table} WHEN {bad}"
            f" BEGIN SELECT RAISE(ABORT, '{DATA_KEY_GONE}'); END"
        )
    return made


def _names_no_key(name: str, event: str) -> str:
    conditions = [
        f"NEW.{name} IS NOT NULL",
        f"length(NEW.{name}) >= {_SHORTEST}",
        f"hex(substr(NEW.{name}, 1, 1)) = '01'",
    ]
    if event == "UPDATE":
        conditions.append(f"NEW.{name} IS NOT OLD.{name}")
    there = f"SELECT 1 FROM data_keys WHERE id = lower(hex(substr(NEW.{name}, 2, 12)))"  # noqa: S608 - names of the schema
    return f"({' AND '.join(conditions)} AND NOT EXISTS ({there}))"
