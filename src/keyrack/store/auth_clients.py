"""Auth clients, their credentials encrypted, and the components they are linked to (contract section 14)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, case, delete, null, or_, select, update

from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.clients import AuthClient, ClientFilter, SecretExpiry, is_oauth2
from keyrack.oauth.protected_resource import without_trailing_slash
from keyrack.store.client_rotations import SECOND_SECRET, rotation_of
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of, readable, search_key
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit, changing, referring
from keyrack.store.directory import Location
from keyrack.store.schema import auth_client_components, auth_clients

_FEW = 1000
"""Clients that a statement names one by one: there is a limit to what a statement may name."""
_LIGHT = [column for column in auth_clients.c if column is not auth_clients.c.sealed_credentials]


_BY_ID = TenantQuery(auth_clients, select(*auth_clients.c).where(auth_clients.c.id == bindparam("id")))
_BY_IDS = TenantQuery(
    auth_clients, select(*auth_clients.c).where(auth_clients.c.id.in_(bindparam("ids", expanding=True))), scans=True
)
_OF_PLACES = TenantQuery(
    auth_clients,
    select(auth_clients.c.id)
    .where(
        or_(
            auth_clients.c.workspace_id.in_(bindparam("workspaces", expanding=True)),
            auth_clients.c.contract_id == bindparam("contract"),
        )
    )
    .order_by(auth_clients.c.id),
)
_FOR_SERVER = TenantQuery(
    auth_clients,
    select(*auth_clients.c)
    .where(
        or_(auth_clients.c.resource_key == bindparam("key"), auth_clients.c.mcp_server_key == bindparam("key")),
        or_(auth_clients.c.workspace_id.is_(None), auth_clients.c.workspace_id == bindparam("workspace")),
        or_(auth_clients.c.contract_id.is_(None), auth_clients.c.contract_id == bindparam("contract")),
    )
    .order_by(
        auth_clients.c.workspace_id.is_(None),
        auth_clients.c.contract_id.is_(None),
        auth_clients.c.mcp_server_key.is_(None),
        auth_clients.c.id,
    )
    .limit(1),
    scans=True,
)
_SHARED = TenantQuery(
    auth_clients, referring(select(auth_clients.c.id).where(auth_clients.c.id == bindparam("id")), auth_clients)
)
_ALL = TenantQuery(auth_clients, select(auth_clients.c.id).order_by(auth_clients.c.id), scans=True)
_LOCKED = TenantQuery(
    auth_clients,
    changing(
        select(auth_clients.c.id)
        .where(auth_clients.c.id.in_(bindparam("ids", expanding=True)))
        .order_by(auth_clients.c.id)
    ),
)
_UNPROVEN = case(
    (auth_clients.c.rejected_at.is_not(None), bindparam("now", type_=auth_clients.c.probe_at.type)),
    else_=auth_clients.c.probe_at,
)
_FORGIVING = TenantChange(
    auth_clients,
    update(auth_clients)
    .where(auth_clients.c.id == bindparam("id"))
    .values(rejected_at=null(), rejection=null(), probe_at=_UNPROVEN),
)
_REMOVAL = TenantChange(auth_clients, delete(auth_clients).where(auth_clients.c.id == bindparam("id")))
_LINKS = auth_client_components.c
_LINKED = TenantQuery(
    auth_client_components,
    select(_LINKS.auth_client_id, _LINKS.component_id)
    .where(_LINKS.auth_client_id.in_(bindparam("ids", expanding=True)))
    .order_by(_LINKS.auth_client_id, _LINKS.component_id),
)
_UNLINKING = TenantChange(
    auth_client_components, delete(auth_client_components).where(_LINKS.auth_client_id == bindparam("auth_client_id"))
)


class AuthClientRows(TenantTable):
    """The auth clients of the unit's tenant; global ones in the unit of the installation."""

    table = auth_clients

    async def add(self, client: AuthClient, origin: str | None) -> None:
        """Store a new client with its components.

        Args:
            client: `tenant_id` is the unit's.
            origin: scheme, host and port that its refresh requests go to, if it has any.
        """
        now = self.unit.clock()
        await self.insert(
            {
                "id": client.id,
                "contract_id": client.contract_id,
                "workspace_id": client.workspace_id,
                "type": client.type,
                "mcp_server_key": None if client.mcp_server is None else server_key(client.mcp_server),
                "created_at": now,
                **await self._columns(client, origin),
            }
        )
        await AuthClientComponents(self.unit).replace(client.id, client.component_ids)

    async def find(self, auth_client_id: str) -> AuthClient | None:
        """Return one by its id, or None."""
        row = await self.ask_one(_BY_ID, id=auth_client_id)
        if row is None:
            return None
        linked = await AuthClientComponents(self.unit).of([auth_client_id])
        return await self._read(row, linked)

    async def find_many(self, auth_client_ids: Sequence[str]) -> Mapping[str, AuthClient]:
        """Return those of the given clients that there are, by id; of damaged ones without credentials."""
        found: dict[str, AuthClient] = {}
        for start in range(0, len(auth_client_ids), _FEW):
            chosen = auth_client_ids[start : start + _FEW]
            rows = await self.ask(_BY_IDS, ids=chosen)
            linked = await AuthClientComponents(self.unit).of(chosen)
            read, without = partial(self._read, linked=linked), partial(_damaged, linked=linked)
            found |= {client.id: client for client in await readable(rows, read, without)}
        return found

    async def for_server(self, place: Location, address: str) -> AuthClient | None:
        """Return a client that can be used at a place for a protected resource or MCP server; None: there is none.

        One that belongs to the place itself counts before those around it, and global ones come last.

        Args:
            place: a workspace of the unit's tenant.
            address: of the resource, or of the server.
        """
        bound = {"key": server_key(address), "workspace": place.workspace_id, "contract": place.contract_id}
        for rows in (self, AuthClientRows(self.unit.of_installation())):
            row = await rows.ask_one(_FOR_SERVER, **bound)
            if row is not None:
                return await rows._read(row, await AuthClientComponents(rows.unit).of([row.id]))  # noqa: SLF001
        return None

    async def of_places(self, workspace_ids: Sequence[str], contract_id: str | None) -> Sequence[str]:
        """Return the ids of the clients that belong to workspaces, or to a contract itself."""
        return [row.id for row in await self.ask(_OF_PLACES, workspaces=list(workspace_ids), contract=contract_id)]

    async def ids(self) -> Sequence[str]:
        """Return the ids of all clients."""
        return [row.id for row in await self.ask(_ALL)]

    async def lock_shared(self, auth_client_id: str) -> bool:
        """Keep others from deleting a client until the transaction ends; False if there is none (any more).

        For attaching a secret to it; see `lock_to_delete`.
        """
        return await self.ask_one(_SHARED, id=auth_client_id) is not None

    async def lock_all(self, auth_client_ids: Sequence[str]) -> None:
        """Make others who want to change clients wait until the transaction ends."""
        await self.ask(_LOCKED, ids=auth_client_ids)

    async def available(
        self, place: Location, wanted: ClientFilter, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[AuthClient], int]:
        """List by id the clients that can be used at a place: of the place itself, of those around, and global ones.

        Args:
            place: a place of the unit's tenant; that of the installation has global clients alone.
            wanted: which of them.
            limit: how many at most; None for all.
            offset: how many to pass over, or where a stretch begins.

        Returns:
            A page and the total. Long credentials are left out; `find_many` of their owner has them.
        """
        c = auth_clients.c
        condition = or_(and_(self.mine, or_(*_usable_at(place))), c.tenant_id == INSTALLATION)
        if wanted.component_id is not None:
            linked = auth_client_components.c.component_id == wanted.component_id
            condition = and_(condition, c.id.in_(select(auth_client_components.c.auth_client_id).where(linked)))
        if wanted.named:
            condition = and_(condition, c.name_key.contains(search_key(wanted.named), autoescape=True))
        if wanted.secret_expires_before is not None:
            condition = and_(condition, c.secret_expires_at < wanted.secret_expires_before)
        query = select(*_LIGHT, *read_along(limit, c.sealed_credentials)).where(condition).order_by(c.id)
        rows, total = await page_of(self.unit.connection, query, c.id, limit=limit, offset=offset)
        links: dict[str, Sequence[str]] = {}
        for owner in {row.tenant_id for row in rows}:
            theirs = [row.id for row in rows if row.tenant_id == owner]
            links |= await AuthClientComponents(self.unit.of_tenant(owner)).of(theirs)

        async def read(row: "Row[Any]") -> AuthClient:
            if row.left_out:
                return replace(_auth_client(row, links, {}), left_out=row.left_out)
            return await AuthClientRows(self.unit.of_tenant(row.tenant_id))._read(row, links)  # noqa: SLF001 - of this class

        return await readable(rows, read, partial(_damaged, linked=links)), total

    async def replace(self, client: AuthClient, origin: str | None, *, forgive: bool = True) -> None:
        """Store all changeable values of an existing client.

        Args:
            client: with its new values.
            origin: as for `add`.
            forgive: forget that the provider rejected the client, because its credentials were set again; whether it
                takes them is still to be seen (`probe_at`).
        """
        if forgive:
            await self.make(_FORGIVING, id=client.id, now=self.unit.clock())
        await self.set_columns(client.id, await self._columns(client, origin))
        await AuthClientComponents(self.unit).replace(client.id, client.component_ids)

    async def remove(self, auth_client_id: str) -> bool:
        """Delete one; False if there was none."""
        return await self.make(_REMOVAL, id=auth_client_id) == 1

    async def _columns(self, client: AuthClient, origin: str | None) -> dict[str, object]:
        return {
            "name": client.name,
            "name_key": search_key(client.name),
            "origin": origin,
            "sealed_credentials": await self.unit.seal(
                auth_clients, client.id, "sealed_credentials", client.credentials
            ),
            "resource_key": _resource_key(client),
            "secret_expires_at": client.expiry.at,
            "reminder_at": client.expiry.remind_at,
            "updated_at": self.unit.clock(),
        }

    async def _read(self, row: "Row[Any]", linked: Mapping[str, Sequence[str]]) -> AuthClient:
        credentials = await self.unit.open(auth_clients, row.id, "sealed_credentials", row.sealed_credentials)
        second, sealed = None, row.sealed_second_secret
        if sealed is not None:
            second = Secret(await self.unit.open(auth_clients, row.id, SECOND_SECRET, sealed))
        return replace(_auth_client(row, linked, credentials), second_secret=second)


def _auth_client(row: "Row[Any]", linked: Mapping[str, Sequence[str]], credentials: Json) -> AuthClient:
    return AuthClient(
        id=row.id,
        tenant_id=row.tenant_id,
        contract_id=row.contract_id,
        workspace_id=row.workspace_id,
        name=row.name,
        type=row.type,
        credentials=credentials,
        component_ids=tuple(linked.get(row.id, ())),
        learned_lifetime=row.learned_lifetime,
        learned_at=row.learned_at,
        rejected_at=row.rejected_at,
        rejection=row.rejection,
        probe_at=row.probe_at,
        updated_at=row.updated_at,
        expiry=SecretExpiry(row.secret_expires_at, row.reminder_at),
        rotation=rotation_of(row),
    )


def _damaged(row: "Row[Any]", linked: Mapping[str, Sequence[str]]) -> AuthClient:
    return replace(_auth_client(row, linked, {}), damaged=True)


def server_key(address: str) -> str:
    """Return under what clients are found by the address of a server: 64 hex characters, however long that is."""
    return hashlib.blake2b(
        address.encode("utf-8", "surrogatepass"), digest_size=32, person=b"keyrack server"
    ).hexdigest()


def _resource_key(client: AuthClient) -> str | None:
    resource = client.credentials.get("resource") if is_oauth2(client.type) else None
    return server_key(without_trailing_slash(resource)) if isinstance(resource, str) else None


class AuthClientComponents(TenantTable):
    """The links between auth clients and components; a deleted component drops out by itself (contract 13.2)."""

    table = auth_client_components

    async def of(self, auth_client_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the component ids, in order, of each of some clients."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(auth_client_ids), _FEW):
            for row in await self.ask(_LINKED, ids=auth_client_ids[start : start + _FEW]):
                found.setdefault(row.auth_client_id, []).append(row.component_id)
        return found

    async def replace(self, auth_client_id: str, component_ids: Iterable[str]) -> None:
        """Set the components of a client."""
        await self.make(_UNLINKING, auth_client_id=auth_client_id)
        for component_id in dict.fromkeys(component_ids):
            await self.insert({"auth_client_id": auth_client_id, "component_id": component_id})


async def find_usable(unit: Unit, auth_client_id: str) -> AuthClient | None:
    """Return a client that the unit's tenant may be using: one of its own or a global one.

    Global clients belong to the installation and are meant for all tenants; who may see their keys is another matter.
    """
    own = await AuthClientRows(unit).find(auth_client_id)
    return own or await AuthClientRows(unit.of_installation()).find(auth_client_id)


async def find_usable_among(unit: Unit, auth_client_ids: Iterable[str]) -> Mapping[str, AuthClient]:
    """Return those of the given clients that the unit's tenant may be using, by id; see `find_usable`."""
    wanted = sorted(set(auth_client_ids))
    own = await AuthClientRows(unit).find_many(wanted)
    others = [client_id for client_id in wanted if client_id not in own]
    return {**own, **(await AuthClientRows(unit.of_installation()).find_many(others) if others else {})}


def _usable_at(place: Location) -> list[ColumnElement[bool]]:
    """Clients of a place and of those around it; exactly one scope is named in a row (contract section 14)."""
    c = auth_clients.c
    conditions = [and_(c.contract_id.is_(None), c.workspace_id.is_(None))]
    if place.contract_id is not None:
        conditions.append(c.contract_id == place.contract_id)
    if place.workspace_id is not None:
        conditions.append(c.workspace_id == place.workspace_id)
    return conditions
