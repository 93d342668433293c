"""No method of the store reads or changes another tenant's rows (issue 4.2, invariant 1).

Every public method and function of `keyrack.store` that works in a unit is called in the unit of one tenant with the
ids and objects of another; what it answers must be the same as if that other tenant were not there at all. `ACROSS`
says which may look across tenants, and what they tell.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import delete, select

from keyrack.errors import KeyrackError, RelatedNotFound
from keyrack.store.core.unit import Unit
from keyrack.store.schema import metadata, tenants
from keyrack.store.secret_reader import SecretLocation, secret_reader
from keyrack.store.standings import find_with_standing
from support.tenancy.estate import put_under_way
from support.tenancy.stage import Stage
from support.tenancy.store_methods import Arguments, Method, gather, methods, spelled, takes_a_unit

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{24}")
Rows = Mapping[str, list[tuple[Any, ...]]]

ACROSS: dict[str, str] = {
    "ApiKeys.add": "of the owner that is given: the caller itself, or the flow that was entered",
    "ApiKeys.find": "of the owner that is given, without the key",
    "ApiKeys.page": "of the owner that is given, without the keys",
    "ApiKeys.owner": "for the command line: ids of who has a name",
    "ApiKeys.remove": "of the owner that is given",
    "AuditLog.append": "writes what is said of the caller in the unit's tenant, whatever that is",
    "AuditChains.owners": "ids of tenants, for the worker and the operator",
    "AuditChains.waiting": "a number, for the metrics",
    "AuditChains.with_tail": "the id of a tenant for which there is work",
    "AuditCounts.add": "of the log that is given: what is counted says whose it is",
    "AuditCounts.take_all": "of the log that is given",
    "AuditCounts.take_over": "work of all tenants for the worker; each goes into its own log",
    "LogsToSend.behind": "ids of tenants for whom there is work",
    "AuditKeys.all": "the installation's own keys",
    "AuditKeys.in_use": "as above",
    "AuditKeys.replace": "as above",
    "AuditAcrossTenants.newest": "for the operator, who may read tenants' audit logs",
    "DataKeyList.ages": "how old the oldest keys of the installation are, for metrics",
    "Bulk.alone": "an import, by the operator, writes all tenants that its file has",
    "Bulk.complete": "an import",
    "Bulk.every": "an import",
    "Bulk.put": "an import",
    "Bulk.rows": "an import",
    "DataKeyList.page": "for the operator: whose a data key is, without the key",
    "DataKeyList.versions": "numbers, for the operator",
    "Directory.auth_client": "ids of the scope an id is in",
    "Directory.component": "ids of the owner",
    "SharedIndex.beginning": "ids of what all tenants share",
    "SharedIndex.of_id": "what an id is of, and where; the service shows it to whoever may see it",
    "Directory.connect_logo": "id of the tenant whose logo has an address",
    "Directory.connect_link": "ids of the workspace, to who holds the link",
    "Directory.consent_by_link": "ids of where the consent is, to who holds the link",
    "Directory.consent_by_state": "ids of where the consent is, to who holds the state",
    "Directory.authentication_request": "id of the tenant, to who holds the state",
    "Identities.console_session": "who is signed in, to who has the session's cookie",
    "Directory.contract": "id of the tenant",
    "Directory.contracts": "ids, for service accounts",
    "Directory.flows_using": "numbers of flows, which block a deletion wherever they are (13.2)",
    "Directory.flows_using_contract": "numbers of flows, as above",
    "Directory.has": "whether an id is taken, in the tenant that is given",
    "Identities.by_key": "who an API key belongs to, to who has the key",
    "Identities.pending_sign_in": "who was right about a password, to who has the cookie",
    "Directory.place": "ids of where an id is",
    "Directory.is_empty": "whether there is an installation",
    "Directory.secrets_attached": "a number: secrets of a global auth client may be in any tenant",
    "Directory.setup_link": "id of the tenant, to who holds the link",
    "Identities.signing_in": "who has an email, to the check of the password alone",
    "Directory.team": "ids of the contract and tenant",
    "Directory.tenant": "whether there is one",
    "Directory.tenants_with_secrets_of": "ids, for telling each of its own secrets",
    "Identities.tenant_of_email_domain": "id of the tenant that leads people of a domain to its provider",
    "Directory.user": "id of the tenant",
    "Directory.user_name": "the name of who started a consent, for the tenant's own log",
    "Directory.workspace": "ids of the contract and tenant",
    "Directory.workspaces": "ids, for service accounts",
    "awaiting_cutover.waiting_counts": "numbers by import, for the operator",
    "import_batches.all_batches": "for the operator: which imports there are, and whose",
    "import_batches.batch_of_id": "for the operator: the tenant of an import that is named",
    "DueDeliveries.any": "whether there is work",
    "DueDeliveries.claim": "work of all tenants for the worker; each goes to its own tenant's webhook",
    "DueMails.any": "whether there is work",
    "DueMails.claim": "work of all tenants for the worker, handed out by tenant",
    "DuePolls.any": "whether there is work",
    "DeletedClientsAcrossTenants.list": "what can be restored, without secrets, for the operator",
    "DeletedClientsAcrossTenants.ended": "ids of what is over, of all tenants, for the worker, each with its tenant",
    "DueRotations.any": "whether there is work",
    "DueRotations.claim": "ids of clients of all tenants for the worker, each with its tenant",
    "DueRotations.next_to_try": "ids: connections of a global auth client may be in any tenant",
    "Freezes.active": "for the operator, and for readers, who are told no more than that they are refused",
    "Freezes.add": "by the operator",
    "Freezes.find": "for the operator",
    "Freezes.frozen": "ids of whose secrets are frozen, for readers, who are told no more than that they are refused",
    "Freezes.lift": "by the operator",
    "Freezes.newest": "for the operator",
    "TargetedGrants.blast_radius": "numbers, for the operator",
    "TargetedGrants.contained": "for the operator: what became of grants of any tenant, without values",
    "TargetedGrants.left": "for the operator: ids of grants of any tenant",
    "DuePolls.claim": "work of all tenants for the worker, handed out by tenant",
    "DueRevocations.any": "whether there is work",
    "DueRevocations.claim": "work of all tenants for the worker, handed out by tenant",
    "Dump.clear": "an export",
    "Dump.count": "an export",
    "Dump.pages": "an export",
    "Dump.under": "an export",
    "EndingSecrets.auth_clients": "ids of clients for which there is work, with their tenants",
    "EndingSecrets.count": "numbers, for the metrics",
    "EndingSecrets.whose": "ids of tenants for whom there is work",
    "Installation.create": "the installation's own row",
    "Installation.form_key": "the installation's own row",
    "Installation.make_form_key": "the installation's own row",
    "KeyRotations.ages": "times of all data keys together, for the operator",
    "KeyRotations.begin": "belong to no tenant",
    "KeyRotations.count_owners": "a number, for the operator",
    "KeyRotations.count_under_others": "a number, for the operator",
    "KeyRotations.end": "belong to no tenant",
    "KeyRotations.owners": "ids of tenants and data keys, for the operator's command",
    "KeyRotations.rewrap": "a data key as it is wrapped anew, which nobody could tell from what was stored before",
    "KeyRotations.superseded": "ids of tenants and data keys, for the operator's command",
    "KeyRotations.under_others": "wrapped data keys, for the operator's command; bound to their tenant",
    "KeyRotations.under_way": "belong to no tenant",
    "SupersededValues.count": "numbers by data key, for the operator's command",
    "Installation.opens": "the installation's own row",
    "ExpiredRows.forget_attempts": "deletes what is old",
    "ExpiredRows.forget_authentication_requests": "deletes what is old",
    "ExpiredRows.forget_connect_links": "deletes what is old",
    "ExpiredRows.forget_consents": "deletes what is old",
    "ExpiredRows.forget_console_sessions": "deletes what is old",
    "ExpiredRows.forget_deliveries": "deletes what is old, whosever it is",
    "ExpiredRows.forget_events": "deletes what is old",
    "ExpiredRows.forget_mails": "deletes what is old",
    "ExpiredRows.forget_pending_sign_ins": "deletes what is old",
    "ExpiredRows.forget_revocations": "deletes what is old",
    "ExpiredRows.forget_setup_links": "deletes what is old",
    "ExpiredRows.forget_refreshes_by_hours": "deletes what is old",
    "ExpiredRows.forget_refreshes_by_minutes": "deletes what is old",
    "InstallationGrants.counts": "numbers, for the operator",
    "InstallationGrants.made_before": "numbers, for the operator",
    "InstallationGrants.page": "for the operator, who may see tenants' grants; nothing is opened",
    "Processes.forget": "belong to no tenant",
    "Processes.leave": "belong to no tenant",
    "Processes.list": "belong to no tenant",
    "Processes.say": "belong to no tenant",
    "RefreshCounts.add": "numbers of all tenants together",
    "RefreshCounts.by_origin": "numbers of all tenants together",
    "RefreshCounts.by_time": "numbers of all tenants together",
    "RefreshQueueRows.due": "for the operator, who may see tenants' grants; nothing is opened",
    "RefreshQueueRows.due_within": "a number, for the operator",
    "RefreshQueueRows.next_due": "for the operator, as above",
    "RefreshQueueRows.leases": "for the operator, as above",
    "RefreshQueueRows.requests": "for the operator, as above",
    "ServiceAccounts.add": "belong to no tenant",
    "ServiceAccounts.change": "belong to no tenant",
    "ServiceAccounts.find": "belong to no tenant",
    "ServiceAccounts.hold": "belong to no tenant",
    "ServiceAccounts.page": "belong to no tenant",
    "ServiceAccounts.password": "belong to no tenant",
    "ServiceAccounts.remove": "belong to no tenant",
    "ServiceAccounts.set_password": "belong to no tenant",
    "TenantList.named": "for the operator, who may see tenants",
    "TenantList.page": "for the operator, who may see tenants",
    "TenantRows.add": "makes one",
    "attempts.open_attempts": "work of all tenants for the worker, handed out by tenant",
    "claims.any_due": "whether there is work",
    "claims.with_keys": "work of all tenants for the worker, handed out by tenant",
    "claims.fairly_due": "work of all tenants for the worker, handed out by tenant",
    "last_use.move_forward": "times of secrets that are named with their tenants",
    "last_use.move_keys_forward": "times of keys that are named",
    "restored_grants.newest_change": "when something happened last in any tenant, for the operator after a restore",
    "leases.claim_due": "work of all tenants for the worker: ids",
    "leases.lease_holders": "names of processes",
    "queue_stats.queue_stats": "numbers, for the metrics",
    "standings.find_with_standing": "ids of where an id is; roles of the caller, if it is of that tenant: below",
}
"""Methods in a unit that are not limited to its tenant, and what keeps tenants apart all the same."""

WITHOUT_A_UNIT: dict[str, str] = {
    "AccessChanges": "whether anything changed, by subject",
    "auth_clients": "hashes the address that it is given",
    "Change": "a change whose tenant is one of its parameters: test_statements_made_once.py",
    "CompiledStatement": "the text of a statement",
    "Connection": "runs statements it is given",
    "Database": "hands out connections",
    "DiskWatch": "whether the disk has room",
    "PagedQuery": "asks a table of one tenant: test_statements_made_once.py",
    "PostgresqlConnection": "runs statements it is given",
    "Connector": "makes connections",
    "PostgresqlDatabase": "hands out connections",
    "Result": "what came of a statement",
    "SqliteDatabase": "hands out connections",
    "Statement": "what queries and changes are made of",
    "StatementDialect": "compiles statements",
    "sqlite": "sets up a connection",
    "sqlite_writer": "tells an error",
    "Threads": "calls things in threads",
    "Writer": "hands out turns",
    "Coalescer": "answers each with what was read for its own key; keys have the tenant",
    "LeaseTime": "the database's time",
    "Listener": "wakes up; messages are ids",
    "PostgresSecretReader": "below: the point has the tenant",
    "SecretReader": "below: the point has the tenant",
    "Spool": "sealed answers, by attempt",
    "SqliteSecretReader": "below: the point has the tenant",
    "search_index": "a condition beside those of a list of one tenant",
    "Store": "hands out units",
    "TenantTable": "what the others are made of: `mine` is in every statement",
    "Unit": "is bound; values are sealed for its tenant",
    "Query": "a query whose tenant is one of its parameters: test_statements_made_once.py",
    "Frozen": "tells what it was given",
    "KeyChanges": "whether anything changed, by tenant",
    "Keyring": "the tenant is part of every place: tests/unit/crypto",
    "Waiter": "waits",
    "Wakeups": "wakes up by a secret's id",
    "access_changes": "names",
    "attempts": "a place of sealing",
    "audit_log": "reads a row that was found",
    "auth_secrets": "reads a row that was found",
    "authenticators": "reads a row that was found",
    "claims": "builds a query",
    "client_rotations": "reads a row that was found",
    "component_gate": "conditions for queries",
    "component_visibility": "conditions for queries; the tables are those of tenants",
    "console_sessions": "reads a row that was found",
    "contracts": "sorts rows that were found",
    "connection_faults": "tells why there is no connection",
    "database_errors": "names errors",
    "identities": "a name",
    "dsn": "an address",
    "engine": "connects",
    "flows": "reads a row that was found",
    "concerned_grants": "builds queries and patterns",
    "import_batches": "hashes the id that it is given",
    "installation_grants": "builds queries, and reads a row that was found",
    "lease_clock": "the machine's time",
    "large_columns": "builds queries, and batches of what was found",
    "paging": "runs a query it is given",
    "private_files": "a file's mode",
    "process_id": "a process",
    "references": "conditions for queries, and an error",
    "secret_reader": "connects",
    "statements": "parses what was stored",
    "unit": "builds queries",
    "users": "reads a row that was found",
    "search_words": "writes words of what it is given: test_search_words.py",
    "connect_themes": "makes columns of what it is given",
}
"""Everything else, by class, function or module, and why it needs no case."""

READERS = {"auth_secrets.read_secret", "auth_secrets.read_without_key", "webhooks.read_webhook"}
"""Open a row that was found, with the key of the unit's tenant: below."""

# fmt: off
ADDING = {
    "Attempts.begin", "AuditChain.hold", "AuditChain.keep", "AuditLog.append_counted", "AuditSent.claim",
    "ConnectThemeRows.put", "ContractRows.add", "Deliveries.fan_out", "ImportBatches.obtain",
    "ImportEntries.add", "Mails.add",
    "OAuthClientRows.add", "Outbox.add", "Resealing.batch", "ShreddedWork.end",
    "Outbox.add_all", "Outbox.add_with_secret", "Outbox.record",
    "ContainedGrants.note", "Revocations.add", "RolePolicy.replace",
    "SingleSignOnRows.put", "UserRows.add",
}
"""Add or change rows of the unit's own tenant that belong to nothing else; all others refuse others' parents."""
IDLE = {
    "AuthClientHealth.forgive", "AuthClientHealth.revive", "AuthClientRows.lock_all", "AuthClientUsages.open_consents",
    "GrantReportRows.last_of_window",
    "ComponentList.not_whitelisted", "ComponentRows.hold",
    "ComponentRows.lock_all_of", "CredentialRows.hold", "FlowReferences.keep", "KeyRotations.hold",
    "OAuthClientRows.hold",
    "Resealing.count_under", "RetiringKey.lock", "RetiringKey.remove",
    "RestoredGrants.in_question", "RestoredGrants.refreshable", "Usages.flows_of_contract",
}
"""Show nothing in the tenant itself either: they lock, or are about what cannot be here at the same time.

`store/test_restored_grants.py` has grants that are refreshed, of two tenants.
"""
# fmt: on

DIFFERENT: dict[str, str] = {
    "ComponentList.among": "the viewpoint that is given names its tenant; the service makes it from the unit",
    "WebhookRows.add": "refuses an id that is taken anywhere; ids are made by us",
    "auth_secrets.secret_columns": "a ciphertext, another one each time",
}
"""Whose answer differs when the other tenant is not there, beside those that add rows, and why that tells nothing."""


class TakenBack(Exception):
    """Ends a transaction that is not to be kept."""


BOUND = [each for each in methods() if takes_a_unit(each) and each.name not in ACROSS]


async def rows_of(unit: Unit) -> Rows:
    return {
        name: sorted(map(tuple, (await unit.connection.execute(select(table))).all()), key=repr)
        for name, table in metadata.tables.items()
    }


async def forget(unit: Unit, tenant_id: str) -> None:
    """Remove all rows of a tenant."""
    await unit.connection.execute(delete(tenants).where(tenants.c.id == tenant_id))
    for table in reversed(metadata.sorted_tables):
        if "tenant_id" in table.c:
            await unit.connection.execute(delete(table).where(table.c.tenant_id == tenant_id))


async def tried(
    stage: Stage, method: Method, given: Mapping[str, Any], tenant_id: str, before: Rows, without: str | None = None
) -> tuple[Any, Rows, Any]:
    """Call a method in the unit of a tenant, and take it back; return what it said, the rows then, and its refusal.

    With `without`, another tenant and all that it has is not there meanwhile.
    """
    said, refusal = None, None
    try:
        async with stage.world.store.unit(tenant_id, writes=True) as unit:
            if without is not None:
                await forget(unit, without)
            try:
                said = await method.call(unit, given)
            except (KeyrackError, RuntimeError) as error:
                refusal = error
            after = await rows_of(unit)
            raise TakenBack  # noqa: TRY301 - a unit is taken back by raising in it
    except TakenBack:
        return said, after, refusal
    except RelatedNotFound as error:  # a foreign key has the tenant in it, and the database refuses
        return None, before, error


@pytest.fixture(scope="module")
async def theirs(stage: Stage) -> AsyncIterator[Arguments]:
    stage.snapshot.restore()
    async with stage.world.store.unit(stage.mine.tenant.id, writes=True) as unit:
        under_way = await put_under_way(unit, stage.mine)
    async with stage.world.store.unit(stage.mine.tenant.id) as unit:
        yield await gather(unit, stage.mine, under_way)
    stage.snapshot.restore()


@pytest.fixture(scope="module")
async def before(stage: Stage, theirs: Arguments) -> Rows:
    del theirs  # which adds rows
    async with stage.world.store.installation() as unit:
        return await rows_of(unit)


def only_of(rows: Rows, tenant_id: str) -> Rows:
    return {name: [row for row in found if tenant_id in row] for name, found in rows.items()}


def test_every_method_has_a_case_or_a_reason() -> None:
    found = methods()
    assert {each.name for each in found if takes_a_unit(each)} == {each.name for each in BOUND} | set(ACROSS)
    assert {each.name.partition(".")[0] for each in found if not takes_a_unit(each)} == set(WITHOUT_A_UNIT)
    assert len(BOUND) > 150


@pytest.mark.parametrize("method", BOUND, ids=lambda method: str(method.name))
async def test_another_tenants_rows_are_neither_read_nor_changed(
    stage: Stage, theirs: Arguments, before: Rows, method: Method
) -> None:
    if method.name in READERS:
        return
    mine, own = stage.mine.tenant.id, stage.other.tenant.id
    secrets = set(ID.findall(repr(only_of(before, mine)))) - set(ID.findall(repr(only_of(before, own))))
    secrets |= set(stage.mine.canaries.values())
    full, bare = theirs.of(method), theirs.of(method, bare=True)
    for given in [full] if repr(full) == repr(bare) else [full, bare]:
        said, after, refusal = await tried(stage, method, given, own, before)
        told, known = spelled(said), spelled(given)
        assert sorted(each for each in secrets if each in told and each not in known) == []
        assert only_of(after, mine) == only_of(before, mine)
        assert method.name in ADDING or after == before
        if method.name in ADDING and refusal is None:
            changed = [row for name in after for row in after[name] if row not in before[name]]
            assert all(own in row for row in changed)
        if method.name not in ADDING | set(DIFFERENT):  # names, numbers and yes or no, too
            alone, rest, refusal_alone = await tried(stage, method, given, own, before, without=mine)
            assert only_of(rest, mine) == {name: [] for name in rest}
            assert (told, repr(refusal)) == (spelled(alone), repr(refusal_alone)), "it tells what another tenant has"
    said, after, refusal = await tried(stage, method, full, mine, before)  # so that the case is one
    assert bool(said or refusal or after != before) == (method.name not in IDLE)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("tenant", "tenant_id"), ("contract", "contract_id"), ("workspace", "workspace_id"), ("flow", "flow_id"),
     ("credential", "credential_id"), ("auth_client", "auth_client_id")],
)  # fmt: skip
async def test_a_place_comes_with_the_roles_of_users_of_its_own_tenant_only(stage: Stage, kind: str, name: str) -> None:
    async with stage.world.store.installation() as unit:
        own = await find_with_standing(unit, kind, stage.mine.ids[name], stage.mine.tenant.admin.id)
        others = await find_with_standing(unit, kind, stage.mine.ids[name], stage.other.tenant.admin.id)
        assert await find_with_standing(unit, kind, "f" * 24, stage.mine.tenant.admin.id) is None
    assert own is not None
    assert others is not None
    assert own[0] == others[0]
    assert own[0].tenant_id == stage.mine.tenant.id
    assert own[1] is not None
    assert "tenant-admin" in own[1].roles.tenant
    assert own[1].policy["tenants", "tenant-admin"]
    assert others[1] is None


async def test_a_secret_is_read_at_its_own_tenant_only(stage: Stage) -> None:
    ids, points = stage.mine.ids, secret_reader(stage.world.settings, stage.world.store.keyring)
    points.open()
    try:
        for tenant_id, is_there in ((stage.other.tenant.id, False), (stage.mine.tenant.id, True)):
            found = await points.find(SecretLocation(tenant_id, ids["workspace_id"], ids["secret_id"]))
            assert (found is not None) == is_there
    finally:
        await points.close()
