"""Connections that need no person at real authorization servers: oidc-provider and Django OAuth Toolkit."""

from collections.abc import Callable
from typing import Any

from joserfc import jwk

from support.app import World
from support.authorization_servers import (
    DjangoOAuth,
    DjangoOAuthOptions,
    OidcOptions,
    OidcProvider,
    RegisteredClient,
    fetch,
)
from support.direct_grants import USER, ask, connected, expire, make_client, secret_at, seen
from support.secrets import resource

StartOidc = Callable[[OidcOptions], OidcProvider]
StartDjango = Callable[[DjangoOAuthOptions], DjangoOAuth]


async def test_oidc_provider_gives_clients_tokens_also_bound_ones_to_clients_that_sign(
    keyrack: World, start_oidc_provider: StartOidc
) -> None:
    acme, key = keyrack.tenants["Acme"], jwk.generate_key("RSA", 2048, {"kid": "one"})
    alone = {"grant_types": ["client_credentials"], "response_types": []}
    signs = {
        **alone, "token_endpoint_auth_signing_alg": "PS256", "jwks": {"keys": [key.as_dict(private=False)]},
        "dpop_bound_access_tokens": True,
    }  # fmt: skip
    clients = (
        RegisteredClient("service", redirect_uris=(), more=alone),
        RegisteredClient("signing", redirect_uris=(), token_endpoint_auth_method="private_key_jwt", more=signs),
    )
    provider = start_oidc_provider(OidcOptions(clients=clients, dpop_nonce=True))
    endpoints = {"token": provider.token_endpoint, "revocation": f"{provider.issuer}/token/revocation"}
    basic: dict[str, Any] = {"client_id": "service", "client_secret": clients[0].client_secret}
    basic["profile"] = {"endpoints": endpoints, "client_authentication": {"method": "client_secret_basic"}}
    bound: dict[str, Any] = {
        "client_id": "signing",
        "client_secret": None,
        "private_key": key.as_pem(private=True).decode(),
    }
    authentication = {"method": "private_key_jwt", "algorithm": "PS256", "key_id": "one"}
    bound["profile"] = {"endpoints": endpoints, "client_authentication": authentication, "dpop": "ES256"}
    for case, kind in ((basic, "Bearer"), (bound, "DPoP")):
        made = await make_client(keyrack, "", "client_credentials", **case)
        path = await connected(keyrack, resource(made, 201)["id"])
        first = (await seen(keyrack, path))["credentials"]
        assert first.get("token_type", "Bearer") == kind
        before = await expire(keyrack, path)
        renewed = await seen(keyrack, path)
        assert renewed["state"] == "ready", renewed
        assert renewed["credentials"]["access_token"] != before.credentials["access_token"]
        assert (await acme.integrator.delete(path)).status_code == 204
        await keyrack.services.revoker.tick()
    told = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]=secret.revoked")
    assert [each["attributes"]["data"]["outcome"] for each in told.json()["data"]] == ["revoked", "revoked"]


async def test_django_oauth_toolkit_gives_clients_tokens_and_takes_passwords(
    keyrack: World, start_django_oauth: StartDjango
) -> None:
    acme = keyrack.tenants["Acme"]
    clients = tuple(
        RegisteredClient(name, more={"authorization_grant_type": name}) for name in ("client-credentials", "password")
    )
    server = start_django_oauth(DjangoOAuthOptions(clients=clients, password="looking glass"))
    known = {"client_id": "client-credentials", "client_secret": clients[0].client_secret}
    service = resource(await make_client(keyrack, server.token_endpoint, "client_credentials", **known), 201)["id"]
    path = await connected(keyrack, service, scope="read")
    assert (await seen(keyrack, path))["credentials"]["scope"] == "read"
    await expire(keyrack, path)
    assert (await seen(keyrack, path))["state"] == "ready"

    known = {"client_id": "password", "client_secret": clients[1].client_secret}
    made = await make_client(keyrack, server.token_endpoint, "password", profile={"inputs": USER}, **known)
    legacy = resource(made, 201)["id"]
    person = {"username": "person", "password": "looking glass"}
    refused = await ask(acme.integrator, acme.workspace_id, legacy, fields=person | {"password": "no"})
    assert refused.json()["errors"][0]["meta"]["error"] == "invalid_grant"
    path = await connected(keyrack, legacy, fields=person, scope="read")
    token = (await seen(keyrack, path))["credentials"]["access_token"]
    assert (await fetch(server.resource, token)).json() == {"sub": "person"}
    assert (await secret_at(keyrack, path)).credentials["secret_fields"] == {}
    await expire(keyrack, path)
    assert (await seen(keyrack, path))["credentials"]["access_token"] != token
