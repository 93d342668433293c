"""A refusal that may be one grant's fault does not pause the whole client; a second grant's does (contract 0.13)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.errors import ProviderError
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.auth_clients import AuthClientRows
from support.app import World
from support.grants import add_auth_client, add_secret, change, is_renewed, mint, stored

REFUSALS: list[dict[str, Any]] = [{"status": 401, "status_bare": True}, {"fail": "unauthorized_client"}]


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture(params=REFUSALS, ids=["a bare 401", "unauthorized_client"])
def refusal(request: pytest.FixtureRequest) -> dict[str, Any]:
    given: dict[str, Any] = request.param
    return given


async def client_of(world: World, client: AuthClient) -> AuthClient:
    async with world.store.unit(client.tenant_id) as unit:
        found = await AuthClientRows(unit).find(client.id)
    assert found is not None
    return found


async def refused(world: World, simulator: RunningSimulator, secret: AuthSecret, refusal: dict[str, Any]) -> AuthSecret:
    simulator.state.set_defaults(refusal)
    with pytest.raises(ProviderError):
        await world.services.refreshing.refresher.refresh(await stored(world.store, secret))
    simulator.state.set_defaults({"status": 0, "status_bare": False, "fail": ""})
    return await stored(world.store, secret)


async def test_one_refused_grant_is_tried_again_and_leaves_the_others_alone(
    keyrack_on_each: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    one, other = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(2)]
    for count in (1, 2):
        after = await refused(world, simulator, one, refusal)
        assert (await client_of(world, client)).rejected_at is None
        assert after.failure_count == count
        assert after.due_at is not None
        assert after.retry_at is not None
        assert after.due_at > datetime.now(UTC), "not at once"
    assert (await stored(world.store, other)).due_at is not None, "the client goes on"
    assert is_renewed(simulator, other, await world.services.refreshing.refresher.refresh(other))
    assert is_renewed(simulator, one, await world.services.refreshing.refresher.refresh(await stored(world.store, one)))


async def test_a_second_grant_that_meets_the_same_pauses_the_client(
    keyrack_on_each: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    owners = [acme.admin, acme.integrator, acme.admin]
    secrets = [await add_secret(world.store, acme, client, mint(simulator), age=4000, owner=who) for who in owners]
    for secret in secrets[:2]:
        await refused(world, simulator, secret, refusal)
    rejected = await client_of(world, client)
    assert rejected.rejected_at is not None
    assert "suspect" not in str(rejected.rejection), "nobody is told whose grant it was"
    assert [(await stored(world.store, secret)).due_at for secret in secrets] == [None, None, None]


async def test_grants_that_worked_once_are_believed_though_they_are_one_users(
    keyrack_on_each: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    secrets = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(2)]
    for secret in secrets:
        assert is_renewed(simulator, secret, await world.services.refreshing.refresher.refresh(secret))
    for secret in secrets:
        await refused(world, simulator, secret, refusal)
    assert (await client_of(world, client)).rejected_at is not None


async def test_one_user_alone_cannot_pause_a_client_with_worthless_tokens(
    keyrack_on_each: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    theirs = await add_secret(world.store, acme, client, mint(simulator), owner=acme.admin)
    worthless = [
        await add_secret(world.store, acme, client, mint(simulator), age=4000, owner=acme.integrator) for _ in range(4)
    ]
    worked = await world.services.refreshing.refresher.refresh(worthless[3])
    await change(world.store, worked, issued_at=datetime.now(UTC), credentials={**worked.credentials, "x": "by hand"})
    for secret in worthless:
        await refused(world, simulator, secret, refusal)
    assert (await client_of(world, client)).rejected_at is None
    assert (await stored(world.store, theirs)).due_at is not None, "the others go on"


async def test_a_success_in_between_clears_the_client(
    keyrack_on_each: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    one, good, other = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(3)]
    await refused(world, simulator, one, refusal)
    assert is_renewed(simulator, good, await world.services.refreshing.refresher.refresh(good))
    await refused(world, simulator, other, refusal)
    assert (await client_of(world, client)).rejected_at is None


async def test_a_grant_refused_for_good_without_a_reason_ends(
    keyrack: World, simulator: RunningSimulator, refusal: dict[str, Any]
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
    secret = await add_secret(keyrack.store, acme, client, mint(simulator), age=4000)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    await change(keyrack.store, secret, expires_at=long_ago)
    after = await refused(keyrack, simulator, secret, refusal)
    assert after.state is SecretState.error
    assert after.due_at is None
