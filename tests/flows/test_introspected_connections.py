"""Testing a connection at the introspection endpoint of its provider profile (RFC 7662)."""

from collections.abc import Callable
from typing import Any

from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.secrets.connection_check import CheckResult, ConnectionCheck
from keyrack.simulator.testing import RunningSimulator
from support.app import World, relationship
from support.auth_clients import auth_client, make
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient, fetch
from support.consent import CALLBACK, approve, come_back
from support.grants import Connected, connect, stored
from support.profiled_clients import add_profiled_client
from support.raw_provider import RawProvider, connect_raw, json_answer

StartOidc = Callable[[OidcOptions], OidcProvider]


def profile(endpoint: str) -> dict[str, Any]:
    return {"name": "p", "endpoints": {"introspection": endpoint}}


async def outcome(keyrack: World, made: Connected) -> ConnectionCheck:
    acme = keyrack.tenants["Acme"]
    who = Principal(PrincipalKind.user, acme.admin.id, acme.admin.name, acme.id)
    return await keyrack.services.connection_checks.test(who, acme.workspace_id, made.secret.id)


async def test_a_token_that_works_tells_whose_it_is_and_is_not_renewed(
    keyrack: World, simulator: RunningSimulator
) -> None:
    made = await connect(keyrack, simulator, age=0, provider_profile=profile(f"{simulator.base_url}/introspect"))
    assert (await outcome(keyrack, made)).result is CheckResult.works
    assert simulator.state.calls(endpoint="introspect") == 1
    assert simulator.state.calls(grant_type="refresh_token") == 0
    found = await stored(keyrack.store, made.secret)
    assert (found.account.label, found.account.subject) == ("alice@simulator.example", "alice")
    assert found.userinfo_uri is None


async def test_what_an_issuers_metadata_says_is_stored_with_the_client_and_asked(
    keyrack: World, simulator: RunningSimulator
) -> None:
    simulator.state.set_defaults({"approval": "auto"})
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "found", {"title": "C", "authClientTypes": ["oauth2"]})
    given = {"issuer": simulator.base_url, "registration": {}}
    client_id = await make(acme.admin, auth_client([component], ("tenant", acme.id), given))
    secret_id = await connected_with(keyrack, client_id)
    who = Principal(PrincipalKind.user, acme.admin.id, acme.admin.name, acme.id)
    check = await keyrack.services.connection_checks.test(who, acme.workspace_id, secret_id)
    assert check.result is CheckResult.works, check
    assert simulator.state.calls(endpoint="introspect", outcome="ok") == 1
    assert simulator.state.calls(grant_type="refresh_token") == 0


async def test_a_token_is_introspected_at_oidc_provider(keyrack: World, start_oidc_provider: StartOidc) -> None:
    registered = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_basic")
    provider = start_oidc_provider(OidcOptions(clients=(registered,)))
    endpoints = {
        "authorization": provider.authorization_endpoint,
        "token": provider.token_endpoint,
        "introspection": f"{provider.issuer}/token/introspection",
        "revocation": f"{provider.issuer}/token/revocation",
    }
    said = {
        "name": "p",
        "endpoints": endpoints,
        "client_authentication": {"method": "client_secret_basic"},
        "scopes": {"default": ["openid", "offline_access"]},
        "authorization": {"parameters": {"prompt": "consent"}},
        "introspection": {"parameters": {"token_type_hint": None}},
        "revocation": {"parameters": {"token_type_hint": None}},
    }
    made = await add_profiled_client(
        keyrack, said, client_id=registered.client_id, client_secret=registered.client_secret
    )
    secret_id = await connected_with(keyrack, made.json()["data"]["id"])
    acme = keyrack.tenants["Acme"]
    who = Principal(PrincipalKind.user, acme.admin.id, acme.admin.name, acme.id)
    check = await keyrack.services.connection_checks.test(who, acme.workspace_id, secret_id)
    assert check.result is CheckResult.works, check
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"
    token = (await acme.integrator.get(path)).json()["data"]["attributes"]["credentials"]["access_token"]
    assert (await acme.integrator.delete(path)).status_code == 204
    await keyrack.services.revoker.tick()
    told = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]=secret.revoked")
    assert [each["attributes"]["data"]["outcome"] for each in told.json()["data"]] == ["revoked"]
    assert (await fetch(provider.userinfo_endpoint, token)).status_code == 401


async def connected_with(keyrack: World, client_id: str) -> str:
    """Connect an account with an auth client; return the secret's id."""
    acme = keyrack.tenants["Acme"]
    path, named = f"/v2/workspaces/{acme.workspace_id}", {"auth_client": relationship("auth-client", client_id)}
    body = {"data": {"type": "oauth-consent", "relationships": named}}
    started = (await acme.integrator.post(f"{path}/oauth-consents", body)).json()["data"]
    page = await come_back(keyrack, await approve(started["attributes"]["authorization_url"]))
    assert page.status_code == 200, page.text
    ended = (await acme.integrator.get(f"{path}/oauth-consents/{started['id']}")).json()["data"]
    secret_id: str = ended["relationships"]["auth_secret"]["data"]["id"]
    return secret_id


async def test_a_token_that_does_not_work_is_renewed_once(keyrack: World, simulator: RunningSimulator) -> None:
    made = await connect(keyrack, simulator, age=0, provider_profile=profile(f"{simulator.base_url}/introspect"))
    old = made.secret.credentials["access_token"]
    assert simulator.state.book.revoke(lambda token: token.value == old) == 1
    assert (await outcome(keyrack, made)).result is CheckResult.works
    assert simulator.state.calls(endpoint="introspect") == 2
    assert simulator.state.calls(grant_type="refresh_token") == 1
    assert (await stored(keyrack.store, made.secret)).credentials["access_token"] != old


async def test_what_the_provider_does_not_say_is_unclear_and_what_it_echoes_is_masked(
    keyrack: World, raw_provider: RawProvider
) -> None:
    made = await connect_raw(keyrack, raw_provider, age=0, provider_profile=profile(f"{raw_provider.url}/introspect"))
    token = made.secret.credentials["access_token"]
    inactive, fresh = json_answer('{"active": false}'), json_answer('{"access_token": "at-2", "token_type": "bearer"}')
    cases = [
        ([json_answer('{"error": "invalid_client"}', "401 No")], CheckResult.unclear),
        ([json_answer(f'{{"error": "{token}"}}', "400 Bad")], CheckResult.unclear),
        ([json_answer('{"active": "yes"}')], CheckResult.unclear),
        ([json_answer("{}", "503 Later")], CheckResult.unclear),
        ([inactive, json_answer('{"error": "invalid_request"}', "400 Bad")], CheckResult.refused),
        ([inactive, fresh, inactive], CheckResult.refused),
    ]
    for answers, result in cases:
        raw_provider.answers = list(answers)
        check = await outcome(keyrack, made)
        assert check.result is result, check
        assert token not in str(check)
    forms = [form for form in raw_provider.forms if "token" in form]
    assert {form["token_type_hint"] for form in forms} == {"access_token"}
    assert all(form["client_id"] and form["client_secret"] for form in forms), "the client authenticates"
