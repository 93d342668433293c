"""Imports auth clients."""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from sqlalchemy import Row, Table

from keyrack.errors import ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.model.components import Component, ComponentAccess
from keyrack.service.clients import auth_client_credentials as credentials_of
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.platform.client_expiry import check_expiry, ends_with, expiry_columns
from keyrack.service.importers.platform.grant_records import AuthClientRecord
from keyrack.service.importers.platform.kinds import Piece, given, moved, or_now, same_place
from keyrack.service.importers.platform.known import Known, without_keys
from keyrack.service.importers.platform.links import Link
from keyrack.service.importers.platform.visibility import tenant_sees
from keyrack.store.core.bulk import Complete, RowToWrite
from keyrack.store.core.paging import search_key
from keyrack.store.directory import Location
from keyrack.store.schema import auth_client_components, auth_clients

_SCOPES = ("tenant", "contract", "workspace")
_HEALTH = ("learned_lifetime", "learned_at", "rejected_at", "rejection", "probe_at")


@dataclass(frozen=True, slots=True)
class AuthClientKind:
    """Auth clients; `rules` are those of the installation."""

    rules: CredentialRules
    table: Table = auth_clients

    async def check(self, known: Known, record: AuthClientRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with an auth client."""
        place = await _place(known, record, at)
        if place is None:
            known.broken["auth_clients"].add(record.id)
            return
        in_contract = place.contract_id if place.workspace_id is None else None
        if stored is not None and (stored.tenant_id, stored.contract_id, stored.workspace_id) != (
            place.tenant_id,
            in_contract,
            place.workspace_id,
        ):
            known.report.problem("what is stored under this id has another scope", f"{at}/relationships")
        same_place(known, at, stored, {"type": (record.attributes.type, "/attributes/type")})
        client = AuthClient(
            id=record.id,
            tenant_id=place.tenant_id,
            contract_id=in_contract,
            workspace_id=place.workspace_id,
            name=record.attributes.name,
            type=record.attributes.type,
            credentials=self._credentials(known, record, at) or {},
            component_ids=tuple(sorted(set(record.relationships.components.ids))),
            learned_lifetime=record.meta.learned_lifetime or None,
            learned_at=record.meta.learned_at or None,
            rejected_at=record.meta.rejected_at or None,
        )
        if record.attributes.credentials is UNSET and stored is None:
            known.report.problem("credentials are required: none are stored yet", f"{at}/attributes/credentials")
        for index, component_id in enumerate(record.relationships.components.ids):
            pointer = f"{at}/relationships/components/data/{index}/id"
            component = await known.component(component_id)
            if component is None:
                known.unknown("components", component_id, "there is no such component", pointer)
            elif not _sees(client, component):
                known.report.problem("there is no such component in the auth client's scope", pointer)
        known.told["auth_clients", record.id] = without_keys(client)
        check_expiry(known, record, at, stored)

    async def piece(self, known: Known, record: AuthClientRecord) -> Piece:
        """Return an auth client's rows."""
        client = await known.auth_client(record.id)
        if client is None:
            raise RuntimeError("an auth client that was checked is not known")
        about, meta = record.attributes, record.meta
        credentials = self._credentials(known, record, "")
        origin = UNSET if credentials is None else credentials_of.refresh_origin(client.type, credentials)
        health = given(**{name: getattr(meta, name) for name in _HEALTH})
        main = RowToWrite(
            auth_clients,
            client.tenant_id,
            {"id": record.id},
            {
                "name": about.name,
                "name_key": search_key(about.name),
                **given(origin=origin),
                **given(created_at=meta.created_at),
                **expiry_columns(known, record),
            },
            {
                "type": client.type,
                "contract_id": client.contract_id,
                "workspace_id": client.workspace_id,
                **dict.fromkeys(_HEALTH),
                **health,
                "created_at": or_now(known, meta.created_at),
                "updated_at": or_now(known, meta.updated_at),
            },
            {} if credentials is None else {"sealed_credentials": credentials},
            {"updated_at": or_now(known, meta.updated_at)},
            ends_with(record, lambda stored: _has_secret_of(client.type, stored["sealed_credentials"], credentials)),
        )
        others = [
            RowToWrite(
                auth_client_components,
                client.tenant_id,
                {"auth_client_id": record.id, "component_id": component_id},
            )
            for component_id in client.component_ids
        ]
        keep = frozenset(client.component_ids)
        exact = [Complete(auth_client_components, {"auth_client_id": record.id}, "component_id", keep)]
        return Piece(main, others, exact)

    def _credentials(self, known: Known, record: AuthClientRecord, at: str) -> dict[str, Any] | None:
        """Return the credentials as they are stored; None if there are none, or none that are right."""
        if record.attributes.credentials is UNSET:
            return None
        try:
            return self.rules.made(record.attributes.type, record.attributes.credentials)
        except ValidationFailed as wrong:
            moved(known, wrong, credentials_of.POINTER, f"{at}/attributes/credentials")
            return None


def _has_secret_of(kind: str, stored: dict[str, Any], credentials: dict[str, Any] | None) -> bool:
    return credentials_of.secret_of(kind, stored) == credentials_of.secret_of(kind, credentials or {})


async def _place(known: Known, record: AuthClientRecord, at: str) -> Location | None:
    """Return the scope of a client; report it if it is not there, or more than one is named."""
    named = {name: getattr(record.relationships, name) for name in _SCOPES}
    links = {name: link.data.id for name, link in named.items() if isinstance(link, Link)}
    if not links:
        return Location("")
    if len(links) > 1:
        detail = "an auth client belongs to at most one of tenant, contract and workspace"
        known.report.problem(detail, f"{at}/relationships")
        return None
    ((name, resource_id),) = links.items()
    place: Location | None = None
    if name == "tenant" and await known.tenant(resource_id) is not None:
        place = Location(resource_id)
    elif name == "contract" and (contract := await known.contract(resource_id)) is not None:
        place = Location(contract.tenant_id, contract.id)
    elif name == "workspace" and (workspace := await known.workspace(resource_id)) is not None:
        place = Location(workspace.tenant_id, workspace.contract_id, workspace.id)
    if place is None:
        known.unknown(f"{name}s", resource_id, f"there is no such {name}", f"{at}/relationships/{name}/data/id")
    return place


def _sees(client: AuthClient, component: Component) -> bool:
    if not client.tenant_id:
        return component.access is ComponentAccess.everyone
    return tenant_sees(client.tenant_id, component)
