"""`/metrics`: who may read it, what it tells, and what it never tells."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyrack import exposition, metrics
from keyrack.errors import ProviderError
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.data_key_list import DataKeyList
from support.app import BASE, World, settings_for, world
from support.documents import numbers
from support.grants import change, connect, is_leased


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics"])
async def test_it_needs_a_service_account_with_the_permission(keyrack: World, path: str) -> None:
    assert (await keyrack.http.get(BASE + path)).status_code == 401
    assert (await keyrack.http.get(BASE + path, headers={"authorization": "Basic eDp5"})).status_code == 401


async def test_others_may_not(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    watcher = await keyrack.add_service_account("global.metrics.get")
    stranger = await keyrack.add_service_account("tenants.tenant.get")
    assert [(await who.get("/metrics")).status_code for who in (acme.admin, stranger, watcher)] == [403, 403, 200]


async def test_scrapers_accept_what_they_like(keyrack: World) -> None:
    watcher = await keyrack.add_service_account("global.metrics.get")
    answer = await watcher.get("/metrics", headers={"accept": "text/plain"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{exposition.CONTENT_TYPE}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_it_can_be_opened(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, metrics_open="true", public_url=BASE)) as opened:
        answer = await opened.http.get("/metrics")
        assert answer.status_code == 200
        assert numbers(answer.text)["keyrack_database_up"] == 1


async def test_requests_are_counted_by_template_and_nothing_that_was_asked_for_is_told(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    watcher = await keyrack.add_service_account("global.metrics.get")
    route = 'method="GET",route="/v2/workspaces/{workspace_id}/secrets/{secret_id}",status="404"'
    before = numbers((await watcher.get("/metrics")).text)
    wanted = f"/v2/workspaces/{acme.workspace_id}/secrets/canary-secret?min_validity=77"
    assert (await acme.integrator.get(wanted)).status_code == 404
    await keyrack.http.request("BREW", "/canary-path")
    text = (await watcher.get("/metrics")).text
    after = numbers(text)
    name = f"keyrack_requests_total{{{route}}}"
    assert after[name] == before.get(name, 0) + 1
    assert any('method="other",route="none"' in line for line in after)
    for told in ("canary", "min_validity", acme.workspace_id, acme.id, acme.integrator.name, watcher.name):
        assert told not in text


async def test_refreshes_calls_and_circuits_are_told(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_origins", metrics._Origins())  # other tests have had their providers by name
    watcher = await keyrack.add_service_account("global.metrics.get")
    before = numbers((await watcher.get("/metrics")).text)
    good, bad = await connect(keyrack, simulator), await connect(keyrack, simulator)
    refresher = keyrack.services.refreshing.refresher
    await refresher.refresh(good.secret)
    simulator.state.book.revoke(lambda token: token.value == bad.secret.credentials["refresh_token"])
    with pytest.raises(ProviderError):
        await refresher.refresh(bad.secret)
    text = (await watcher.get("/metrics")).text
    after = numbers(text)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    origin = simulator.token_endpoint.removesuffix("/token")
    assert grown(f'keyrack_refreshes_total{{origin="{origin}",outcome="landed"}}') == 1
    assert grown(f'keyrack_refreshes_total{{origin="{origin}",outcome="refused"}}') == 1
    assert grown("keyrack_refresh_seconds_count") == 2
    assert grown(f'keyrack_provider_calls_total{{origin="{origin}",outcome="answered"}}') == 2
    assert after[f'keyrack_provider_circuit{{origin="{origin}"}}'] == 0
    assert after[f'keyrack_provider_calls_running{{origin="{origin}"}}'] == 0
    for secret in (good.secret, bad.secret):
        assert secret.id not in text
        assert secret.credentials["refresh_token"] not in text


async def test_what_is_due_is_asked_of_the_database(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    world_, watcher = keyrack_on_each, await keyrack_on_each.add_service_account("global.metrics.get")
    connected = await connect(world_, simulator, age=3700)
    await connect(world_, simulator, age=60)
    await change(world_.store, connected.secret, due_at=connected.secret.expires_at)
    assert not await is_leased(world_.store, connected.secret)
    told = numbers((await watcher.get("/metrics")).text)
    assert (told["keyrack_secrets_due"], told["keyrack_attempts_open"]) == (1, 0)
    assert 99 < told["keyrack_secrets_due_oldest_seconds"] < 160
    ages = [told[f'keyrack_key_age_seconds{{key="{kind}"}}'] for kind in ("data", "encryption")]
    assert all(0 <= age < 3600 for age in ages)
    async with world_.store.installation() as unit:
        assert set(await DataKeyList(unit).ages("another key")) == {"data"}
    assert (told["keyrack_answers_spooled"], told["keyrack_answers_in_memory"]) == (0, 0)
    assert told["keyrack_audit_unchained"] > 0
    assert 0 <= told["keyrack_audit_unchained_oldest_seconds"] < 3600
    assert told["keyrack_database_connections_most"] == world_.settings.database_pool_size


def test_however_many_origins_there_are_the_labels_are_bounded() -> None:
    known = metrics._Origins()
    told = {known.label(f"https://{n}.example:443", str(n)) for n in range(1000)}
    assert len(told) == 51
    assert "other" in told


def test_a_tenant_that_names_many_hosts_leaves_some_labels_to_others() -> None:
    known = metrics._Origins()
    hostile = {known.label(f"https://{n}.hostile.example", "hostile") for n in range(1000)}
    assert "other" in hostile
    good = [f"https://{n}.good.example" for n in range(5)]
    assert [known.label(origin, "good") for origin in good] == good
    assert known.label("https://1.hostile.example", "good") == "https://1.hostile.example"  # known is known
