"""Keeps the words by which things are found, together with the things (decision 35).

`TenantTable` and the import write through here, so whatever has a name is found by it from the transaction on that
stores it. Deleting needs nothing: triggers in the database take the words of whatever is deleted, also by a cascade.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, insert, select

from keyrack.model.components import ComponentAccess
from keyrack.store import schema as t
from keyrack.store.core.connection import Connection
from keyrack.store.core.statements import Change, Query

EVERYBODY = ""
"""The place of what all tenants share."""

LONGEST = 64
"""Characters of a word that are kept, and so of what can be looked for."""

_MOST = 12
"""Words of one object: of all its texts, the first of each before the later ones."""

_READ = 1000
"""Characters of a text that are looked at."""

_NO_LETTER = re.compile(r"[\W_]+")
_LAST, _FIRST_SURROGATE, _AFTER_SURROGATES = 0x10FFFF, 0xD800, 0xE000
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Indexed:
    """How rows of a table are found.

    Attributes:
        kind: what they are called.
        names: columns with texts that they are found by.
        places: returns where a row is looked for: with everybody, in a tenant, a contract or a workspace.
        decides: columns beside the tenant that decide about that.
    """

    kind: str
    names: tuple[str, ...]
    places: Callable[[Values], Sequence[str]]
    decides: tuple[str, ...] = ()


def _in_tenant(row: Values) -> Sequence[str]:
    return (row["tenant_id"],)


def _in_contract(row: Values) -> Sequence[str]:
    """Whoever sees the tenant's looks in the tenant, others in their contracts."""
    return row["tenant_id"], row["contract_id"]


def _in_workspace(row: Values) -> Sequence[str]:
    return (row["workspace_id"],)


def _of_component(row: Values) -> Sequence[str]:
    places = {
        ComponentAccess.team.value: row["contract_id"],
        ComponentAccess.tenant.value: row["tenant_id"],
        ComponentAccess.everyone.value: EVERYBODY,
    }
    return (places[row["access"]],)


def _of_auth_client(row: Values) -> Sequence[str]:
    return (row["workspace_id"] or row["contract_id"] or row["tenant_id"],)


INDEXED: Mapping[Table, Indexed] = {
    t.users: Indexed("user", ("email", "first_name", "last_name", "company"), _in_tenant),
    t.contracts: Indexed("contract", ("name",), _in_tenant),
    t.workspaces: Indexed("workspace", ("name",), _in_contract, ("contract_id",)),
    t.teams: Indexed("team", ("name",), _in_contract, ("contract_id",)),
    t.webhooks: Indexed("webhook", ("description",), _in_tenant),
    t.components: Indexed("component", ("name",), _of_component, ("contract_id", "access")),
    t.auth_clients: Indexed("auth-client", ("name",), _of_auth_client, ("contract_id", "workspace_id")),
    t.credentials: Indexed("credential", ("name",), _in_workspace, ("workspace_id",)),
    t.auth_secrets: Indexed("auth-secret", ("name",), _in_workspace, ("workspace_id",)),
    t.flows: Indexed("flow", ("name",), _in_workspace, ("workspace_id",)),
}
"""What is found by name."""

_w = t.search_words.c
_OF_ONE = (_w.object_id == bindparam("id"), _w.tenant_id == bindparam("tenant_id"))
_ROWS = {
    table: Query(
        select(table.c.tenant_id, *(table.c[name] for name in (*indexed.names, *indexed.decides))).where(
            table.c.id == bindparam("id"), table.c.tenant_id == bindparam("tenant_id")
        )
    )
    for table, indexed in INDEXED.items()
}
_STORED = Query(select(_w.place_id, _w.word).where(*_OF_ONE))
_FORGETTING = Change(delete(t.search_words).where(*_OF_ONE))
_ADDING = Change(insert(t.search_words).values({column.name: bindparam(column.name) for column in _w}))


def search_word(text: str) -> str:
    """Return a text as it is looked for: without case and form of letters, unseen characters, and spaces too many."""
    text = text[:_READ]
    if text.isascii() and text.isprintable():
        return " ".join(text.lower().split())
    seen = "".join(
        " " if letter.isspace() else letter
        for letter in unicodedata.normalize("NFKC", text)
        if letter.isspace() or unicodedata.category(letter) not in _UNSEEN
    )
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())


def wanted_word(text: str) -> str:
    """Return what somebody looks for as the beginning of a word that is kept; empty if there is no letter in it."""
    found = search_word(text)
    first = _NO_LETTER.match(found)
    return found[first.end() if first else 0 :][:LONGEST].rstrip()


def words_of(texts: Iterable[str | None]) -> Sequence[str]:
    """Return the words that something is found by: each text from each of its words on, cut off."""
    lists = [_beginnings(search_word(text)) for text in texts if text]
    turns = (words[turn] for turn in range(_MOST) for words in lists if turn < len(words))
    return list(dict.fromkeys(turns))[:_MOST]


def after(word: str) -> str | None:
    """Return the first text that is after all that begin with a word; None: there is none."""
    for end in range(len(word), 0, -1):
        following = ord(word[end - 1]) + 1
        if following <= _LAST:
            return word[: end - 1] + chr(_AFTER_SURROGATES if following == _FIRST_SURROGATE else following)
    return None


async def add_words(connection: Connection, table: Table, rows: Iterable[Values]) -> None:
    """Let new rows be found.

    Args:
        connection: in the transaction that stores them.
        table: theirs.
        rows: with `id`, `tenant_id`, names and what decides about the place.
    """
    indexed = INDEXED.get(table)
    if indexed is not None:
        await _add(connection, [each for row in rows for each in _records(indexed, str(row["id"]), row)])


def changes_words(table: Table, columns: Iterable[str]) -> bool:
    """Tell whether a change of these columns may change how rows of a table are found."""
    indexed = INDEXED.get(table)
    return indexed is not None and not {*indexed.names, *indexed.decides}.isdisjoint(columns)


async def renew_words(connection: Connection, table: Table, row_id: str, tenant_id: str) -> None:
    """Let a row of a tenant that was changed be found as it is now; writes nothing where that is no different."""
    one = {"id": row_id, "tenant_id": tenant_id}
    indexed, rows = INDEXED[table], await _ROWS[table].rows(connection, **one)
    if not rows:
        return
    wanted = _records(indexed, row_id, rows[0]._asdict())
    stored = {(row.place_id, row.word) for row in await _STORED.rows(connection, **one)}
    if stored == {(each["place_id"], each["word"]) for each in wanted}:
        return
    await _FORGETTING.run(connection, **one)
    await _add(connection, wanted)


async def _add(connection: Connection, records: Sequence[Values]) -> None:
    if records:
        await _ADDING.run_each(connection, records)


def _records(indexed: Indexed, row_id: str, row: Values) -> list[Values]:
    words = words_of(row.get(name) for name in indexed.names)
    about = {"kind": indexed.kind, "object_id": row_id, "tenant_id": row["tenant_id"]}
    return [{**about, "place_id": place, "word": word} for place in indexed.places(row) for word in words]


def _beginnings(text: str) -> list[str]:
    starts = [found.end() for found in _NO_LETTER.finditer(text) if found.end() < len(text)]
    if text and not _NO_LETTER.match(text):
        starts.insert(0, 0)
    return [text[start : start + LONGEST].rstrip() for start in starts[:_MOST]]
