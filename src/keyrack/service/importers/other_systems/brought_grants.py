"""Brings the grants of another system: as auth secrets that await their cutover (decision 52)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from keyrack.clock import Clock
from keyrack.errors import ValidationFailed
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.service.importers.other_systems.entries import EntryKind, EntryResult, FoundGrant, Outcome
from keyrack.service.importers.other_systems.made_secrets import has_tokens_of, new_secret, renewed_secret
from keyrack.service.importers.other_systems.results import Import, left_out
from keyrack.service.importers.other_systems.target import Destination
from keyrack.service.secrets.changes import SecretOwner
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory, Location
from keyrack.store.import_batches import ImportBatch, ImportEntries, ImportEntry

_KIND = EntryKind.grant
_NOT_IN_A_BATCH = "none"
_NO_CLIENT = "its client was not brought"
_NOWHERE = "nobody says where it goes: give --workspace and --user, or a mapping file"
_NO_WORKSPACE, _NO_USER = "the tenant has no such workspace", "the tenant has no such user"
_ELSEWHERE = "its auth client is not available in that workspace"
_DELETED = "it was brought before and deleted in Keyrack since; it is not brought again"
_OWN = "it was cut over, or connected again in Keyrack: its tokens are Keyrack's own by now"
_CHANGED = "its tokens were changed in Keyrack since, which counts"
_OLDER = "what is stored is as new or newer"
_UNTOLD = "which tokens are newer cannot be told, since the file has no times; what is stored counts"


class GrantBringer:
    """Brings grants.

    Args:
        schedule: when tokens are due, once they are cut over.
        clock: the time.
    """

    def __init__(self, schedule: Schedule, clock: Clock) -> None:
        self._schedule = schedule
        self._clock = clock
        self._workspaces: dict[str, Location | None] = {}
        self._users: dict[str, str | None] = {}

    async def bring(
        self,
        unit: Unit,
        source: str,
        batch: ImportBatch | None,
        wanted: Import,
        some: Sequence[FoundGrant],
        clients: Mapping[str, AuthClient],
    ) -> Sequence[EntryResult]:
        """Bring some grants.

        Args:
            unit: of the tenant; writing, unless it is a dry run.
            source: the other system.
            batch: the import; None in a dry run of one that is not there.
            wanted: where to, and whether at all.
            some: each once.
            clients: the auth clients by the external ids of the file's clients.

        Returns:
            What became of each.
        """
        entries = await ImportEntries(unit).known(source, _KIND, [each.external_id for each in some])
        ids = [each.resource_id for each in entries.values()]
        stored = await AuthSecrets(unit).find_many(ids, locked=not wanted.dry_run)
        results, made, secrets = [], list[ImportEntry](), list[AuthSecret]()
        for each in some:
            try:
                entry = entries.get(each.external_id)
                if entry is None:
                    result, secret = await self._new(unit, batch, wanted, each, clients.get(each.client_id))
                    if secret is not None and batch is not None and not wanted.dry_run:
                        secrets.append(secret)
                        version = secret.generation
                        made.append(
                            ImportEntry(source, _KIND, each.external_id, batch.id, secret.id, version, each.told_at)
                        )
                        result = replace(result, resource_id=secret.id)
                else:
                    result = await self._again(unit, wanted, each, entry, stored.get(entry.resource_id), clients)
            except ValidationFailed as wrong:
                result = left_out(_KIND, each.external_id, wrong)
            results.append(result)
        await AuthSecrets(unit).add_many(secrets)
        await ImportEntries(unit).add(made)
        return results

    async def _new(
        self,
        unit: Unit,
        batch: ImportBatch | None,
        wanted: Import,
        found: FoundGrant,
        client: AuthClient | None,
    ) -> tuple[EntryResult, AuthSecret | None]:
        where = wanted.target.of_grant(found.labels)
        why = await self._reason_against(unit, where, client)
        if why or client is None or where.workspace is None or where.user is None:
            return left_out(_KIND, found.external_id, why), None
        owner = SecretOwner(unit.tenant_id, where.workspace, where.user)
        batch_id = _NOT_IN_A_BATCH if batch is None else batch.id
        secret = new_secret(found, client, owner, batch_id, self._schedule, self._clock())
        return EntryResult(_KIND, found.external_id, Outcome.made), secret

    async def _reason_against(self, unit: Unit, where: Destination, client: AuthClient | None) -> str:
        """Return why a grant cannot go to a place; empty if it can."""
        if where.skip:
            return "the mapping file says so"
        if client is None:
            return _NO_CLIENT
        if where.workspace is None or where.user is None:
            return _NOWHERE
        place = await self._workspace(unit, where.workspace)
        if place is None or place.tenant_id != unit.tenant_id:
            return _NO_WORKSPACE
        if await self._tenant_of_user(unit, where.user) != unit.tenant_id:
            return _NO_USER
        here = client.contract_id in (None, place.contract_id) and client.workspace_id in (None, where.workspace)
        return "" if here else _ELSEWHERE

    async def _again(
        self,
        unit: Unit,
        wanted: Import,
        found: FoundGrant,
        entry: ImportEntry,
        stored: AuthSecret | None,
        clients: Mapping[str, AuthClient],
    ) -> EntryResult:
        client = clients.get(found.client_id)
        why = _reason_to_keep(found, entry, stored)
        if stored is None or why:
            return replace(left_out(_KIND, found.external_id, why), resource_id=None if stored is None else stored.id)
        unchanged = EntryResult(_KIND, found.external_id, Outcome.unchanged, stored.id)
        if has_tokens_of(stored, found):
            return unchanged
        if client is None or client.id != stored.auth_client_id:
            return left_out(_KIND, found.external_id, _NO_CLIENT)
        if found.told_at is None or entry.told_at is None:
            return replace(unchanged, why=_UNTOLD)
        if found.told_at <= entry.told_at:
            return replace(unchanged, why=_OLDER)
        secret = renewed_secret(stored, found, client, self._schedule, self._clock())
        if not wanted.dry_run:
            await AuthSecrets(unit).replace(secret, refresh_token_replaced=False)
            told = replace(entry, resource_version=secret.generation, told_at=found.told_at)
            await ImportEntries(unit).renew(told)
        return EntryResult(_KIND, found.external_id, Outcome.renewed, stored.id)

    async def _workspace(self, unit: Unit, workspace_id: str) -> Location | None:
        if workspace_id not in self._workspaces:
            self._workspaces[workspace_id] = await Directory(unit).workspace(workspace_id)
        return self._workspaces[workspace_id]

    async def _tenant_of_user(self, unit: Unit, user_id: str) -> str | None:
        if user_id not in self._users:
            place = await Directory(unit).user(user_id)
            self._users[user_id] = None if place is None else place.tenant_id
        return self._users[user_id]


def _reason_to_keep(found: FoundGrant, entry: ImportEntry, stored: AuthSecret | None) -> str:
    """Return why a grant that was brought before is not looked at again; empty if it is."""
    if stored is None:
        return _DELETED
    if stored.cutover_batch_id is None:
        return _OWN
    if stored.generation != entry.resource_version and not has_tokens_of(stored, found):
        return _CHANGED
    return ""
