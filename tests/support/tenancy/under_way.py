"""What a tenant has while something is under way: rows that only a refresh, a callback or a delivery leaves behind.

With them a method of the store finds something to do in the tenant itself, so that it is noticed if it does so from
another tenant's unit as well.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, update

from keyrack import clock
from keyrack.ids import new_id
from keyrack.store import schema as s
from keyrack.store.attempts import Attempt, AttemptKind, Attempts
from keyrack.store.core.process_id import node_id
from keyrack.store.core.unit import Unit
from keyrack.store.leases import lease_clock
from keyrack.store.revocations import Revocations, Subject
from support.tenancy.estate import Estate

HAPPENED_AT = datetime(2031, 1, 1, tzinfo=UTC)
"""When the tenant's one event happened that was delivered; no other tenant's is as late."""

_LEASE_MS = 60_000


async def put_under_way(unit: Unit, estate: Estate) -> dict[str, str]:
    """Add the rows to a tenant; return names for their ids, as parameters of the store's methods have them."""
    ids = estate.ids
    made = {"claim": new_id(), "link_hash": "a link", "exchanging_id": await _exchanging(unit, ids["consent_id"])}
    made |= {"attempt_id": await _attempt(unit, ids["secret_id"]), "job_id": await _revocation(unit, estate)}
    await _deliveries(unit, ids["event_id"], made["claim"])
    consents, clients, secrets, users, invites = s.consents, s.auth_clients, s.auth_secrets, s.users, s.contract_invites
    now = lease_clock(unit)
    for statement in (
        update(consents)
        .where(consents.c.id == ids["consent_id"])
        .values(link_hash=made["link_hash"], browser_hash="text"),
        update(clients)
        .where(clients.c.id == ids["auth_client_id"])
        .values(rejection={"error": "x"}, probe_at=clock.now()),
        update(secrets)
        .where(secrets.c.id == ids["secret_id"])
        .values(lease_owner=node_id(), lease_until=now + _LEASE_MS),
        update(s.revocations).where(s.revocations.c.id == made["job_id"]).values(claim=made["claim"]),
        update(users).where(users.c.id == ids["user_id"]).values(tenant_roles=["tenant-admin"]),
        update(invites)
        .where(invites.c.id == ids["invite_id"])
        .values(workspace_id=ids["workspace_id"], workspace_roles=["guest"]),
    ):
        assert (await unit.connection.execute(statement)).rowcount == 1
    return made


async def _exchanging(unit: Unit, consent_id: str) -> str:
    """Add a consent whose code is being exchanged."""
    c, other = s.consents.c, new_id()
    row = (await unit.connection.execute(select(s.consents).where(c.id == consent_id))).one()
    context = await unit.open(s.consents, consent_id, "sealed_memory", row.sealed_memory)
    values = {**row._mapping, "id": other, "state_hash": other, "status": "exchanging"}
    values["sealed_memory"] = await unit.seal(s.consents, other, "sealed_memory", context)
    await unit.connection.execute(insert(s.consents).values(values))
    return other


async def _attempt(unit: Unit, secret_id: str) -> str:
    attempt = Attempt(new_id(), unit.tenant_id, AttemptKind.refresh, secret_id, 0, 0, node_id(), clock.now())
    await Attempts(unit).begin(attempt)
    return attempt.id


async def _revocation(unit: Unit, estate: Estate) -> str:
    ids = estate.ids
    order = {"token": "at"}
    await Revocations(unit).add(Subject(ids["secret_id"], ids["workspace_id"], ids["auth_client_id"]), order)
    r = s.revocations.c
    found: str = (await unit.connection.execute(select(r.id).where(r.tenant_id == unit.tenant_id))).scalar_one()
    return found


async def _deliveries(unit: Unit, event_id: str, claim: str) -> None:
    """Let one event have been delivered, late, under a claim that holds; another is on its way."""
    e, d, other = s.events.c, s.deliveries.c, new_id()
    event = (await unit.connection.execute(select(s.events).where(e.id == event_id))).one()
    delivery = (await unit.connection.execute(select(s.deliveries).where(d.event_id == event_id))).one()
    earlier = HAPPENED_AT - timedelta(days=365 * 4)
    await unit.connection.execute(insert(s.events).values({**event._mapping, "id": other, "created_at": earlier}))
    await unit.connection.execute(insert(s.deliveries).values({**delivery._mapping, "event_id": other}))
    late = update(s.events).where(e.id == event_id).values(created_at=HAPPENED_AT)
    await unit.connection.execute(late)
    ended = {"state": "delivered", "due_at": None, "claim": claim, "finished_at": clock.now()}
    await unit.connection.execute(update(s.deliveries).where(d.event_id == event_id).values(ended))
