"""The first exchange of a code goes through the same journal as a refresh (issue 3.2)."""

from datetime import UTC, datetime

import msgspec
import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.oauth.state import state_hash
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.simulator.config import DEFAULT_CLIENT
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import Attempt, AttemptKind, Attempts, open_attempts
from keyrack.store.consents import ConsentRows
from keyrack.store.core.process_id import node_id
from support.app import World
from support.consent import add_oauth_client, approve, oauth_component, start
from support.grants import approve_oauth1, oauth1_component
from support.waits_and_faults import fail_once


async def begun(world: World, simulator: RunningSimulator) -> tuple[str, str]:
    """Start a consent and be approved; return its id and the callback's address."""
    simulator.state.set_defaults({"approval": "auto", "rotation": "strict"})
    acme = world.tenants["Acme"]
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint)
    component = await world.add_component(acme, "connected", descriptor)
    secret = DEFAULT_CLIENT.client_secret.reveal()
    await add_oauth_client(world, "Acme", component, DEFAULT_CLIENT.client_id, secret)
    data = (await start(acme.integrator, acme.workspace_id, component)).json()["data"]
    return data["id"], await approve(data["attributes"]["authorization_url"])


async def status(world: World, consent_id: str) -> tuple[str, str | None]:
    acme = world.tenants["Acme"]
    answer = await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/oauth-consents/{consent_id}")
    attributes = answer.json()["data"]["attributes"]
    return attributes["status"], attributes.get("error")


async def credentials(world: World) -> int:
    acme = world.tenants["Acme"]
    return len((await acme.admin.get(f"/v2/credentials?workspace_id={acme.workspace_id}")).json()["data"])


async def still_open(world: World) -> int:
    async with world.store.installation() as unit:
        return len(await open_attempts(unit))


async def test_a_database_lost_after_the_answer_loses_no_consent(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    consent_id, callback = await begun(keyrack_on_each, simulator)
    fail_once(monkeypatch, Journal, "_store_answer", DatabaseUnavailable)
    fail_once(monkeypatch, ConsentCompletion, "complete", DatabaseUnavailable)
    assert (await keyrack_on_each.http.get(callback)).status_code == 503
    assert await credentials(keyrack_on_each) == 0
    assert await keyrack_on_each.services.refreshing.recovery.tick() == 1
    assert await status(keyrack_on_each, consent_id) == ("completed", None)
    assert (await credentials(keyrack_on_each), await still_open(keyrack_on_each)) == (1, 0)
    assert simulator.state.calls(endpoint="token") == 1, "a code is sent once"


async def test_token_credentials_of_oauth1_are_not_lost_either(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.state.set_defaults({"approval": "auto"})
    simulator.state.put_client(msgspec.structs.replace(DEFAULT_CLIENT, redirect_match="any"))
    acme = keyrack_on_each.tenants["Acme"]
    component = await keyrack_on_each.add_component(acme, "birdsong", oauth1_component(simulator.base_url))
    secret = DEFAULT_CLIENT.client_secret.reveal()
    await add_oauth_client(keyrack_on_each, "Acme", component, DEFAULT_CLIENT.client_id, secret)
    data = (await start(acme.integrator, acme.workspace_id, component)).json()["data"]
    callback = await approve_oauth1(data["attributes"]["authorization_url"])
    fail_once(monkeypatch, Journal, "_store_answer", DatabaseUnavailable)
    fail_once(monkeypatch, ConsentCompletion, "complete", DatabaseUnavailable)
    assert (await keyrack_on_each.http.get(callback)).status_code == 503
    assert await keyrack_on_each.services.refreshing.recovery.tick() == 1
    assert await status(keyrack_on_each, data["id"]) == ("completed", None)
    assert (await credentials(keyrack_on_each), await still_open(keyrack_on_each)) == (1, 0)
    assert simulator.state.calls(endpoint="oauth1_token") == 1


async def test_an_answer_lost_with_its_process_fails_the_consent(keyrack: World, simulator: RunningSimulator) -> None:
    consent_id, callback = await begun(keyrack, simulator)
    acme = keyrack.tenants["Acme"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        state = callback.partition("state=")[2].partition("&")[0]
        assert await ConsentRows(unit).consume(state_hash(state), datetime.now(UTC)) is not None
        attempt = Attempt("a" * 24, acme.id, AttemptKind.code, consent_id, 0, 0, node_id(), datetime.now(UTC))
        await Attempts(unit).begin(attempt)
    assert await keyrack.services.refreshing.recovery.tick() == 1
    failed, why = await status(keyrack, consent_id)
    assert failed == "failed"
    assert why is not None
    assert "interrupted" in why
    assert (await credentials(keyrack), await still_open(keyrack)) == (0, 0)


async def test_a_lost_answer_fails_the_consent_at_once(keyrack: World, simulator: RunningSimulator) -> None:
    consent_id, callback = await begun(keyrack, simulator)
    simulator.state.enqueue(Queued("token", 1, {"hang_up": "after"}))
    assert (await keyrack.http.get(callback)).status_code == 400
    assert (await status(keyrack, consent_id))[0] == "failed"
    assert await still_open(keyrack) == 0
