"""Brings the clients of another system: as auth clients of the tenant, or as ones that are there already."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from keyrack.clock import epoch_ms
from keyrack.errors import ValidationFailed
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.service.clients.auth_client_credentials import CredentialRules, refresh_origin
from keyrack.service.clients.auth_client_profile import INPUTS
from keyrack.service.importers.other_systems.entries import EntryKind, EntryResult, FoundClient, Outcome
from keyrack.service.importers.other_systems.results import Import, left_out
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows, find_usable
from keyrack.store.components import ComponentRows
from keyrack.store.core.unit import Unit
from keyrack.store.import_batches import ImportBatch, ImportEntries, ImportEntry

_KIND = EntryKind.client
_NOT_HERE = "the tenant has no such auth client of an oauth2 type as the mapping names"
_NO_COMPONENT = "the tenant does not see a component that it is to be linked to"
_DELETED = "it was brought before and deleted in Keyrack since; it is not brought again"
_KEPT = "it was changed in Keyrack since, which counts"
_OLDER = "what is stored is newer"
_ANOTHER = "it has another client_id or other addresses than when it was brought; make another auth client"

_Brought = tuple[EntryResult, AuthClient | None]


class ClientBringer:
    """Brings clients.

    Args:
        rules: what credentials of auth clients may hold.
        lead: how long before its expiry a token is due.
    """

    def __init__(self, rules: CredentialRules, lead: timedelta) -> None:
        self._rules = rules
        self._lead = lead

    async def bring(
        self, unit: Unit, source: str, batch: ImportBatch | None, wanted: Import, some: Sequence[FoundClient]
    ) -> Sequence[_Brought]:
        """Bring some clients.

        Args:
            unit: of the tenant; writing, unless it is a dry run.
            source: the other system.
            batch: the import; None in a dry run of one that is not there.
            wanted: where to, and whether at all.
            some: each once.

        Returns:
            For each what became of it, and the auth client that its grants are of.
        """
        entries = await ImportEntries(unit).known(source, _KIND, [each.external_id for each in some])
        found = []
        for each in some:
            try:
                found.append(await self._one(unit, source, batch, wanted, each, entries.get(each.external_id)))
            except ValidationFailed as wrong:
                found.append((left_out(_KIND, each.external_id, wrong), None))
        return found

    async def _one(
        self,
        unit: Unit,
        source: str,
        batch: ImportBatch | None,
        wanted: Import,
        found: FoundClient,
        entry: ImportEntry | None,
    ) -> _Brought:
        said = wanted.target.of_client(found.external_id)
        if said.skip:
            return left_out(_KIND, found.external_id, "the mapping file says so"), None
        if said.auth_client is not None:
            client = await find_usable(unit, said.auth_client)
            if client is None or not is_oauth2(client.type):
                return left_out(_KIND, found.external_id, _NOT_HERE), None
            why = "the mapping file names this auth client"
            return EntryResult(_KIND, found.external_id, Outcome.unchanged, client.id, why), client
        inputs = {INPUTS: said.inputs} if said.inputs else {}
        if entry is not None:
            return await self._again(unit, wanted, found, entry, inputs)
        return await self._new(unit, source, batch, wanted, found, inputs)

    async def _new(
        self,
        unit: Unit,
        source: str,
        batch: ImportBatch | None,
        wanted: Import,
        found: FoundClient,
        inputs: Json,
    ) -> _Brought:
        said = wanted.target.of_client(found.external_id)
        credentials = self._rules.made("oauth2", {**found.credentials, **inputs})
        client = AuthClient(
            id=new_id(),
            tenant_id=unit.tenant_id,
            contract_id=None,
            workspace_id=None,
            name=found.name,
            type="oauth2",
            credentials=credentials,
            component_ids=tuple(dict.fromkeys(said.components or wanted.target.components)),
        )
        if len(await ComponentRows(unit).seen_among(client.component_ids)) < len(client.component_ids):
            return left_out(_KIND, found.external_id, _NO_COMPONENT), None
        if wanted.dry_run or batch is None:
            return EntryResult(_KIND, found.external_id, Outcome.made), client
        await AuthClientRows(unit).add(client, refresh_origin(client.type, credentials))
        version = await _version(unit, client.id)
        made = ImportEntry(source, _KIND, found.external_id, batch.id, client.id, version, found.told_at)
        await ImportEntries(unit).add([made])
        return EntryResult(_KIND, found.external_id, Outcome.made, client.id), client

    async def _again(
        self, unit: Unit, wanted: Import, found: FoundClient, entry: ImportEntry, inputs: Json
    ) -> _Brought:
        if not wanted.dry_run:
            await AuthClientRows(unit).lock_all([entry.resource_id])
        stored = await AuthClientRows(unit).find(entry.resource_id)
        if stored is None:
            return left_out(_KIND, found.external_id, _DELETED), None
        unchanged = EntryResult(_KIND, found.external_id, Outcome.unchanged, stored.id)
        fresh = self._rules.made("oauth2", {**found.credentials, **inputs})
        if fresh == stored.credentials:
            return unchanged, stored
        if await _version(unit, stored.id) != entry.resource_version:
            return replace(unchanged, why=_KEPT), stored
        secret = {"client_secret": fresh.get("client_secret")}
        if {**stored.credentials, **secret} != {**fresh, **secret}:
            return replace(unchanged, why=_ANOTHER), stored
        if found.told_at is not None and entry.told_at is not None and found.told_at < entry.told_at:
            return replace(unchanged, why=_OLDER), stored
        renewed = EntryResult(_KIND, found.external_id, Outcome.renewed, stored.id)
        client = replace(stored, credentials=self._rules.changed(stored, secret))
        if not wanted.dry_run:
            await AuthClientRows(unit).replace(client, refresh_origin(client.type, client.credentials))
            await AuthClientHealth(unit).revive(client.id, self._lead)
            version = await _version(unit, client.id)
            await ImportEntries(unit).renew(replace(entry, resource_version=version, told_at=found.told_at))
        return renewed, client


async def _version(unit: Unit, auth_client_id: str) -> int:
    """Return when a client was changed last, in milliseconds, which tells whether somebody has since."""
    found = await AuthClientRows(unit).find(auth_client_id)
    return 0 if found is None or found.updated_at is None else epoch_ms(found.updated_at)
