"""An outage ends when it ends: only the background's own tries make it back off (contract 0.13; issue 8.B6)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, update

from keyrack.errors import KeyrackError
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.store.leases import Leases
from keyrack.store.schema import auth_clients, auth_secrets
from support.app import World, error_of
from support.grants import change, stored
from support.raw_provider import RawProvider, connect_raw, json_answer

DOWN = json_answer("{}", "503 Service Unavailable")
WELL = json_answer('{"access_token":"at-2","refresh_token":"rt-2"}')
NOTHING = b""
SECONDS = timedelta(seconds=1)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def path_of(world: World, secret: AuthSecret) -> str:
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{secret.id}"


async def force(world: World, secret: AuthSecret) -> tuple[int, str, str | None]:
    return error_of(await world.tenants["Acme"].admin.post(f"{path_of(world, secret)}/refresh"))


async def read(world: World, secret: AuthSecret) -> str:
    answer = await world.tenants["Acme"].admin.get(path_of(world, secret))
    assert answer.status_code == 200, answer.text
    state: str = answer.json()["data"]["attributes"]["state"]
    return state


async def in_the_background(world: World, secret: AuthSecret) -> AuthSecret:
    """Let the time come at which the background has planned its next try, and return what it left."""
    refresher = world.services.refreshing.refresher
    await change(world.store, secret, due_at=PAST)
    (due,) = await refresher.claim(Places(10))
    with pytest.raises(KeyrackError):
        await refresher.refresh_due(due)
    return await stored(world.store, secret)


def waits(secret: AuthSecret) -> tuple[timedelta, timedelta]:
    """How long after the last failure readers and the background wait."""
    assert secret.failed_at is not None
    assert secret.retry_at is not None
    assert secret.due_at is not None
    return secret.retry_at - secret.failed_at, secret.due_at - secret.failed_at


@pytest.mark.parametrize("table", [auth_secrets, auth_clients])
async def test_what_cannot_be_opened_holds_up_no_other_secret_of_the_background(
    keyrack_on_each: World, raw_provider: RawProvider, table: Table
) -> None:
    world, refresher = keyrack_on_each, keyrack_on_each.services.refreshing.refresher
    damaged, good = [(await connect_raw(world, raw_provider)).secret for _ in range(2)]
    row = damaged.id if table is auth_secrets else damaged.auth_client_id
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(update(table).where(table.c.id == row).values(sealed_credentials=b"damaged"))
    raw_provider.answers = [WELL]
    for _ in range(2):  # a lease of our own is as good as free: the damaged one is claimed again
        for secret in (damaged, good):
            async with world.store.unit(secret.tenant_id, writes=True) as unit:
                await Leases(unit).set_columns(secret.id, {"due_at": PAST, "lease_until": None, "lease_owner": None})
        claimed = {each.due.secret_id: each for each in await refresher.claim(Places(10))}
        assert set(claimed) == {damaged.id, good.id}
        with pytest.raises(KeyrackError):
            await refresher.refresh_due(claimed[damaged.id])
        renewed = await refresher.refresh_due(claimed[good.id])
        assert renewed is not None
        assert renewed.credentials["access_token"] == "at-2"


async def test_forced_refreshes_delay_nobody(keyrack_on_each: World, raw_provider: RawProvider) -> None:
    world = keyrack_on_each
    secret = (await connect_raw(world, raw_provider)).secret
    raw_provider.answers = [DOWN]
    for _ in range(9):
        assert (await force(world, secret))[1] == "provider_unavailable"
    failed = await stored(world.store, secret)
    assert (failed.failure_count, failed.backoff_count) == (9, 0)
    readers, _ = waits(failed)
    assert readers <= 5 * SECONDS
    assert failed.due_at is not None
    assert failed.due_at <= datetime.now(UTC) + 5 * SECONDS
    raw_provider.answers = [WELL]
    await change(world.store, secret, retry_at=PAST)  # some seconds pass
    assert await read(world, secret) == "ready"
    well = await stored(world.store, secret)
    assert (well.failure_count, well.backoff_count, well.retry_at) == (0, 0, None)


async def test_the_background_backs_off_and_readers_do_not(keyrack: World, raw_provider: RawProvider) -> None:
    secret = (await connect_raw(keyrack, raw_provider)).secret
    raw_provider.answers = [DOWN]
    for count in range(1, 5):
        failed = await in_the_background(keyrack, secret)
        readers, background = waits(failed)
        assert failed.backoff_count == count
        assert readers <= 5 * SECONDS
        assert 2.5 * 2 ** (count - 1) * SECONDS <= background <= 5 * 2 ** (count - 1) * SECONDS
    planned, calls = failed.due_at, len(raw_provider.requests)
    for _ in range(2):
        assert await read(keyrack, secret) == "error"
    assert len(raw_provider.requests) == calls, "not before a few seconds have passed"
    await change(keyrack.store, secret, retry_at=PAST)
    assert await read(keyrack, secret) == "error"
    assert len(raw_provider.requests) == calls + 1
    after = await stored(keyrack.store, secret)
    assert (after.due_at, after.backoff_count) == (planned, 4), "what readers try is no reason to wait longer"
    assert waits(after)[0] <= 5 * SECONDS


async def test_prompt_tries_within_the_providers_grace_do_not_count(keyrack: World, raw_provider: RawProvider) -> None:
    secret = (await connect_raw(keyrack, raw_provider, refresh_token_grace=60)).secret
    raw_provider.answers = [NOTHING]
    for _ in range(5):
        failed = await in_the_background(keyrack, secret)
        assert (failed.backoff_count, waits(failed)[1]) == (0, SECONDS)
    await change(keyrack.store, secret, ambiguous_since=datetime.now(UTC) - 61 * SECONDS)
    failed = await in_the_background(keyrack, secret)
    assert failed.backoff_count == 1
    assert waits(failed)[1] <= 5 * SECONDS, "a minute's outage costs seconds"


@pytest.mark.parametrize("grace", [None, 60])
async def test_what_the_provider_asks_for_holds(keyrack: World, raw_provider: RawProvider, grace: int | None) -> None:
    more: dict[str, Any] = {} if grace is None else {"refresh_token_grace": grace}
    secret = (await connect_raw(keyrack, raw_provider, **more)).secret
    raw_provider.answers = [json_answer("{}", "500 Internal Server Error", Retry_After="120")]
    assert (await force(keyrack, secret))[1] == "provider_unavailable"
    calls = len(raw_provider.requests)
    assert await read(keyrack, secret) == "error"
    assert (await force(keyrack, secret))[1] == "provider_unavailable"
    assert len(raw_provider.requests) == calls
    assert all(wait >= 120 * SECONDS for wait in waits(await stored(keyrack.store, secret)))


async def test_readers_wait_for_an_open_circuit_without_a_trace(keyrack: World, raw_provider: RawProvider) -> None:
    secret, other = [(await connect_raw(keyrack, raw_provider)).secret for _ in range(2)]
    raw_provider.answers = [DOWN]
    for _ in range(keyrack.settings.breaker_failures):
        await force(keyrack, secret)
    await change(keyrack.store, secret, retry_at=PAST)
    before, calls = await stored(keyrack.store, secret), len(raw_provider.requests)
    assert await read(keyrack, secret) == "error"
    assert await stored(keyrack.store, secret) == before
    assert await read(keyrack, other) == "error", "the first failure of a secret is written down, so that it is told"
    assert len(raw_provider.requests) == calls
    limiter = keyrack.services.refreshing.limiter
    standing = limiter._origins[origin_of(raw_provider.url)].standings[secret.tenant_id]
    assert standing.open_until - limiter.monotonic() <= limiter.limits.longest_pause <= 10
    standing.open_until = limiter.monotonic()  # the pause is over
    raw_provider.answers = [WELL]
    assert await read(keyrack, secret) == "ready"


async def test_a_refusal_that_says_nothing_is_not_repeated_for_each_reader(
    keyrack: World, raw_provider: RawProvider
) -> None:
    secret = (await connect_raw(keyrack, raw_provider)).secret
    raw_provider.answers = [json_answer('{"error":"something_else"}', "403 Forbidden")]
    failed = await in_the_background(keyrack, secret)
    assert failed.retry_at == failed.due_at, "it has answered: readers wait as long as the background does"
