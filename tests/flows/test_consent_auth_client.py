"""Consents with auth clients: tokens that become an auth secret (contract 20.2, 20.4, 0.11)."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from keyrack.model.secrets import AuthSecret
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_secrets import AuthSecrets
from support.app import BASE, Caller, World, error_of, relationship
from support.consent import CALLBACK, approve
from support.grants import client_credentials, is_live, is_renewed

Named = dict[str, tuple[str, str]]
"""Relationships of a consent: type and id by name."""


def secret_component(**oauth2: Any) -> dict[str, Any]:
    return {
        "title": "Second generation",
        "authClientTypes": ["oauth2"],
        "credentials": {
            "fields": {
                "oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"},
                "region": {"label": "Region", "viewClass": "SelectView", "model": {"eu": "Europe", "us": "USA"}},
            },
            "oauth2": oauth2,
        },
        "actions": {"run": {"title": "Run", "main": "./run.js"}},
    }


async def add_client(world: World, component_id: str, simulator: RunningSimulator, **credentials: Any) -> str:
    acme = world.tenants["Acme"]
    data = {
        "type": "auth-client",
        "attributes": {
            "name": "Simulator",
            "type": "oauth2",
            "credentials": client_credentials(simulator.token_endpoint, **credentials),
        },
        "relationships": {
            "components": {"data": [{"id": component_id, "type": "component"}]},
            "tenant": relationship("tenant", acme.id),
        },
    }
    made = await acme.admin.post("/v2/auth-clients", {"data": data})
    assert made.status_code == 201, made.text
    return str(made.json()["data"]["id"])


async def start(who: Caller, workspace_id: str, named: Named, **attributes: Any) -> httpx2.Response:
    relationships = {name: relationship(kind, identifier) for name, (kind, identifier) in named.items()}
    data = {"type": "oauth-consent", "attributes": attributes, "relationships": relationships}
    return await who.post(f"/v2/workspaces/{workspace_id}/oauth-consents", {"data": data})


async def connected(world: World, named: Named, **attributes: Any) -> tuple[str, AuthSecret]:
    """Go through a whole consent; return the authorization URL and the secret."""
    acme = world.tenants["Acme"]
    started = await start(acme.integrator, acme.workspace_id, named, **attributes)
    assert started.status_code == 201, started.text
    consent = started.json()["data"]
    url = consent["attributes"]["authorization_url"]
    back = await world.http.get(await approve(url))
    assert back.status_code == 200, back.text
    path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents/{consent['id']}"
    ended = (await acme.integrator.get(path)).json()["data"]
    assert ended["attributes"]["status"] == "completed", ended
    (made,) = ended["relationships"].values()
    assert list(ended["relationships"]) == ["auth_secret"]
    assert made["data"]["type"] == "auth-secret"
    assert made["links"]["self"] == f"/v2/workspaces/{acme.workspace_id}/secrets/{made['data']['id']}"
    async with world.store.unit(acme.id) as unit:
        secret = await AuthSecrets(unit).find(made["data"]["id"])
    assert secret is not None
    return url, secret


async def test_a_consent_makes_a_secret_with_scope_params_and_fields(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component(scopes=["a", "b"], access_type="offline"))
    client = await add_client(keyrack, component, simulator)
    simulator.state.set_defaults({"approval": "auto", "extra_members": {"instance_url": "https://eu"}})
    named = {"auth_client": ("auth-client", client), "component": ("component", component)}
    url, secret = await connected(
        keyrack, named, name="My account", fields={"region": "eu"}, additional_params={"prompt": "consent"}
    )
    query = parse_qs(urlsplit(url).query)
    assert (query["scope"], query["access_type"], query["prompt"]) == (["a b"], ["offline"], ["consent"])
    assert query["redirect_uri"] == [CALLBACK]
    assert "code_challenge" in query
    assert (secret.name, secret.type, secret.user_id) == ("My account", "oauth2", acme.integrator.id)
    assert secret.credentials["scope"] == "a b"
    assert json.loads(secret.credentials["additional_params"]) == {"prompt": "consent"}
    assert secret.credentials["undefined_params"] == {"instance_url": "https://eu"}
    assert secret.credentials["fields"] == {"region": "eu"}
    assert "token_type" not in secret.credentials
    assert secret.due_at is not None
    assert is_live(simulator, secret)


async def test_the_component_is_optional_and_the_users_scopes_win(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component(scopes=["a"]))
    client = await add_client(keyrack, component, simulator)
    url, secret = await connected(keyrack, {"auth_client": ("auth-client", client)}, scopes=["x", "y"])
    assert parse_qs(urlsplit(url).query)["scope"] == ["x y"]
    assert secret.name == "Simulator"


async def test_a_missing_refresh_token_is_fine_for_secrets(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component())
    client = await add_client(keyrack, component, simulator)
    simulator.state.set_defaults({"approval": "auto", "no_refresh_token": True})
    _, secret = await connected(keyrack, {"auth_client": ("auth-client", client)})
    assert (secret.refreshable, secret.due_at) == (False, secret.expires_at), "due to tell that it expired (0.24)"


async def test_connecting_again_changes_the_same_secret_and_keeps_its_refresh_token(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component())
    client = await add_client(keyrack, component, simulator)
    _, first = await connected(keyrack, {"auth_client": ("auth-client", client)}, name="Mine")
    simulator.state.set_defaults({"approval": "auto", "no_refresh_token": True})
    named = {"auth_client": ("auth-client", client), "auth_secret": ("auth-secret", first.id)}
    _, again = await connected(keyrack, named)
    assert (again.id, again.name) == (first.id, "Mine")
    assert again.credentials["access_token"] != first.credentials["access_token"]
    assert again.credentials["refresh_token"] == first.credentials["refresh_token"]
    assert again.generation == first.generation + 1


async def test_basic_authentication_of_the_component_is_remembered_for_refreshes(
    keyrack: World, simulator: RunningSimulator
) -> None:  # contract 20.3
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component(client_auth="basic"))
    client = await add_client(keyrack, component, simulator)
    named = {"auth_client": ("auth-client", client), "component": ("component", component)}
    _, secret = await connected(keyrack, named)
    assert secret.auth_method == "client_secret_basic"
    fresh = await keyrack.services.refreshing.refresher.refresh(secret)
    assert is_renewed(simulator, secret, fresh)


async def test_what_cannot_be_started(keyrack: World, simulator: RunningSimulator) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(acme, "second", secret_component())
    other = await keyrack.add_component(acme, "other", secret_component())
    client = await add_client(keyrack, component, simulator)
    unknown = "0" * 24

    async def answer(named: Named, **attributes: Any) -> tuple[int, str, str | None]:
        return error_of(await start(acme.integrator, acme.workspace_id, named, **attributes))

    at, related = "/data/relationships", "related_not_found"
    mine = ("auth-client", client)
    assert await answer({"auth_client": ("auth-client", unknown)}) == (404, related, f"{at}/auth_client/data/id")
    assert await answer({"auth_client": mine, "component": ("component", other)}) == (
        400, "validation_error", f"{at}/component/data/id",
    )  # fmt: skip
    assert await answer({"auth_client": mine, "auth_secret": ("auth-secret", unknown)}) == (
        404, related, f"{at}/auth_secret/data/id",
    )  # fmt: skip
    assert await answer({}) == (400, "validation_error", f"{at}/component")
    named = {"auth_client": mine, "component": ("component", component)}
    assert (await answer(named, fields={"region": "mars"}))[:2] == (400, "validation_error")
    foreign = await start(globex.integrator, globex.workspace_id, {"auth_client": mine})
    assert error_of(foreign) == (404, related, f"{at}/auth_client/data/id")
    guest = await start(acme.guest, acme.workspace_id, {"auth_client": mine})
    assert guest.status_code == 403


async def test_the_return_url_gets_the_secrets_id(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "second", secret_component())
    client = await add_client(keyrack, component, simulator)
    named = {"auth_client": ("auth-client", client)}
    started = await start(acme.integrator, acme.workspace_id, named, return_url=f"{BASE}/done?x=1")
    url = started.json()["data"]["attributes"]["authorization_url"]
    back = await keyrack.http.get(await approve(url))
    assert back.status_code == 303
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["x"] == ["1"]
    assert len(query["secret_id"][0]) == 24
