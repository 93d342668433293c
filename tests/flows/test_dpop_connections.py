"""Connections whose tokens are bound to a key of their own, at oidc-provider, which wants its nonce in proofs."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
from sqlalchemy import select

from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.schema import attempts, auth_secrets
from support.app import World, error_of
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK
from support.grants import client_credentials
from support.profiled_clients import connected, profiled_client

Start = Callable[[OidcOptions], OidcProvider]


def profile_at(provider: OidcProvider) -> dict[str, Any]:
    return {
        "name": "bound",
        "dpop": "ES256",
        "endpoints": {
            "authorization": provider.authorization_endpoint,
            "token": provider.token_endpoint,
            "userinfo": provider.userinfo_endpoint,
        },
        "authorization": {"parameters": {"prompt": "consent"}},
        "scopes": {"default": ["openid", "offline_access", "email"]},
    }


async def test_tokens_are_bound_refreshed_and_used_with_a_nonce(keyrack: World, start_oidc_provider: Start) -> None:
    public = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="none")
    provider = start_oidc_provider(OidcOptions(clients=(public,), dpop_nonce=True))
    acme = keyrack.tenants["Acme"]
    profile = profile_at(provider) | {"client_authentication": {"method": "none"}}
    client_id = await profiled_client(keyrack, profile, client_id=public.client_id)
    path = await connected(keyrack, client_id)
    first = (await acme.integrator.get(path)).json()["data"]["attributes"]
    assert first["credentials"]["token_type"] == "DPoP"
    assert first["account_label"] == "person@example.com", "userinfo was asked with a proof"
    renewed = await acme.integrator.post(f"{path}/refresh")
    assert renewed.status_code == 200, renewed.text
    second = renewed.json()["data"]["attributes"]["credentials"]
    assert second["access_token"] != first["credentials"]["access_token"]
    assert second["token_type"] == "DPoP"
    async with keyrack.store.unit(acme.id) as unit:
        stored = await AuthSecrets(unit).find(path.rpartition("/")[2])
        left = (await unit.connection.execute(select(attempts))).all()
        (sealed,) = (await unit.connection.execute(select(auth_secrets.c.sealed_dpop_key))).all()
    assert stored is not None
    assert stored.dpop_key is not None
    assert left == [], "nothing of either exchange is in doubt"
    private = json.loads(stored.dpop_key.reveal())["d"]
    assert private.encode() not in sealed.sealed_dpop_key
    assert private not in renewed.text
    async with httpx2.AsyncClient() as thief:
        headers = {"authorization": f"Bearer {second['access_token']}"}
        assert (await thief.get(provider.userinfo_endpoint, headers=headers)).status_code in {400, 401}


async def test_a_proof_from_keyrack_opens_the_userinfo_endpoint(keyrack: World, start_oidc_provider: Start) -> None:
    registered = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")
    provider = start_oidc_provider(OidcOptions(clients=(registered,), dpop_nonce=True))
    acme = keyrack.tenants["Acme"]
    given = {"client_id": registered.client_id, "client_secret": registered.client_secret}
    path = await connected(keyrack, await profiled_client(keyrack, profile_at(provider), **given))
    token = (await acme.integrator.get(path)).json()["data"]["attributes"]["credentials"]["access_token"]

    async def proof(**attributes: Any) -> Any:
        body = {"data": {"type": "dpop-proof", "attributes": attributes}}
        return await acme.integrator.post(f"{path}/dpop-proof", body)

    async with httpx2.AsyncClient() as user:

        async def ask(nonce: str | None = None) -> httpx2.Response:
            made = await proof(method="GET", url=provider.userinfo_endpoint, nonce=nonce)
            assert made.status_code == 200, made.text
            assert made.headers["cache-control"] == "no-store"
            signed = made.json()["data"]["attributes"]["proof"]
            headers = {"authorization": f"DPoP {token}", "dpop": signed}
            return await user.get(provider.userinfo_endpoint, headers=headers)

        challenged = await ask()
        assert challenged.status_code == 401
        assert "use_dpop_nonce" in challenged.headers["www-authenticate"]
        answered = await ask(challenged.headers["dpop-nonce"])
        assert (answered.status_code, answered.json()["sub"]) == (200, "person")
    for wrong, pointer in (
        ({"method": "G T", "url": "https://a.example"}, "method"),
        ({"method": "GET", "url": "/me"}, "url"),
        ({"method": "GET", "url": "ftp://a.example"}, "url"),
        ({"method": "GET", "url": "https://a.example", "nonce": 'a"b'}, "nonce"),
    ):
        refused = await proof(**wrong)
        assert refused.status_code == 400, wrong
        assert refused.json()["errors"][0]["source"]["pointer"] == f"/data/attributes/{pointer}"
    body = {"data": {"type": "auth-secret", "attributes": {"credentials": {"access_token": "by hand"}}}}
    assert (await acme.integrator.patch(path, body)).status_code == 200
    unbound = await proof(method="GET", url="https://a.example")
    assert (unbound.status_code, unbound.json()["errors"][0]["code"]) == (409, "state_conflict")


async def test_the_simulator_binds_tokens_and_takes_keyracks_proofs(
    keyrack: World, simulator: RunningSimulator
) -> None:
    simulator.state.set_defaults({"approval": "auto", "dpop": "required", "dpop_nonce": 1_000_000_000})
    acme, client = keyrack.tenants["Acme"], client_credentials(simulator.token_endpoint)
    profile = {
        "name": "strict",
        "dpop": "ES256",
        "endpoints": {"authorization": client["auth_uri"], "token": client["token_uri"]},
    }
    given = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    path = await connected(keyrack, await profiled_client(keyrack, profile, **given))
    assert (await acme.integrator.post(f"{path}/refresh")).status_code == 200
    token = (await acme.integrator.get(path)).json()["data"]["attributes"]["credentials"]["access_token"]
    resource = f"{simulator.base_url}/api/me"
    asked = {"method": "GET", "url": resource}
    async with httpx2.AsyncClient() as user:
        for status in (401, 200):
            body = {"data": {"type": "dpop-proof", "attributes": asked}}
            made = (await acme.integrator.post(f"{path}/dpop-proof", body)).json()["data"]["attributes"]["proof"]
            answer = await user.get(resource, headers={"authorization": f"DPoP {token}", "dpop": made})
            assert answer.status_code == status
            asked = {**asked, "nonce": answer.headers["dpop-nonce"]}
    assert simulator.state.calls(endpoint="token", outcome="use_dpop_nonce") == 1, "the nonce is remembered"
    for renewing in ("/token", "/%74oken?x=1", "//TOKEN/", "/me/../token"):
        attributes = {"method": "POST", "url": f"{simulator.base_url}{renewing}"}
        refused = await acme.integrator.post(
            f"{path}/dpop-proof", {"data": {"type": "dpop-proof", "attributes": attributes}}
        )
        assert error_of(refused) == (400, "validation_error", "/data/attributes/url"), renewing
