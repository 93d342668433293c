"""The beginnings by which things are found by name, of what is there already, too."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_ID = sa.String(length=24)
_WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_AT_ONCE, _LONGEST, _MOST, _READ = 1000, 64, 12, 1000
_NO_LETTER = re.compile(r"[\W_]+")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

_TENANT, _WORKSPACE = (), ("workspace_id",)
_INDEXED: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "users": ("user", ("email", "first_name", "last_name", "company"), _TENANT),
    "contracts": ("contract", ("name",), _TENANT),
    "workspaces": ("workspace", ("name",), ("contract_id",)),
    "teams": ("team", ("name",), ("contract_id",)),
    "webhooks": ("webhook", ("description",), _TENANT),
    "components": ("component", ("name",), ("contract_id", "access")),
    "auth_clients": ("auth-client", ("name",), ("contract_id", "workspace_id")),
    "credentials": ("credential", ("name",), _WORKSPACE),
    "auth_secrets": ("auth-secret", ("name",), _WORKSPACE),
    "flows": ("flow", ("name",), _WORKSPACE),
}
"""By table: what its rows are called, what they are found by, and what decides where."""


def upgrade() -> None:
    """Create the table, fill it, and let the database forget the words of what is deleted."""
    words = op.create_table(
        "search_words",
        sa.Column("place_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("word", _WORD, nullable=False),
        sa.Column("object_id", _ID, nullable=False),
        sa.Column("tenant_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("place_id", "kind", "word", "object_id", name=op.f("search_words_pkey")),
    )
    for table in _INDEXED:
        for rows in _pages(table):
            found = [record for row in rows for record in _records(table, row)]
            if found:
                op.get_bind().execute(sa.insert(words), found)
    op.create_index("search_words_object_id_idx", "search_words", ["object_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION search_words_forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " DELETE FROM search_words WHERE object_id IN (SELECT id FROM gone); RETURN NULL; END $$"
        )
    for table in _INDEXED:
        op.execute(_trigger(table, op.get_bind().dialect.name))


def downgrade() -> None:
    """Drop it all."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in _INDEXED:
        op.execute(f"DROP TRIGGER {table}_search_words{f' ON {table}' if postgresql else ''}")
    if postgresql:
        op.execute("DROP FUNCTION search_words_forget()")
    op.drop_table("search_words")


def _trigger(table: str, dialect: str) -> str:
    if dialect == "postgresql":
        return (
            f"CREATE TRIGGER {table}_search_words AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone"
            " FOR EACH STATEMENT EXECUTE FUNCTION search_words_forget()"
        )
    forgetting = "DELETE FROM search_words WHERE object_id = OLD.id"
    return f"CREATE TRIGGER {table}_search_words AFTER DELETE ON {table} BEGIN {forgetting}; END"


def _pages(table: str) -> Iterator[list[dict[Any, Any]]]:
    _, names, decides = _INDEXED[table]
    rows = sa.table(table, *(sa.column(name) for name in ("id", "tenant_id", *names, *decides)))
    last = ""
    while True:
        page = sa.select(*rows.c).where(rows.c.id > last).order_by(rows.c.id).limit(_AT_ONCE)
        found = [dict(row) for row in op.get_bind().execute(page).mappings()]
        if not found:
            return
        yield found
        last = found[-1]["id"]


def _records(table: str, row: Mapping[str, Any]) -> list[dict[str, str]]:
    kind, names, _ = _INDEXED[table]
    about = {"kind": kind, "object_id": row["id"], "tenant_id": row["tenant_id"]}
    lists = [_beginnings(_key(row[name])) for name in names if row[name]]
    turns = (words[turn] for turn in range(_MOST) for words in lists if turn < len(words))
    words = list(dict.fromkeys(turns))[:_MOST]
    return [{**about, "place_id": place, "word": word} for place in _places(table, row) for word in words]


def _places(table: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    if table == "components":
        places = {"team": row["contract_id"], "tenant": row["tenant_id"], "global": ""}
        return (places[row["access"]],)
    if table == "auth_clients":
        return (row["workspace_id"] or row["contract_id"] or row["tenant_id"],)
    if "workspace_id" in row:
        return (row["workspace_id"],)
    return (row["tenant_id"], row["contract_id"]) if "contract_id" in row else (row["tenant_id"],)


def _key(text: str) -> str:
    """Return what `keyrack.store.core.search_words.search_word` returned when this was written."""
    text = text[:_READ]
    if text.isascii() and text.isprintable():
        return " ".join(text.lower().split())
    seen = "".join(
        " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFKC", text)
        if letter.isspace() or unicodedata.category(letter) not in _UNSEEN
    )
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def _beginnings(text: str) -> list[str]:
    starts = [found.end() for found in _NO_LETTER.finditer(text) if found.end() < len(text)]
    if text and not _NO_LETTER.match(text):
        starts.insert(0, 0)
    return [text[start : start + _LONGEST].rstrip() for start in starts[:_MOST]]
