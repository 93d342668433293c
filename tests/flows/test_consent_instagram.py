"""Consents with clients of the type oauth2_instagram end in a long-lived token (contract 14, 15.1)."""

from typing import Any

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.simulator.instagram import LIFETIME
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import open_attempts
from keyrack.store.auth_secrets import AuthSecrets
from support.app import World, error_of, relationship
from support.consent import approve
from support.grants import SECRET, client_credentials
from support.waits_and_faults import fail_once


async def instagram_client(keyrack: World, simulator: RunningSimulator, **credentials: Any) -> str:
    """Make an auth client of Acme whose first tokens are short-lived and come without a refresh token."""
    acme = keyrack.tenants["Acme"]
    descriptor = {"title": "Feed", "authClientTypes": ["oauth2_instagram"], "credentials": {}, "actions": {}}
    component_id = await keyrack.add_component(acme, "feed", descriptor)
    sim = "?sim=no_refresh_token,access_token_lifetime:3600,extra_members:user_id=7"
    given = {"refresh_token_uri": f"{simulator.base_url}/instagram/refresh_access_token?v=1", **credentials}
    data = {
        "type": "auth-client",
        "attributes": {
            "name": "Feed",
            "type": "oauth2_instagram",
            "credentials": client_credentials(simulator.token_endpoint + sim, **given),
        },
        "relationships": {
            "components": {"data": [{"id": component_id, "type": "component"}]},
            "tenant": relationship("tenant", acme.id),
        },
    }
    made = await acme.admin.post("/v2/auth-clients", {"data": data})
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["id"])


async def started(keyrack: World, auth_client_id: str) -> Any:
    acme = keyrack.tenants["Acme"]
    data = {"type": "oauth-consent", "relationships": {"auth_client": relationship("auth-client", auth_client_id)}}
    return await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/oauth-consents", {"data": data})


async def begun(keyrack: World, auth_client_id: str) -> tuple[str, str]:
    """Start a consent and be approved; return its path and the callback."""
    answer = await started(keyrack, auth_client_id)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    path = f"/v2/workspaces/{keyrack.tenants['Acme'].workspace_id}/oauth-consents/{data['id']}"
    return path, await approve(data["attributes"]["authorization_url"])


async def ended(keyrack: World, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await keyrack.tenants["Acme"].integrator.get(path)).json()["data"]
    return found


async def secret_of(keyrack: World, consent: dict[str, Any]) -> AuthSecret:
    async with keyrack.store.unit(keyrack.tenants["Acme"].id) as unit:
        secret = await AuthSecrets(unit).find(consent["relationships"]["auth_secret"]["data"]["id"])
    assert secret is not None
    return secret


async def test_the_secret_holds_the_long_lived_token(keyrack: World, simulator: RunningSimulator) -> None:
    path, callback = await begun(keyrack, await instagram_client(keyrack, simulator))
    page = await keyrack.http.get(callback)
    assert page.status_code == 200, page.text
    secret = await secret_of(keyrack, await ended(keyrack, path))
    assert secret.type == "oauth2_instagram"
    assert secret.credentials["expires_in"] == LIFETIME
    assert secret.credentials["undefined_params"] == {"user_id": "7"}, "it only came with the first answer"
    assert "refresh_token" not in secret.credentials
    found = simulator.state.book.access(secret.credentials["access_token"])
    assert found is not None
    assert found.long_lived
    assert found.state(simulator.state.book.now()) == "active"


FAULTS = {
    "status:500": "cannot answer now",
    "status:403": "refused",
    "hang_up:after": "closed the connection",
    "padding:2000000": "too large",
    "redirect_to:http://127.0.0.1:9/": "refused",
    "fail:server_error": "OAuthException",
}


@pytest.mark.parametrize("sim", FAULTS)
async def test_a_fault_of_the_second_exchange_fails_the_consent_clearly(
    keyrack: World, simulator: RunningSimulator, sim: str
) -> None:
    auth_client_id = await instagram_client(
        keyrack, simulator, refresh_token_uri=f"{simulator.base_url}/instagram/refresh_access_token?sim={sim}"
    )
    path, callback = await begun(keyrack, auth_client_id)
    page = await keyrack.http.get(callback)
    assert page.status_code == 400
    consent = await ended(keyrack, path)
    assert consent["attributes"]["status"] == "failed"
    for text in ("Access was granted, but there is no long-lived token", FAULTS[sim]):
        assert text in page.text
        assert text in consent["attributes"]["error"]
    assert SECRET not in page.text + consent["attributes"]["error"]
    assert simulator.state.calls(endpoint="ig_exchange") == 1
    async with keyrack.store.installation() as unit:
        assert await open_attempts(unit) == []


async def test_what_was_interrupted_goes_on_from_the_first_answer(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    path, callback = await begun(keyrack, await instagram_client(keyrack, simulator))
    fail_once(monkeypatch, ConsentCompletion, "_exchange_again", DatabaseUnavailable)
    assert (await keyrack.http.get(callback)).status_code == 503
    assert simulator.state.calls(endpoint="ig_exchange") == 0
    assert await keyrack.services.refreshing.recovery.tick() == 1
    consent = await ended(keyrack, path)
    assert consent["attributes"]["status"] == "completed"
    assert (await secret_of(keyrack, consent)).credentials["expires_in"] == LIFETIME
    assert simulator.state.calls(grant_type="authorization_code") == 1, "a code is sent once"
    assert simulator.state.calls(endpoint="ig_exchange") == 1


async def test_a_database_lost_after_the_second_answer_loses_nothing(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    path, callback = await begun(keyrack, await instagram_client(keyrack, simulator))
    fail_once(monkeypatch, AuthSecrets, "add", DatabaseUnavailable)
    assert (await keyrack.http.get(callback)).status_code == 503
    assert await keyrack.services.refreshing.recovery.tick() == 1
    assert (await secret_of(keyrack, await ended(keyrack, path))).credentials["expires_in"] == LIFETIME
    assert simulator.state.calls(grant_type="authorization_code") == 1


async def test_a_refused_code_is_told_as_always(keyrack: World, simulator: RunningSimulator) -> None:
    path, callback = await begun(keyrack, await instagram_client(keyrack, simulator))
    simulator.state.enqueue(Queued("token", 1, {"fail": "invalid_grant"}))
    assert (await keyrack.http.get(callback)).status_code == 400
    assert "invalid_grant" in (await ended(keyrack, path))["attributes"]["error"]
    assert simulator.state.calls(endpoint="ig_exchange") == 0


async def test_a_client_without_a_known_exchange_address_cannot_be_connected(
    keyrack: World, simulator: RunningSimulator
) -> None:
    auth_client_id = await instagram_client(keyrack, simulator, refresh_token_uri=simulator.token_endpoint)
    answer = await started(keyrack, auth_client_id)
    assert error_of(answer) == (400, "validation_error", "/data/relationships/auth_client/data/id")
    assert "refresh_access_token" in answer.json()["errors"][0]["detail"]
