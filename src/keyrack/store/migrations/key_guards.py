"""Triggers on data keys: no value is stored under a key that is gone, and everybody hears when a key comes or goes.

Brought up to date by each `upgrade`, from the tables as they are then, so that no migration has to think of them. A
value names its data key (`keyrack.crypto.envelope`); what does not begin like an envelope is left to whoever opens it.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from keyrack.store.access_changes import KEY_CHANNEL
from keyrack.store.core.database_errors import DATA_KEY_GONE
from keyrack.store.sealed_columns import SEALED_COLUMNS

_SHORTEST = 25  # version, key id and nonce
_PREFIX = "data_key_guard_"
_NOTIFIER = f"{_PREFIX}notifies"


_NOTICE = f" BEGIN PERFORM pg_notify('{KEY_CHANNEL}', COALESCE(NEW.tenant_id, OLD.tenant_id)); RETURN NULL; END "
_THERE = text(
    "SELECT p.proname, p.prosrc, c.relname FROM pg_proc p"
    " LEFT JOIN pg_trigger t ON t.tgfoid = p.oid LEFT JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE :name"
)


def install(connection: Connection) -> None:
    """Create the triggers; on PostgreSQL those that are there as they should be stay.

    Making one anew takes its table from everybody: with many tables that ends in a deadlock with whoever uses several.
    """
    if connection.dialect.name == "postgresql":
        _install_on_postgresql(connection)
        return
    remove(connection)
    for table, columns in SEALED_COLUMNS.items():
        for statement in _sqlite(table.name, [column.name for column in columns]):
            connection.execute(text(statement))


def _install_on_postgresql(connection: Connection) -> None:
    there = {row.proname: (row.relname, row.prosrc) for row in connection.execute(_THERE, {"name": f"{_PREFIX}%"})}
    guards = {
        _name(table.name): (table.name, _checks([column.name for column in columns]), "BEFORE INSERT OR UPDATE")
        for table, columns in SEALED_COLUMNS.items()
    }
    wanted = guards | {_NOTIFIER: ("data_keys", _NOTICE, "AFTER INSERT OR DELETE OR UPDATE OF tenant_id")}
    for name in there.keys() - {name for name, (table, body, _) in wanted.items() if there.get(name) == (table, body)}:
        connection.execute(text(f"DROP FUNCTION {name}() CASCADE"))
    for name, (table, body, when) in wanted.items():
        if there.get(name) != (table, body):
            connection.execute(text(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"))
            connection.execute(text(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"))


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


def _checks(columns: list[str]) -> str:
    """Return what makes a row's data keys stay until the transaction ends, as a foreign key would."""
    checks = " ".join(
        f"IF NEW.{name} IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.{name} IS DISTINCT FROM OLD.{name})"
        f" AND length(NEW.{name}) >= {_SHORTEST} AND get_byte(NEW.{name}, 0) = 1 THEN"
        f" PERFORM FROM data_keys WHERE id = encode(substr(NEW.{name}, 2, 12), 'hex') FOR KEY SHARE;"
        f" IF NOT FOUND THEN RAISE EXCEPTION 'the data key is gone'"
        f" USING ERRCODE = 'check_violation', CONSTRAINT = '{DATA_KEY_GONE}'; END IF; END IF;"
        for name in columns
    )
    return f" BEGIN {checks} RETURN NEW; END "


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
