"""Links with which people without an account connect one, known by their hash; used once (decision 26)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update

from keyrack.model.consents import OPEN_LINKS, ConnectLink, ConnectLinkStatus
from keyrack.store.core.paging import PagedQuery, opened
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import connect_links

_l = connect_links.c
_OPENED = ConnectLinkStatus.opened.value

_BY_ID = TenantQuery(connect_links, select(*_l).where(_l.id == bindparam("id")))
_BY_HASH = TenantQuery(connect_links, select(*_l).where(_l.link_hash == bindparam("link")))
_OPENING = TenantChange(
    connect_links,
    update(connect_links)
    .where(
        _l.id == bindparam("id"),
        _l.status.in_([each.value for each in OPEN_LINKS]),
        _l.expires_at > bindparam("now"),
        or_(_l.browser_hash.is_(None), _l.browser_hash == bindparam("browser")),
    )
    .values(status=_OPENED, browser_hash=bindparam("browser")),
)
_BEGINNING = TenantChange(
    connect_links,
    update(connect_links)
    .where(_l.id == bindparam("id"), _l.status == _OPENED, _l.consent_id.is_not_distinct_from(bindparam("until_now")))
    .values(consent_id=bindparam("consent"), consent_expires_at=bindparam("expires_at")),
)
_ENDING = TenantChange(
    connect_links,
    update(connect_links)
    .where(_l.id == bindparam("id"), _l.status == _OPENED, _l.consent_id == bindparam("consent"))
    .values(
        status=bindparam("becomes"), error=bindparam("reason"), result_id=bindparam("result"), ended_at=bindparam("now")
    ),
)


_MINE = (
    select(*_l).where(_l.workspace_id == bindparam("workspace"), _l.user_id == bindparam("user")).order_by(_l.id.desc())
)
_IS_OPEN = _l.status.in_([each.value for each in OPEN_LINKS])
_IN_TIME = or_(_l.expires_at > bindparam("now"), _l.consent_expires_at > bindparam("now"))
_OWN = PagedQuery(connect_links, _MINE, _l.id)
_OWN_OPEN = PagedQuery(connect_links, _MINE.where(_l.status == bindparam("status"), _IN_TIME), _l.id)
_OWN_ENDED = PagedQuery(connect_links, _MINE.where(_l.status == bindparam("status")), _l.id)
_OWN_EXPIRED = PagedQuery(
    connect_links,
    _MINE.where(
        _IS_OPEN,
        _l.expires_at <= bindparam("now"),
        or_(_l.consent_expires_at.is_(None), _l.consent_expires_at <= bindparam("now")),
    ),
    _l.id,
)


class ConnectLinkRows(TenantTable):
    """The connect links of the unit's tenant."""

    table = connect_links

    async def add(self, link: ConnectLink, link_hash: str) -> None:
        """Store a new link under the hash of its secret part."""
        await self.insert(
            {
                "id": link.id,
                "workspace_id": link.workspace_id,
                "user_id": link.user_id,
                "link_hash": link_hash,
                "status": link.status.value,
                "sealed_wanted": await self.unit.seal(connect_links, link.id, "sealed_wanted", link.wanted),
                "opener_origin": link.opener_origin,
                "created_at": link.created_at,
                "expires_at": link.expires_at,
            }
        )

    async def find(self, connect_link_id: str) -> ConnectLink | None:
        """Return a link, or None."""
        row = await self.ask_one(_BY_ID, id=connect_link_id)
        return None if row is None else await self._read(row)

    async def by_link(self, link_hash: str) -> ConnectLink | None:
        """Return a link by the hash of its secret part, however far it has come, or None."""
        row = await self.ask_one(_BY_HASH, link=link_hash)
        return None if row is None else await self._read(row)

    async def page(
        self, workspace_id: str, user_id: str, status: ConnectLinkStatus | None = None, *, limit: int, offset: int
    ) -> tuple[Sequence[ConnectLink], int]:
        """List the links that a user has made in a workspace, the newest first; return a page and the total.

        Args:
            workspace_id: the workspace.
            user_id: the user.
            status: only those that have it by now, if given, as `ConnectLink.status_at` says.
            limit: how many at most.
            offset: how many to pass over.
        """
        whose = {"workspace": workspace_id, "user": user_id}
        if status is None:
            rows, total = await _OWN.page(self, limit=limit, offset=offset, **whose)
        elif status is ConnectLinkStatus.expired:
            rows, total = await _OWN_EXPIRED.page(self, limit=limit, offset=offset, now=self.unit.clock(), **whose)
        elif status in OPEN_LINKS:
            now = self.unit.clock()
            rows, total = await _OWN_OPEN.page(self, limit=limit, offset=offset, status=status.value, now=now, **whose)
        else:
            rows, total = await _OWN_ENDED.page(self, limit=limit, offset=offset, status=status.value, **whose)
        return await opened(rows, self._read), total

    async def open(self, connect_link_id: str, browser_hash: str) -> bool:
        """Let a browser, the first one that comes and no other, go on with a link; False if it may not."""
        now = self.unit.clock()
        return await self.make(_OPENING, id=connect_link_id, browser=browser_hash, now=now) == 1

    async def begin(
        self, connect_link_id: str, consent_id: str, expires_at: datetime, *, instead_of: str | None
    ) -> bool:
        """Let another consent be the one that counts for an opened link.

        Args:
            connect_link_id: the link.
            consent_id: that consent.
            expires_at: until when it can be finished.
            instead_of: the one that counted until now.

        Returns:
            Whether it is; not if another one has come first.
        """
        values = {"consent": consent_id, "expires_at": expires_at, "until_now": instead_of}
        return await self.make(_BEGINNING, id=connect_link_id, **values) == 1

    async def end(
        self,
        connect_link_id: str,
        consent_id: str,
        status: ConnectLinkStatus,
        *,
        error: str | None = None,
        result_id: str | None = None,
    ) -> bool:
        """Use a link up, at most once in the whole installation, with what came of the consent that counts.

        Returns:
            Whether it is; not if another consent counts, or it was used up before.
        """
        values = {"becomes": status.value, "reason": error, "result": result_id, "now": self.unit.clock()}
        return await self.make(_ENDING, id=connect_link_id, consent=consent_id, **values) == 1

    async def _read(self, row: "Row[Any]") -> ConnectLink:
        return ConnectLink(
            id=row.id,
            tenant_id=row.tenant_id,
            workspace_id=row.workspace_id,
            user_id=row.user_id,
            status=ConnectLinkStatus(row.status),
            wanted=await self.unit.open(connect_links, row.id, "sealed_wanted", row.sealed_wanted),
            opener_origin=row.opener_origin,
            consent_id=row.consent_id,
            consent_expires_at=row.consent_expires_at,
            browser_hash=row.browser_hash,
            error=row.error,
            result_id=row.result_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
            ended_at=row.ended_at,
        )
