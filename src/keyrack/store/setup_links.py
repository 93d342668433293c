"""One-time links for first API keys (decision 24): one open link for a user or an invite, known by its hash."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from keyrack.ids import new_id
from keyrack.model.identity import Principal, PrincipalKind, SetupLink
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import setup_links

_l = setup_links.c

_BY_HASH = TenantQuery(setup_links, select(*_l).where(_l.link_hash == bindparam("link")))
_GOOD = TenantQuery(setup_links, select(_l.id).where(_l.id == bindparam("id"), _l.expires_at > bindparam("now")))
_TAKING = TenantChange(
    setup_links,
    delete(setup_links).where(_l.link_hash == bindparam("link"), _l.expires_at > bindparam("now")),
)
_REPLACING_OF_USER = TenantChange(setup_links, delete(setup_links).where(_l.user_id == bindparam("owner")))
_REPLACING_OF_INVITE = TenantChange(setup_links, delete(setup_links).where(_l.invite_id == bindparam("owner")))


class SetupLinks(TenantTable):
    """The links of the unit's tenant that nobody has used yet."""

    table = setup_links

    async def add_for_user(self, user_id: str, link_hash: str, maker: Principal, expires_at: datetime) -> SetupLink:
        """Store a link that its maker is shown; an earlier one of the user ends."""
        await self.make(_REPLACING_OF_USER, owner=user_id)
        return await self._add(link_hash, maker, expires_at, shown=True, user_id=user_id)

    async def add_for_invite(
        self, invite_id: str, link_hash: str, maker: Principal, expires_at: datetime, *, shown: bool
    ) -> SetupLink:
        """Store the link of an invite; an earlier one ends.

        Args:
            invite_id: the invite that it accepts.
            link_hash: under which it is found.
            maker: who invites.
            expires_at: until when it is good.
            shown: whether the maker is shown it, too.
        """
        await self.make(_REPLACING_OF_INVITE, owner=invite_id)
        return await self._add(link_hash, maker, expires_at, shown=shown, invite_id=invite_id)

    async def by_link(self, link_hash: str) -> SetupLink | None:
        """Return a link by its hash, whether it is still good or not, or None."""
        row = await self.ask_one(_BY_HASH, link=link_hash)
        return None if row is None else _read(row)

    async def is_good(self, link_id: str) -> bool:
        """Tell whether a link, by its id, can still be used."""
        return await self.ask_one(_GOOD, id=link_id, now=self.unit.clock()) is not None

    async def take(self, link_hash: str) -> bool:
        """Use a link up, at most once in the whole installation; False if there is none that is good."""
        return await self.make(_TAKING, link=link_hash, now=self.unit.clock()) == 1

    async def _add(
        self,
        link_hash: str,
        maker: Principal,
        expires_at: datetime,
        *,
        shown: bool,
        user_id: str | None = None,
        invite_id: str | None = None,
    ) -> SetupLink:
        by = (maker.kind, maker.id, maker.name)
        link = SetupLink(new_id(), self.unit.tenant_id, user_id, invite_id, by, shown, self.unit.clock(), expires_at)
        await self.insert(
            {
                "id": link.id,
                "user_id": user_id,
                "invite_id": invite_id,
                "link_hash": link_hash,
                "maker_kind": maker.kind.value,
                "maker_id": maker.id,
                "maker_name": maker.name,
                "shown": shown,
                "created_at": link.created_at,
                "expires_at": expires_at,
            }
        )
        return link


def _read(row: "Row[Any]") -> SetupLink:
    by = (PrincipalKind(row.maker_kind), row.maker_id, row.maker_name)
    return SetupLink(row.id, row.tenant_id, row.user_id, row.invite_id, by, row.shown, row.created_at, row.expires_at)
