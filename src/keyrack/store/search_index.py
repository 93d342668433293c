"""Finds things by the beginning of a name, and what an id is of (decision 35).

Each question goes into one place at a time, so that it costs what it finds, however much there is around it; what of it
a caller may see is the service's to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, false, literal, select, union_all

from keyrack.ids import is_id
from keyrack.store import schema as t
from keyrack.store.core.search_words import EVERYBODY, after, wanted_word
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantQuery, TenantTable, Unit

_MANY = 500
"""Ids that one question names at most."""

COUNTED = 1000
"""Up to so many are counted that a list is narrowed to."""

_FARTHEST = 10 * COUNTED
"""What stands farther down a list that is narrowed is not shown: who is so far writes more of the name."""

_WORDS_OF_ONE = 3
"""Words of one thing that may begin alike, as in a name that says a word twice: so many are read for each."""

_w = t.search_words.c
_RANGE = (_w.kind == bindparam("kind"), _w.word >= bindparam("first"), _w.word < bindparam("beyond"))
_OPEN = (_w.kind == bindparam("kind"), _w.word >= bindparam("first"))


_IN_PLACE = {
    bounded: TenantQuery(
        t.search_words,
        select(_w.object_id, _w.word)
        .where(_w.place_id == bindparam("place"), *conditions)
        .order_by(_w.word, _w.object_id)
        .limit(bindparam("most")),
    )
    for bounded, conditions in ((True, _RANGE), (False, _OPEN))
}
_OF_EVERYBODY = {
    bounded: Query(
        select(_w.object_id, _w.tenant_id, _w.word)
        .where(_w.place_id == EVERYBODY, *conditions)
        .order_by(_w.word, _w.object_id)
        .limit(bindparam("most"))
    )
    for bounded, conditions in ((True, _RANGE), (False, _OPEN))
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and where it is.

    Attributes:
        kind: as the API's documents call it.
        id: its own.
        tenant_id: whose it is; empty for what belongs to the installation.
        parent_id: what its pages are under, if anything: a workspace, contract, user or webhook.
    """

    kind: str
    id: str
    tenant_id: str
    parent_id: str | None = None


class SearchIndex(TenantTable):
    """The words of the unit's tenant."""

    table = t.search_words

    async def beginning(self, kind: str, places: Sequence[str], text: str, limit: int) -> Sequence[Found]:
        """Return things that are found by the beginning of a text.

        Of one place those whose word comes first; of several those that are met first, so that what is there beside
        them costs nothing.

        Args:
            kind: of things, as in `store.core.search_words`.
            places: tenant, contracts or workspaces that they are in.
            text: as somebody typed it.
            limit: how many at most.
        """
        word = wanted_word(text)
        if not word or not places:
            return []
        beyond, most = after(word), limit * _WORDS_OF_ONE
        if len(places) == 1:
            values = {"kind": kind, "place": places[0], "first": word, "most": most, **_upto(beyond)}
            rows = await self.ask(_IN_PLACE[beyond is not None], **values)
            return self._found(kind, {row.object_id: places[0] for row in rows}, limit)
        found: dict[str, str] = {}
        for start in range(0, len(places), _MANY):
            chosen = _w.place_id.in_(places[start : start + _MANY])
            query = self.select(_w.object_id, _w.place_id).where(chosen, _w.kind == kind)
            rows = await self.all(_between(query, word, beyond).limit(most))
            found |= {row.object_id: row.place_id for row in rows}
            if len(found) >= limit:
                break
        return self._found(kind, found, limit)

    async def users_of_contracts(self, contracts: Sequence[str], text: str, limit: int) -> Sequence[Found]:
        """As `beginning`, of users who are members of one of some contracts."""
        word, m = wanted_word(text), t.contract_members.c
        if not word or not contracts:
            return []
        beyond, found = after(word), dict[str, str]()
        for start in range(0, len(contracts), _MANY):
            inside = select(m.user_id).where(
                m.contract_id.in_(contracts[start : start + _MANY]), m.tenant_id == self.unit.tenant_id
            )
            query = self.select(_w.object_id).where(
                _w.place_id == self.unit.tenant_id, _w.kind == "user", _w.object_id.in_(inside)
            )
            query = _between(query, word, beyond).limit(limit * _WORDS_OF_ONE)
            found |= dict.fromkeys((row.object_id for row in await self.all(query)), self.unit.tenant_id)
        return self._found("user", found, limit)

    async def own(self, kind: str, ids: Sequence[str], text: str, limit: int) -> Sequence[Found]:
        """As `beginning`, of given contracts or workspaces, wherever they are in the tenant."""
        word = wanted_word(text)
        if not word:
            return []
        beyond, found = after(word), dict[str, str]()
        for start in range(0, len(ids), _MANY):
            chosen = _w.object_id.in_(ids[start : start + _MANY])
            query = self.select(_w.object_id).where(chosen, _w.kind == kind)
            rows = await self.all(_between(query, word, beyond).limit(limit * _WORDS_OF_ONE))
            found |= dict.fromkeys((row.object_id for row in rows), self.unit.tenant_id)
            if len(found) >= limit:
                break
        return self._found(kind, found, limit)

    async def ids(
        self, kind: str, place: str, prefix: str, *, limit: int, offset: int = 0
    ) -> tuple[Sequence[str], int]:
        """Return a page of the ids of what is found by a beginning in a place, by name, and how many there are.

        They are counted to `COUNTED`: who gets so many writes more of the name. For the search box of a list whose
        caller has been let into the place. A page farther than `_FARTHEST` is empty.
        """
        word = wanted_word(prefix)
        if not word:
            return [], 0
        if offset > _FARTHEST:  # nobody turns so many pages; each that is farther reads all before it
            offset, limit = _FARTHEST, 0
        beyond, most = after(word), max(COUNTED, offset + limit) * _WORDS_OF_ONE
        values = {"kind": kind, "place": place, "first": word, "most": most, **_upto(beyond)}
        rows = await self.ask(_IN_PLACE[beyond is not None], **values)
        found = list(dict.fromkeys(row.object_id for row in rows))
        return found[offset : offset + limit], len(found)

    def _found(self, kind: str, places: Mapping[str, str], limit: int) -> Sequence[Found]:
        mine = self.unit.tenant_id
        made = (Found(kind, each, mine, None if place == mine else place) for each, place in places.items())
        return list(islice(made, limit))


class SharedIndex:
    """What all tenants share, and what an id is of; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._connection = unit.connection

    async def beginning(self, kind: str, text: str, limit: int) -> Sequence[Found]:
        """Return shared things that are found by the beginning of a text."""
        word = wanted_word(text)
        if not word:
            return []
        beyond = after(word)
        query = _OF_EVERYBODY[beyond is not None]
        most = limit * _WORDS_OF_ONE
        rows = await query.rows(self._connection, kind=kind, first=word, most=most, **_upto(beyond))
        owners = {row.object_id: row.tenant_id for row in rows}
        return [Found(kind, each, owner) for each, owner in islice(owners.items(), limit)]

    async def of_id(self, text: str) -> Sequence[Found]:
        """Return what has an id, in whichever tenant."""
        if not is_id(text):
            return []
        rows = await _OF_ID.rows(self._connection, id=text)
        return [Found(row.kind, text, row.tenant_id, row.parent_id) for row in rows]


def is_named(kind: str, object_id: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that a thing is found by the beginning of a text, or has it as its id.

    For lists that are narrowed by other things too; each row of theirs is looked up by its id.

    Args:
        kind: of things, as in `store.core.search_words`.
        object_id: the column with their ids.
        text: as somebody typed it; one without a letter finds nothing.
    """
    if is_id(text):
        return object_id == text
    word = wanted_word(text)
    if not word:
        return false()
    named = select(_w.object_id).where(_w.object_id == object_id, _w.kind == kind)
    return _between(named, word, after(word)).exists()


def _upto(beyond: str | None) -> dict[str, str]:
    return {} if beyond is None else {"beyond": beyond}


def _between(query: "Select[Any]", word: str, beyond: str | None) -> "Select[Any]":
    query = query.where(_w.word >= word)
    return query if beyond is None else query.where(_w.word < beyond)


def _with_id(
    kind: str, table: Table, tenant: ColumnElement[Any], parent: ColumnElement[Any] | None = None
) -> "Select[Any]":
    above = literal(None, t.users.c.id.type) if parent is None else parent
    return select(literal(kind).label("kind"), tenant.label("tenant_id"), above.label("parent_id")).where(
        table.c.id == bindparam("id")
    )


_OF_ID = Query(
    union_all(
        _with_id("tenant", t.tenants, t.tenants.c.id),
        _with_id("user", t.users, t.users.c.tenant_id),
        _with_id("contract", t.contracts, t.contracts.c.tenant_id),
        _with_id("workspace", t.workspaces, t.workspaces.c.tenant_id, t.workspaces.c.contract_id),
        _with_id("team", t.teams, t.teams.c.tenant_id, t.teams.c.contract_id),
        _with_id("component", t.components, t.components.c.tenant_id, t.components.c.contract_id),
        _with_id("oauth-client", t.oauth_clients, t.oauth_clients.c.tenant_id),
        _with_id("auth-client", t.auth_clients, t.auth_clients.c.tenant_id),
        _with_id("credential", t.credentials, t.credentials.c.tenant_id, t.credentials.c.workspace_id),
        _with_id("auth-secret", t.auth_secrets, t.auth_secrets.c.tenant_id, t.auth_secrets.c.workspace_id),
        _with_id("flow", t.flows, t.flows.c.tenant_id, t.flows.c.workspace_id),
        _with_id("webhook", t.webhooks, t.webhooks.c.tenant_id),
        _with_id("event", t.events, t.events.c.tenant_id),
        _with_id("oauth-consent", t.consents, t.consents.c.tenant_id, t.consents.c.workspace_id),
        _with_id("connect-link", t.connect_links, t.connect_links.c.tenant_id, t.connect_links.c.workspace_id),
        _with_id(
            "contract-invite", t.contract_invites, t.contract_invites.c.tenant_id, t.contract_invites.c.contract_id
        ),
        _with_id("api-key", t.api_keys, t.users.c.tenant_id, t.users.c.id).where(t.api_keys.c.user_id == t.users.c.id),
    )
)
