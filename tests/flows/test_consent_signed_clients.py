"""Clients that sign instead of sending a secret, at oidc-provider: consent, refresh and revocation (RFC 7523)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwk

from support.app import World
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK
from support.profiled_clients import add_profiled_client, connected

Start = Callable[[OidcOptions], OidcProvider]


def a_key(algorithm: str) -> jwk.ECKey | jwk.RSAKey:
    """Make a key pair that signs with an algorithm."""
    if algorithm == "ES256":
        return jwk.generate_key("EC", "P-256", {"kid": "one"})
    if algorithm == "ES384":
        return jwk.generate_key("EC", "P-384", {"kid": "one"})
    return jwk.generate_key("RSA", 2048, {"kid": "one"})


async def client_at(keyrack: World, provider: OidcProvider, **credentials: Any) -> Any:
    profile = {
        "name": "signed",
        "endpoints": {
            "authorization": provider.authorization_endpoint,
            "token": provider.token_endpoint,
            "revocation": f"{provider.issuer}/token/revocation",
        },
        "authorization": {"parameters": {"prompt": "consent"}},
        "scopes": {"default": ["openid", "offline_access"]},
        "client_authentication": credentials.pop("authentication"),
    }
    return await add_profiled_client(keyrack, profile, client_id=provider.client.client_id, **credentials)


async def test_a_client_signs_for_codes_refreshes_and_revocations(keyrack: World, start_oidc_provider: Start) -> None:
    acme = keyrack.tenants["Acme"]
    for algorithm in ("RS256", "PS256", "ES256"):
        key, case = a_key(algorithm), algorithm
        more = {"token_endpoint_auth_signing_alg": algorithm, "jwks": {"keys": [key.as_dict(private=False)]}}
        text = json.dumps(key.as_dict(private=True)) if algorithm == "ES256" else key.as_pem(private=True).decode()
        registered = RegisteredClient(
            redirect_uris=(CALLBACK,), token_endpoint_auth_method="private_key_jwt", more=more
        )
        provider = start_oidc_provider(OidcOptions(clients=(registered,)))
        said = {"method": "private_key_jwt", "algorithm": algorithm}
        made = await client_at(keyrack, provider, authentication=said, private_key=text, key_id="one")
        assert made.status_code == 201, (case, made.text)
        path = await connected(keyrack, made.json()["data"]["id"])
        first = (await acme.integrator.get(path)).json()["data"]["attributes"]["credentials"]["access_token"]
        renewed = await acme.integrator.post(f"{path}/refresh")
        assert renewed.status_code == 200, (case, renewed.text)
        assert renewed.json()["data"]["attributes"]["credentials"]["access_token"] != first
        assert (await acme.integrator.delete(path)).status_code == 204
        await keyrack.services.revoker.tick()
        found = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]=secret.revoked")
        told = [each["attributes"]["data"]["auth_client_id"] for each in found.json()["data"]]
        assert made.json()["data"]["id"] in told, case


@pytest.mark.parametrize(
    ("credentials", "pointer", "detail"),
    [
        ({}, "private_key", "private_key is required"),
        ({"private_key": "nonsense"}, "private_key", "is no private key for ES256, in PEM or as a JWK"),
        ({"private_key": a_key("RS256").as_pem(private=True).decode()}, "private_key", "is no private key for ES256"),
        ({"private_key": json.dumps(a_key("ES256").as_dict(private=False))}, "private_key", "is no private key"),
        (
            {"private_key": a_key("ES384").as_pem(private=True).decode()},
            "private_key",
            "the key cannot sign",
        ),
    ],
)
async def test_a_key_that_cannot_sign_is_refused_and_not_shown(
    keyrack: World, oidc_provider: OidcProvider, credentials: Any, pointer: str, detail: str
) -> None:
    authentication = {"method": "private_key_jwt", "algorithm": "ES256"}
    refused = await client_at(keyrack, oidc_provider, authentication=authentication, **credentials)
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["source"] == {"pointer": f"/data/attributes/credentials/{pointer}"}
    assert error["detail"].startswith(detail)
