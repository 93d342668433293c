"""Counts the grants of a tenant that a dated rule of their provider concerns: made before it, with its scopes."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, or_, select, true

from keyrack.store.auth_client_list import OwnOrGlobal
from keyrack.store.core.unit import TENANT, TenantQuery, TenantTable
from keyrack.store.schema import auth_clients, auth_secrets

MOST = 10_000
"""Grants that are counted; where there are more, the number is this."""

_s, _c = auth_secrets.c, auth_clients.c
_ORIGINS = OwnOrGlobal(
    auth_clients,
    select(_c.origin).where(_c.origin.in_(bindparam("origins", expanding=True))).distinct().order_by(_c.origin),
    scans=True,
)


class _CountOfSome(TenantQuery):
    """A count of the first rows of a query over auth secrets, which is limited to the tenant itself."""

    def __init__(self, some: "Select[Any]") -> None:
        limited = some.where(_s.tenant_id == TENANT).limit(MOST).subquery()
        super().__init__(auth_secrets, select(func.count().label("number")).select_from(limited), scans=True)

    @classmethod
    def condition(cls, table: Any) -> ColumnElement[bool]:
        """Return nothing more: what is counted is the tenant's already."""
        del table
        return true()


def concerned(scopes: int) -> "Select[Any]":
    """Return the query of grants made before a time which asked for one of some scopes; 0: for whatever."""
    made = func.coalesce(_s.connected_at, _s.created_at) < bindparam("before", type_=_s.created_at.type)
    asked = cast(_s.requested_scopes, Text)
    named = [asked.like(bindparam(f"scope{number}"), escape="\\") for number in range(scopes)]
    return select(_s.id).where(made, *([or_(*named)] if named else []))


def concerned_at_origin(scopes: int) -> "Select[Any]":
    """Return likewise the query of grants of all clients whose refreshes go to an origin."""
    joined = concerned(scopes).join_from(auth_secrets, auth_clients, _s.auth_client_id == _c.id)
    return joined.where(_c.origin == bindparam("origin"))


@cache
def _of_client(scopes: int) -> TenantQuery:
    return _CountOfSome(concerned(scopes).where(_s.auth_client_id == bindparam("client")))


@cache
def _at_origin(scopes: int) -> TenantQuery:
    return _CountOfSome(concerned_at_origin(scopes))


class ConcernedGrants(TenantTable):
    """The auth secrets of the unit's tenant, as rules see them."""

    table = auth_secrets

    async def of_client(self, auth_client_id: str, before: datetime, scopes: Sequence[str]) -> int:
        """Count the grants of an auth client that a rule concerns.

        Args:
            auth_client_id: the client; of a global one only the tenant's grants are counted.
            before: when the rule comes into force.
            scopes: the rule's; empty: whatever a grant asked for.

        Returns:
            `MOST` if there are that many or more.
        """
        rows = await self.ask(_of_client(len(scopes)), client=auth_client_id, before=before, **patterns(scopes))
        return int(rows[0].number)

    async def at_origin(self, origin: str, before: datetime, scopes: Sequence[str]) -> int:
        """Count likewise the grants of all clients whose refreshes go to an origin."""
        rows = await self.ask(_at_origin(len(scopes)), origin=origin, before=before, **patterns(scopes))
        return int(rows[0].number)

    async def origins_among(self, origins: Sequence[str]) -> Sequence[str]:
        """Return those of some origins that clients of the tenant, or global ones, have."""
        return [row.origin for row in await self.ask(_ORIGINS, origins=origins)]


def patterns(scopes: Sequence[str]) -> dict[str, str]:
    """Return patterns that find a scope in a JSON array of texts."""
    escaped = (json.dumps(scope).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for scope in scopes)
    return {f"scope{number}": f"%{text}%" for number, text in enumerate(escaped)}
