"""Testing a connection at the introspection endpoint of its provider profile (RFC 7662)."""

from typing import Any

from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.secrets.connection_check import CheckResult, ConnectionCheck
from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.grants import Connected, connect, stored
from support.raw_provider import RawProvider, connect_raw, json_answer


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
