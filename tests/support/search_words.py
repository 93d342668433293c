"""Compares the words that things are found by with the things themselves."""

from sqlalchemy import select

from keyrack.store.core.search_words import INDEXED, words_of
from keyrack.store.core.unit import Unit
from keyrack.store.schema import search_words

Word = tuple[str, str, str, str, str]
"""Place, kind, word, object and tenant."""


async def stored_words(unit: Unit) -> set[Word]:
    """Return all words of an installation."""
    w = search_words.c
    rows = await unit.connection.execute(select(w.place_id, w.kind, w.word, w.object_id, w.tenant_id))
    return {tuple(row) for row in rows.all()}


async def expected_words(unit: Unit) -> set[Word]:
    """Return the words that the stored things should be found by."""
    found: set[Word] = set()
    for table, indexed in INDEXED.items():
        for row in (await unit.connection.execute(select(table))).all():
            values = row._asdict()
            words = words_of(values[name] for name in indexed.names)
            found |= {
                (place, indexed.kind, word, values["id"], values["tenant_id"])
                for place in indexed.places(values)
                for word in words
            }
    return found
