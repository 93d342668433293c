"""What is old and over goes; what is new or still under way stays. Old tenants get permissions."""

from datetime import datetime, timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from keyrack import clock
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model.consents import AuthorizationContext, Consent, ConsentStatus
from keyrack.model.events import EventType
from keyrack.service.authz.permissions import DEFAULT_ROLES, TENANT_ADMIN
from keyrack.service.jobs.retention import Retention
from keyrack.store import migrations
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult, Attempts
from keyrack.store.consents import ConsentRows
from keyrack.store.core import engine
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.retention import BATCH
from keyrack.store.revocations import DueRevocations, Revocations, Subject
from keyrack.store.schema import attempts, consents, deliveries, events, revocations, roles
from support.app import BASE, World, settings_for, world

MISSING = "0" * 24


async def counts(keyrack: World) -> tuple[int, int, int]:
    async with keyrack.store.installation() as unit:
        found = [
            (await unit.connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (events, deliveries, revocations)
        ]
    return found[0], found[1], found[2]


async def test_what_is_old_and_done_is_removed(tmp_path: Path, database_url: str | None) -> None:
    ahead = timedelta()

    def now() -> datetime:
        return clock.now() + ahead

    settings = settings_for(tmp_path, database_url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, now) as keyrack:
        acme = keyrack.tenants["Acme"]
        sent = {"data": {"type": "webhook", "attributes": {"url": "http://127.0.0.1:8/"}}}
        webhook = (await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks", sent)).json()["data"]["id"]
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await Outbox(unit).add(EventType.secret_failed, {"n": 1})
            await Revocations(unit).add(Subject(MISSING, MISSING, MISSING), {})
            await Revocations(unit).add(Subject(MISSING, MISSING, MISSING), {})
            (done, _) = await DueRevocations(unit.across_tenants()).claim(Places(10), timedelta(0))
            await Revocations(unit).finish(done.id, done.claim, "revoked")
            await Deliveries(unit).end_pending(webhook)
            await Outbox(unit).add(EventType.secret_failed, {"n": 2})  # its delivery stays pending
            for n in range(BATCH + 5):
                await Outbox(unit).record(EventType.secret_refreshed, {"n": n})
        ahead = timedelta(days=29)
        retention = Retention(keyrack.store, settings.event_retention_days)
        assert await retention.reap() == 0
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await Outbox(unit).record(EventType.secret_created, {})
        ahead = timedelta(days=31)
        assert await counts(keyrack) == (BATCH + 8, 2, 2)
        assert await retention.reap() == BATCH + 5 + 1 + 1 + 1
        assert await counts(keyrack) == (2, 1, 1), "the new event, and what is still on its way"


async def add_consent(world: World, consent_id: str, status: ConsentStatus) -> None:
    """Put a consent into the store that may be finished for another ten minutes."""
    acme, now = world.tenants["Acme"], world.store.clock()
    consent = Consent(
        id=consent_id, tenant_id=acme.id, workspace_id=acme.workspace_id, user_id=acme.admin.id, component_id=MISSING,
        credential_id=None, auth_client_id=None, auth_secret_id=None, status=status, error=None, result_id=None,
        created_at=now, expires_at=now + timedelta(minutes=10), context=AuthorizationContext(),
    )  # fmt: skip
    async with world.store.unit(acme.id, writes=True) as unit:
        await ConsentRows(unit).add(consent, f"hash of {consent_id}")


async def add_attempt(world: World, kind: AttemptKind, subject_id: str, fate: AttemptResult | None) -> str:
    acme = world.tenants["Acme"]
    attempt = Attempt(new_id(), acme.id, kind, subject_id, 1, 1, "", world.store.clock())
    async with world.store.unit(acme.id, writes=True) as unit:
        await Attempts(unit).begin(attempt)
        if fate is not None:
            assert await Attempts(unit).settle(attempt.id, fate)
    return attempt.id


async def test_refreshes_and_consents_that_are_over_are_removed(tmp_path: Path, database_url: str | None) -> None:
    ahead = timedelta()

    def now() -> datetime:
        return clock.now() + ahead

    async def left() -> set[str]:
        async with keyrack.store.installation() as unit:
            found = [(await unit.connection.execute(select(table.c.id))).column() for table in (attempts, consents)]
        return {row_id for rows in found for row_id in rows}

    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings, now) as keyrack:
        over, pending, awaited = new_id(), new_id(), new_id()
        await add_consent(keyrack, over, ConsentStatus.failed)
        await add_consent(keyrack, pending, ConsentStatus.pending)
        await add_consent(keyrack, awaited, ConsentStatus.exchanging)
        settled = [await add_attempt(keyrack, AttemptKind.refresh, MISSING, fate) for fate in AttemptResult]
        running = [await add_attempt(keyrack, AttemptKind.refresh, MISSING, None)]
        running.append(await add_attempt(keyrack, AttemptKind.code, awaited, None))
        retention = Retention(keyrack.store, settings.event_retention_days)
        ahead = timedelta(days=30)
        assert await retention.reap() == len(settled), "what was still to be finished expired ten minutes later"
        ahead = timedelta(days=30, minutes=11)
        new = new_id()
        await add_consent(keyrack, new, ConsentStatus.pending)
        assert await retention.reap() == 2
        assert await left() == {awaited, new, *running}


def _downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0002")


async def test_tenant_admins_of_old_tenants_may_manage_webhooks(tmp_path: Path, database_url: str | None) -> None:
    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_downgrade)
                old = await connection.execute(select(roles.c.permissions).where(roles.c.role == TENANT_ADMIN))
                assert all("tenants.webhooks.get" not in held for (held,) in old)
            await migrations.upgrade(database)
        finally:
            await database.dispose()
        assert (await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks")).status_code == 200
        async with keyrack.store.unit(acme.id) as unit:
            rows = (await unit.connection.execute(select(roles).where(roles.c.tenant_id == acme.id))).all()
        now = {(row.scope, row.role): frozenset(row.permissions) for row in rows}
        assert now == {(role.scope, role.role): role.permissions for role in DEFAULT_ROLES}
