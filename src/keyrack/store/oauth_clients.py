"""OAuth clients: one per tenant and component, id and secret encrypted (contract section 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, bindparam, delete, func, select

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists
from keyrack.ids import new_id
from keyrack.model.clients import NO_EXPIRY, ClientFilter, EndingOAuthClient, OAuthClient, SecretExpiry
from keyrack.store.client_rotations import SECOND_SECRET, rotation_of
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of, readable
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, referring
from keyrack.store.schema import oauth_clients

_SEALED = (oauth_clients.c.sealed_client_id, oauth_clients.c.sealed_client_secret)
_LIGHT = [column for column in oauth_clients.c if column not in set(_SEALED)]


_x = oauth_clients.c
_BY_ID = TenantQuery(oauth_clients, select(*_x).where(_x.id == bindparam("id")))
_BY_IDS = TenantQuery(oauth_clients, select(*_x).where(_x.id.in_(bindparam("ids", expanding=True))), scans=True)
_FOR_COMPONENT = TenantQuery(oauth_clients, select(*_x).where(_x.component_id == bindparam("component")))
_OF_COMPONENTS = _x.component_id.in_(bindparam("components", expanding=True))
_SERVED = TenantQuery(oauth_clients, select(_x.component_id).where(_OF_COMPONENTS), scans=True)
_HELD = TenantQuery(oauth_clients, referring(select(_x.id).where(_OF_COMPONENTS).order_by(_x.id), oauth_clients))
_ENDING = _x.secret_expires_at < bindparam("before", type_=_x.secret_expires_at.type)
_ENDS_FIRST = TenantQuery(
    oauth_clients,
    select(_x.id, _x.component_id, _x.secret_expires_at)
    .where(_ENDING)
    .order_by(_x.secret_expires_at, _x.id)
    .limit(bindparam("most", type_=Integer)),
    scans=True,
)
_ENDING_COUNT = TenantQuery(
    oauth_clients, select(func.count().label("number")).select_from(oauth_clients).where(_ENDING), scans=True
)
_REMOVAL = TenantChange(oauth_clients, delete(oauth_clients).where(_x.id == bindparam("id")))


class OAuthClientRows(TenantTable):
    """A tenant's OAuth clients."""

    table = oauth_clients

    async def find(self, oauth_client_id: str) -> OAuthClient | None:
        """Return one by its id, or None."""
        row = await self.ask_one(_BY_ID, id=oauth_client_id)
        return None if row is None else await self._read(row)

    async def for_component(self, component_id: str) -> OAuthClient | None:
        """Return the tenant's client for a component, or None."""
        row = await self.ask_one(_FOR_COMPONENT, component=component_id)
        return None if row is None else await self._read(row)

    async def page(
        self, wanted: ClientFilter, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[OAuthClient], int]:
        """List those of the tenant's clients that are wanted, by id; return a page and the total.

        Long ids and secrets are left out (`whole`).
        """
        columns = read_along(limit, *_SEALED)
        query = self.select(*_LIGHT, *columns).order_by(oauth_clients.c.id)
        if wanted.component_id is not None:
            query = query.where(oauth_clients.c.component_id == wanted.component_id)
        if wanted.secret_expires_before is not None:
            query = query.where(oauth_clients.c.secret_expires_at < wanted.secret_expires_before)
        rows, total = await page_of(self.unit.connection, query, oauth_clients.c.id, limit=limit, offset=offset)

        async def read(row: "Row[Any]") -> OAuthClient:
            return replace(_without_values(row), left_out=row.left_out) if row.left_out else await self._read(row)

        return await readable(rows, read, _damaged), total

    async def whole(self, found: Sequence[OAuthClient]) -> Mapping[str, OAuthClient]:
        """Return by id those of some clients of a list that are still there, decrypted."""
        rows = await self.ask(_BY_IDS, ids=[each.id for each in found])
        return {each.id: each for each in await readable(rows, self._read, _damaged)}

    async def ends_first(self, before: datetime, *, limit: int) -> tuple[Sequence[EndingOAuthClient], int]:
        """Return those of the tenant's clients whose secret ends before a time, the soonest first, and their number."""
        rows = await self.ask(_ENDS_FIRST, before=before, most=limit)
        number = len(rows) if len(rows) < limit else (await self.ask(_ENDING_COUNT, before=before))[0].number
        return [EndingOAuthClient(row.id, row.component_id, row.secret_expires_at) for row in rows], int(number)

    async def served_among(self, component_ids: Sequence[str]) -> frozenset[str]:
        """Return the ids of those of some components that the tenant has a client for."""
        return frozenset(row.component_id for row in await self.ask(_SERVED, components=component_ids))

    async def hold(self, component_ids: Sequence[str]) -> None:
        """Keep the tenant's clients for some components from being deleted until the transaction ends.

        Whether there are any is to be read after this.
        """
        await self.ask(_HELD, components=component_ids)

    async def add(
        self,
        component_id: str,
        client_id: str,
        client_secret: Secret,
        client_auth: str | None = None,
        expiry: SecretExpiry = NO_EXPIRY,
        made_id: str | None = None,
    ) -> OAuthClient:
        """Store a new client, with an id that was made for it if there is one.

        Raises:
            AlreadyExists: the tenant has one for this component (a unique index decides, also between processes).
        """
        now = self.unit.clock()
        tenant_id = self.unit.tenant_id
        client = OAuthClient(
            made_id or new_id(), tenant_id, component_id, client_id, client_secret, now, now, client_auth, expiry
        )
        await self.insert({"id": client.id, "created_at": now, **await self._columns(client)})
        return client

    async def replace(self, client: OAuthClient) -> None:
        """Store all changeable values of an existing client.

        Raises:
            AlreadyExists: another client serves the component.
        """
        values = await self._columns(client)
        try:
            await self.set_columns(client.id, values)
        except ConstraintViolated as error:
            if error.rule is Rule.unique:
                raise AlreadyExists from None
            raise

    async def remove(self, oauth_client_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.make(_REMOVAL, id=oauth_client_id) == 1

    async def touch(self, oauth_client_id: str) -> None:
        """Note that a client was used at the provider just now."""
        await self.set_columns(oauth_client_id, {"last_used_at": self.unit.clock()})

    async def _columns(self, client: OAuthClient) -> dict[str, object]:
        seal, table = self.unit.seal, oauth_clients
        return {
            "component_id": client.component_id,
            "sealed_client_id": await seal(table, client.id, "sealed_client_id", client.client_id),
            "sealed_client_secret": await seal(table, client.id, "sealed_client_secret", client.client_secret.reveal()),
            "client_auth": client.client_auth,
            "secret_expires_at": client.expiry.at,
            "reminder_at": client.expiry.remind_at,
            "updated_at": self.unit.clock(),
        }

    async def _read(self, row: "Row[Any]") -> OAuthClient:
        client_id = await self.unit.open(oauth_clients, row.id, "sealed_client_id", row.sealed_client_id)
        secret = await self.unit.open(oauth_clients, row.id, "sealed_client_secret", row.sealed_client_secret)
        second, sealed = None, row.sealed_second_secret
        if sealed is not None:
            second = Secret(await self.unit.open(oauth_clients, row.id, SECOND_SECRET, sealed))
        return replace(_without_values(row), client_id=client_id, client_secret=Secret(secret), second_secret=second)


def _damaged(row: "Row[Any]") -> OAuthClient:
    """Return what can be told of a client whose id or secret cannot be decrypted."""
    return replace(_without_values(row), damaged=True)


def _without_values(row: "Row[Any]") -> OAuthClient:
    return OAuthClient(
        row.id,
        row.tenant_id,
        row.component_id,
        "",
        Secret(""),
        row.created_at,
        row.updated_at,
        row.client_auth,
        SecretExpiry(row.secret_expires_at, row.reminder_at),
        rotation=rotation_of(row),
    )
