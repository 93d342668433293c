"""Answers are kept whole, a rejected client is left alone until it is probed, and a lifetime is learned anew."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from keyrack import clock
from keyrack.errors import ProviderError
from keyrack.ids import new_id
from keyrack.oauth.wire import AnswerFault, RawResponse
from keyrack.store.attempts import Attempt, AttemptKind, Attempts
from keyrack.store.schema import auth_clients
from support.app import World
from support.grants import change, stored
from support.raw_provider import RawProvider, connect_raw

WHOLE = RawResponse(
    502,
    {"content-type": "text/html", "x": "y"},
    b"body\x00\xff",
    AnswerFault.CLOSED,
    cut=True,
    head=b"HTTP",
    surplus=b"s",
)


@pytest.mark.parametrize("answer", [WHOLE, RawResponse(200, {}, b"{}"), replace(WHOLE, fault=AnswerFault.TOO_LARGE)])
async def test_an_answer_is_kept_with_all_that_is_wrong_with_it(keyrack: World, answer: RawResponse) -> None:
    journal, tenant_id = keyrack.services.refreshing.journal, keyrack.tenants["Acme"].id
    attempt = Attempt(new_id(), tenant_id, AttemptKind.refresh, new_id(), 1, 0, "elsewhere#1:1", clock.now())
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        await unit.keyring.prepare(unit.connection, tenant_id)
        await Attempts(unit).begin(attempt)
    await journal._keep(attempt, answer)
    async with keyrack.store.unit(tenant_id) as unit:
        found = await Attempts(unit).find(attempt.id)
        assert found is not None
        assert found.answered_at is not None
        assert await journal.read(unit, attempt) is None, "as it was before the answer"
        assert await journal.read(unit, found) == answer
    assert journal.in_memory == 0


@pytest.mark.parametrize("probed", [True, False])
async def test_a_rejected_client_is_left_alone_until_it_is_probed(
    keyrack: World, raw_provider: RawProvider, *, probed: bool
) -> None:
    made = await connect_raw(keyrack, raw_provider)
    began = clock.now()
    probe_at = began.replace(microsecond=0) + timedelta(minutes=5) if probed else None
    said = {"error": "invalid_client", "status": 401, "error_description": None}
    await set_client(keyrack, made.client.id, rejected_at=began, probe_at=probe_at, rejection=said)
    secret = await change(keyrack.store, made.secret, due_at=began + timedelta(days=1))
    with pytest.raises(ProviderError, match="The provider rejects the auth client; change it first") as raised:
        await keyrack.services.refreshing.refresher.refresh(await stored(keyrack.store, secret))
    assert raised.value.meta == {"error": "invalid_client", "status": 401, "error_description": None}
    assert raw_provider.requests == []
    due_at = (await stored(keyrack.store, secret)).due_at
    assert due_at is not None
    if probe_at is None:
        assert timedelta(seconds=9) <= due_at - began <= clock.now() - began + timedelta(seconds=10)
    else:
        assert due_at == probe_at


@pytest.mark.parametrize(("lived", "learned"), [(1800, True), (1801, False), (1799, True)])
async def test_a_lifetime_that_is_no_longer_than_the_learned_one_is_learned_anew(
    keyrack: World, raw_provider: RawProvider, lived: int, *, learned: bool
) -> None:
    made = await connect_raw(keyrack, raw_provider)
    now = clock.now().replace(microsecond=0)
    before = replace(
        made.secret,
        lifetime_guessed=True,
        issued_at=now - timedelta(seconds=lived),
        expires_at=now - timedelta(seconds=lived) + timedelta(seconds=3000),
    )
    await set_client(keyrack, made.client.id, learned_lifetime=1800, learned_at=now - timedelta(days=1))
    after = replace(before, credentials={"access_token": "another"})
    await keyrack.services.refreshing.fresh._learn(before, after, now)
    async with keyrack.store.unit(made.secret.tenant_id) as unit:
        row = (await unit.connection.execute(select(auth_clients).where(auth_clients.c.id == made.client.id))).one()
    seconds: int = row.learned_lifetime
    at: datetime = row.learned_at
    assert seconds == (lived if learned else 1800)
    assert (at >= now) is learned


async def set_client(world: World, client_id: str, **values: object) -> None:
    """Let the standing of a client be as if its provider had answered so before."""
    async with world.store.unit(world.tenants["Acme"].id, writes=True) as unit:
        await unit.connection.execute(update(auth_clients).where(auth_clients.c.id == client_id).values(**values))
