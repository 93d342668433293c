"""What a profile says of lifetimes is acted on: in time, not too early, and when an answer is lost (decision 38)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from keyrack.clock import iso
from keyrack.fair_share import Places
from keyrack.model.secrets import ErrorCode
from keyrack.store.auth_secrets import AuthSecrets
from support.app import World
from support.grants import change, stored
from support.provider_profiles import make, profile_at
from support.raw_provider import RawConsents, RawProvider, connect_raw, json_answer, tokens_answer

PAST = datetime(2020, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HANG_UP = b""
REFUSED = json_answer('{"error":"unknown"}', "400 Bad Request")


async def test_a_connection_nobody_reads_is_used_before_its_refresh_token_ends(
    keyrack: World, raw_provider: RawProvider
) -> None:
    desk = RawConsents(keyrack, raw_provider)
    lifetimes = {"access_token": 0, "refresh_token": 30 * 86400, "refresh_token_absolute": 365 * 86400}
    assert (await make(desk, profile_at(desk, lifetimes=lifetimes))).status_code == 201
    secret_id = await desk.connect(tokens_answer())
    seen = await desk.seen(secret_id)
    begun = datetime.now(UTC)
    ends = datetime.fromisoformat(seen["refresh_token_expires_at"])
    assert abs(ends - begun - 30 * DAY) < timedelta(minutes=5)
    assert abs(datetime.fromisoformat(seen["grant_expires_at"]) - begun - 365 * DAY) < timedelta(minutes=5)
    assert begun + 23 * DAY < datetime.fromisoformat(seen["next_refresh_at"]) < begun + 28 * DAY

    raw_provider.answers = [tokens_answer(access_token="at-2", refresh_token="rt-2", refresh_token_expires_in=86400)]
    refresher = keyrack.services.refreshing.refresher
    secret = await secret_of(keyrack, desk, secret_id)
    await change(keyrack.store, secret, due_at=PAST)
    (due,) = await refresher.claim(Places(10))
    renewed = await refresher.refresh_due(due)
    assert renewed is not None
    assert renewed.refresh_token_expires_at is not None
    assert renewed.due_at is not None
    assert abs(renewed.refresh_token_expires_at - datetime.now(UTC) - DAY) < timedelta(minutes=5)
    assert renewed.due_at < renewed.refresh_token_expires_at
    assert renewed.grant_expires_at == datetime.fromisoformat(seen["grant_expires_at"])


async def test_a_read_renews_no_sooner_than_the_provider_takes_it(keyrack: World, raw_provider: RawProvider) -> None:
    profile = {"name": "p", "lifetimes": {"refresh_before": 5}}
    grant = await connect_raw(keyrack, raw_provider, age=580, lifetime=600, provider_profile=profile)
    acme = keyrack.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{grant.secret.id}"
    seen = (await acme.admin.get(path)).json()["data"]["attributes"]
    assert grant.secret.expires_at is not None
    assert seen["next_refresh_at"] == iso(grant.secret.expires_at - timedelta(seconds=5))
    assert keyrack.services.refreshing.refresher.running == 0
    await change(keyrack.store, grant.secret, due_at=PAST)
    raw_provider.answers = [tokens_answer(expires_in=600)]
    await acme.admin.get(path)
    await raw_provider.asked.wait()


async def lost(keyrack: World, provider: RawProvider, answer: bytes = HANG_UP, **lifetimes: Any) -> Any:
    """Let the answer to a refresh be lost twice, as often as one asks at once; return the secret."""
    profile = {"name": "p", "lifetimes": lifetimes}
    grant = await connect_raw(keyrack, provider, provider_profile=profile)
    acme = keyrack.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{grant.secret.id}/refresh"
    provider.answers = [HANG_UP]
    assert (await acme.admin.post(path)).status_code == 400
    waits = await stored(keyrack.store, grant.secret)
    provider.answers = [answer]
    if answer != HANG_UP:
        await acme.admin.post(path)
    return waits, await stored(keyrack.store, grant.secret)


async def test_a_refresh_token_that_is_not_spent_is_never_in_doubt(keyrack: World, raw_provider: RawProvider) -> None:
    spent, refused = await lost(keyrack, raw_provider, REFUSED)
    assert spent.ambiguous_since is not None
    assert refused.error_code is ErrorCode.refresh_interrupted
    kept, refused = await lost(keyrack, raw_provider, REFUSED, rotates=False)
    assert kept.ambiguous_since is None
    assert refused.error_code is None, "one refusal without a meaning ends nothing"


async def test_within_the_grace_it_is_tried_again_promptly(keyrack: World, raw_provider: RawProvider) -> None:
    slow, _ = await lost(keyrack, raw_provider)
    prompt, _ = await lost(keyrack, raw_provider, rotation_grace=600)
    assert prompt.due_at - prompt.failed_at <= timedelta(seconds=1) < slow.due_at - slow.failed_at


async def secret_of(keyrack: World, desk: RawConsents, secret_id: str) -> Any:
    async with keyrack.store.unit(desk.tenant.id) as unit:
        return await AuthSecrets(unit).find(secret_id)
