"""Contracts and their members (contract section 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Integer, Row, Text, bindparam, cast, delete, func, select, update

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.tenancy import Contract, Member
from keyrack.store.core.large_columns import size_at_most
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, deleting, referring
from keyrack.store.schema import contract_members, contracts, users
from keyrack.store.search_index import is_named
from keyrack.store.users import read_user

_LIGHT = [column for column in contracts.c if column is not contracts.c.custom_data]
_HAS_CUSTOM_DATA = contracts.c.custom_data.is_not(None).label("has_custom_data")
_SIZE = func.coalesce(size_at_most(contracts.c.custom_data), 0).label("left_out")

_c, _m = contracts.c, contract_members.c

_BY_ID = TenantQuery(contracts, select(*_LIGHT, _HAS_CUSTOM_DATA).where(_c.id == bindparam("id")))
_BY_ID_SIZED = TenantQuery(contracts, select(*_LIGHT, _HAS_CUSTOM_DATA, _SIZE).where(_c.id == bindparam("id")))
_CUSTOM_DATA = TenantQuery(
    contracts,
    select(_c.id, cast(_c.custom_data, Text).label("text")).where(
        _c.id.in_(bindparam("ids", expanding=True)), _c.custom_data.is_not(None)
    ),
    scans=True,
)
_STATUS = select(_c.status).where(_c.id == bindparam("id"))
_HELD = TenantQuery(contracts, referring(_STATUS, contracts))
_HELD_ALONE = TenantQuery(contracts, deleting(_STATUS))
_REMOVAL = TenantChange(contracts, delete(contracts).where(_c.id == bindparam("id")), scans=True)
_MEMBER = (_m.contract_id == bindparam("contract"), _m.user_id == bindparam("user"))
_ROLES = TenantQuery(contract_members, select(_m.roles).where(*_MEMBER))
_MEMBER_KEPT = TenantQuery(contract_members, referring(select(_m.user_id).where(*_MEMBER), contract_members))
_ROLES_CHANGE = TenantChange(
    contract_members, update(contract_members).where(*_MEMBER).values(roles=bindparam("roles"))
)
_MEMBER_REMOVAL = TenantChange(contract_members, delete(contract_members).where(*_MEMBER))
_OF_CONTRACT = select(_m.user_id, _m.roles).where(_m.contract_id == bindparam("contract")).order_by(_m.user_id)
_MEMBERS = TenantQuery(contract_members, _OF_CONTRACT, scans=True)
_MEMBERS_HELD = TenantQuery(contract_members, deleting(_OF_CONTRACT), scans=True)
_ROLES_HELD = TenantQuery(contract_members, select(_m.roles).where(_m.contract_id == bindparam("contract")), scans=True)
_MEMBERS_OF = TenantQuery(
    contract_members,
    select(_m.contract_id.label("place"), _m.user_id)
    .where(_m.contract_id.in_(bindparam("ids", expanding=True)))
    .order_by(_m.user_id),
    scans=True,
)
_SOME_OF = TenantQuery(
    contract_members,
    select(_m.user_id)
    .where(_m.contract_id == bindparam("place"))
    .order_by(_m.user_id)
    .limit(bindparam("most", type_=Integer)),
    scans=True,
)
_INSIDE = TenantQuery(
    contract_members,
    select(_m.contract_id.label("place")).where(
        _m.user_id == bindparam("user"), _m.contract_id.in_(bindparam("ids", expanding=True))
    ),
    scans=True,
)


class ContractRows(TenantTable):
    """The contracts of the unit's tenant."""

    table = contracts
    columns = (*_LIGHT, _HAS_CUSTOM_DATA)  # custom data, of up to 1 MB, only where it is named

    async def add(
        self,
        name: str,
        available_roles: Sequence[tuple[str, str]],
        attributes: Json,
        custom: Any,
        made_id: str | None = None,
    ) -> str:
        """Create an active contract without members (contract 0.11), with the given id if there is one; return its id.

        Raises:
            AlreadyExists: another one has the id.
        """
        contract_id = made_id or new_id()
        await self.insert(
            {
                "id": contract_id, "name": name, "status": "active", "attributes": attributes, "custom_data": custom,
                "available_roles": [list(pair) for pair in available_roles],
            }
        )  # fmt: skip
        return contract_id

    async def find(self, contract_id: str, *, sized: bool = False) -> Contract | None:
        """Return a contract of the tenant, or None.

        Args:
            contract_id: its id.
            sized: say how large its custom data is, as a list does.
        """
        row = await self.ask_one(_BY_ID_SIZED if sized else _BY_ID, id=contract_id)
        return None if row is None else replace(_contract(row), left_out=row.left_out if sized else 0)

    async def custom_data(self, contract_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the custom data of those contracts that have any as JSON text: up to 1 MB each, not decoded."""
        return {row.id: row.text.encode() for row in await self.ask(_CUSTOM_DATA, ids=contract_ids)}

    async def hold(self, contract_id: str, *, exclusive: bool) -> str | None:
        """Keep a contract until the transaction ends: from being deleted and suspended, or, `exclusive`, from all use.

        Returns:
            Its status; None if there is none.
        """
        row = await self.ask_one(_HELD_ALONE if exclusive else _HELD, id=contract_id)
        return None if row is None else str(row.status)

    async def change(self, contract_id: str, **values: Any) -> None:
        """Set columns of a contract."""
        await self.set_columns(contract_id, values)

    async def remove(self, contract_id: str) -> bool:
        """Delete a contract with all that is in it; OAuth clients stay (contract section 22). False if none."""
        return await self.make(_REMOVAL, id=contract_id) == 1

    async def page(
        self,
        *,
        member: str | None,
        beginning: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[Sequence[Contract], int]:
        """List contracts by id; return a page and the total. Custom data is left out; see `custom_data`.

        Args:
            member: only those a user is a member of, if given.
            beginning: only those in whose name a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        query, ids = self.select(*self.columns, _SIZE).order_by(contracts.c.id), [self.select(contracts.c.id)]
        if member is not None:
            theirs = select(contract_members.c.contract_id).where(contract_members.c.user_id == member)
            query, ids = query.where(contracts.c.id.in_(theirs)), []
        if beginning:
            query, ids = query.where(is_named("contract", contracts.c.id, beginning)), []
        rows, total = await page_of(self.unit.connection, query, contracts.c.id, parts=ids, limit=limit, offset=offset)
        return [replace(_contract(row), left_out=row.left_out) for row in rows], total


class ContractMembers(TenantTable):
    """Who is in which contract, with which roles."""

    table = contract_members

    async def add(self, contract_id: str, user_id: str, roles: Sequence[str]) -> None:
        """Make a user a member.

        Raises:
            AlreadyExists: the user is one.
        """
        await self.insert({"contract_id": contract_id, "user_id": user_id, "roles": list(roles)})

    async def page(
        self, contract_id: str, *, beginning: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Member], int]:
        """List a contract's members by user id; return a page and the number of all.

        Args:
            contract_id: the contract.
            beginning: only those in whose name or email a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        m = contract_members.c
        query = select(users, m.roles).join_from(contract_members, users, m.user_id == users.c.id)
        query = query.where(self.mine, m.contract_id == contract_id).order_by(m.user_id)
        if beginning:
            query = query.where(is_named("user", m.user_id, beginning))
        rows, total = await page_of(self.unit.connection, query, m.user_id, limit=limit, offset=offset)
        return [Member(read_user(row), tuple(row.roles)) for row in rows], total

    async def list(self, contract_id: str) -> Sequence[Member]:
        """List all members of a contract by user id."""
        members, _ = await self.page(contract_id)
        return members

    async def roles(self, contract_id: str, user_id: str) -> tuple[str, ...] | None:
        """Return a member's roles; None if the user is no member."""
        row = await self.ask_one(_ROLES, contract=contract_id, user=user_id)
        return None if row is None else tuple(row.roles)

    async def hold(self, contract_id: str) -> "Sequence[tuple[str, tuple[str, ...]]]":
        """Return all members' user ids and roles; nobody else who holds them changes or adds any meanwhile.

        Until the transaction ends. They are read after the lock: who waited for it finds those who came meanwhile.
        """
        await self.ask(_MEMBERS_HELD, contract=contract_id)
        return [(row.user_id, tuple(row.roles)) for row in await self.ask(_MEMBERS, contract=contract_id)]

    async def keep(self, contract_id: str, user_id: str) -> bool:
        """Keep a member from leaving until the transaction ends; False if the user is none."""
        return await self.ask_one(_MEMBER_KEPT, contract=contract_id, user=user_id) is not None

    async def roles_held(self, contract_id: str) -> "Sequence[tuple[str, ...]]":
        """Return the roles of each member."""
        return [tuple(row.roles) for row in await self.ask(_ROLES_HELD, contract=contract_id)]

    async def ids(self, contract_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the user ids of the members of several contracts."""
        return group_users(await self.ask(_MEMBERS_OF, ids=contract_ids))

    async def some_ids(self, contract_ids: Sequence[str], user_id: str, most: int) -> Mapping[str, Sequence[str]]:
        """Return user ids of members of several contracts, `most` of each or one more: a user's own comes first.

        Args:
            contract_ids: the contracts.
            user_id: the user.
            most: how many others of each; 0: none.
        """
        return await some_users(self, _INSIDE, _SOME_OF, contract_ids, user_id, most)

    async def change(self, contract_id: str, user_id: str, roles: Sequence[str]) -> bool:
        """Replace a member's roles; False if the user is no member."""
        return await self.make(_ROLES_CHANGE, contract=contract_id, user=user_id, roles=list(roles)) == 1

    async def remove(self, contract_id: str, user_id: str) -> bool:
        """Take a member out; False if the user is none."""
        return await self.make(_MEMBER_REMOVAL, contract=contract_id, user=user_id) == 1


def group_users(rows: "Sequence[Row[Any]]") -> Mapping[str, Sequence[str]]:
    """Collect (place, user_id) rows into the user ids of each place."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.place, []).append(row.user_id)
    return found


async def some_users(
    rows: TenantTable, inside: TenantQuery, some_of: TenantQuery, place_ids: Sequence[str], user_id: str, most: int
) -> Mapping[str, Sequence[str]]:
    """Return user ids of members of each of several places; a user's own comes first.

    Args:
        rows: of the memberships.
        inside: finds in which of the places the user is.
        some_of: finds `most` members of one place; asked for each, so that of a large one no more is read.
        place_ids: the places.
        user_id: the user.
        most: how many others of each; 0: none.
    """
    own = {row.place for row in await rows.ask(inside, user=user_id, ids=place_ids)} if place_ids else set()
    found = {}
    for each in place_ids:
        others = [row.user_id for row in await rows.ask(some_of, place=each, most=most)] if most else []
        found[each] = [*([user_id] if each in own else []), *(other for other in others if other != user_id)]
    return found


def _contract(row: "Row[Any]") -> Contract:
    pairs = tuple((scope, role) for scope, role in row.available_roles)
    return Contract(
        row.id, row.tenant_id, row.name, row.status, pairs, row.attributes, has_custom_data=row.has_custom_data
    )
