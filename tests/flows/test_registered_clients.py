"""Auth clients of which only the issuer is given are discovered and registered (RFC 8414, 7591, 7592; decision 42)."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack import clock
from keyrack.oauth.issuer_name import issuer_name
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.audit_log import AuditLog
from keyrack.store.expiring_clients import EndingSecrets
from support.app import World, error_of
from support.auth_clients import OAUTH2, auth_client, change
from support.authorization_servers import OidcOptions, OidcProvider
from support.consent import CALLBACK
from support.raw_provider import RawProvider, json_answer
from support.registration_desk import Desk, registration_desk

Start = Callable[[OidcOptions], OidcProvider]
POINTER = "/data/attributes/credentials"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with registration_desk(tmp_path) as made:
        yield made


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        running.state.set_defaults({"approval": "auto"})
        yield running


async def test_an_issuer_alone_says_where_everything_is(desk: Desk, simulator: RunningSimulator) -> None:
    made = await desk.made(issuer=simulator.base_url, client_id="c", client_secret="s")
    assert made["attributes"]["credentials"] == {
        "client_id": "c",
        "client_secret": "s",
        "issuer": simulator.base_url,
        "auth_uri": simulator.authorization_endpoint,
        "token_uri": simulator.token_endpoint,
        "refresh_token_uri": simulator.token_endpoint,
        "revocation_uri": f"{simulator.base_url}/revoke",
        "introspection_uri": f"{simulator.base_url}/introspect",
        "token_expires_in": 3600,
    }
    own = "https://login.example.com/authorize"
    made = await desk.made(issuer=simulator.base_url, client_id="c", client_secret="s", auth_uri=own)
    assert made["attributes"]["credentials"]["auth_uri"] == own, "what is given counts"


async def test_a_profile_says_where_clients_are_registered(desk: Desk, simulator: RunningSimulator) -> None:
    """Without an issuer, and so without metadata (RFC 7591 section 3)."""
    url = simulator.base_url
    endpoints = {
        "authorization": simulator.authorization_endpoint,
        "token": simulator.token_endpoint,
        "registration": f"{url}/{{way}}",
    }
    profile = {
        "name": "registering",
        "endpoints": endpoints,
        "inputs": {"way": {"per_client": True, "enum": ["register", "nowhere"]}},
        "client_authentication": {"method": "client_secret_post"},
    }
    made = await desk.made(provider_profile=profile, inputs={"way": "register"}, registration={})
    given = made["attributes"]["credentials"]
    known = simulator.state.clients[given["client_id"]]
    assert known.token_endpoint_auth_method == "client_secret_post", "as the profile has it"
    assert known.redirect_uris == (f"{CALLBACK}/{issuer_name(url)}",), "its own, as an issuer has (RFC 9700 4.4.2.2)"
    assert given["registration_endpoint"] == f"{url}/register"
    secret = await desk.connect(made["id"], scopes="read")
    assert secret["attributes"]["state"] == "ready"
    for inputs, told in (({"way": "nowhere"}, "provider_error"), ({}, "validation_error")):
        refused = await desk.create(provider_profile=profile, inputs=inputs, registration={})
        assert error_of(refused)[:2] == (400, told), refused.text
    signing = {**profile, "client_authentication": {"method": "private_key_jwt"}}
    refused = await desk.create(provider_profile=signing, inputs={"way": "register"}, registration={})
    assert refused.status_code == 400, "no key of its own is registered"
    without = {**profile, "endpoints": {name: endpoints[name] for name in ("authorization", "token")}, "inputs": {}}
    refused = await desk.create(provider_profile=without, registration={})
    assert "a profile that names where clients register" in refused.text


async def test_a_registered_client_connects_and_is_deregistered_with_the_client(
    desk: Desk, simulator: RunningSimulator
) -> None:
    registration = {"scope": "read write", "initial_access_token": "let-me-in", "contacts": ["ops@example.com"]}
    refused = await desk.create(issuer=simulator.base_url, registration=registration)
    assert refused.status_code == 201, "the simulator wants no token yet"
    simulator.state.set_defaults({"approval": "auto", "initial_access_token": "let-me-in"})
    refused = await desk.create(issuer=simulator.base_url, registration={})
    assert error_of(refused)[:2] == (400, "provider_error")
    assert "refused to register" in refused.text

    made = await desk.made(issuer=simulator.base_url, registration=registration)
    given = made["attributes"]["credentials"]
    known = simulator.state.clients[given["client_id"]]
    assert (known.name, known.redirect_uris) == ("Tools", (f"{CALLBACK}/{issuer_name(simulator.base_url)}",))
    assert known.token_endpoint_auth_method == "client_secret_basic", "the best that both sides do"
    assert given["client_auth"] == "basic"
    assert "let-me-in" not in json.dumps(given), "an initial access token is used once"
    assert "contacts" in given["registration"]
    secret = await desk.connect(made["id"], scopes="read")
    assert secret["attributes"]["state"] == "ready"

    assert (await desk.acme.admin.delete(f"/v2/auth-clients/{made['id']}")).status_code == 409, "it is used"
    path = f"/v2/workspaces/{desk.acme.workspace_id}/secrets/{secret['id']}"
    assert (await desk.acme.admin.delete(path)).status_code == 204
    assert (await desk.acme.admin.delete(f"/v2/auth-clients/{made['id']}")).status_code == 204
    assert given["client_id"] in simulator.state.clients, "never within the request"
    await desk.work()
    assert given["client_id"] in simulator.state.clients, "the client can be restored"
    restoring = f"/v2/tenants/{desk.acme.id}/deleted-clients/{made['id']}/restore"
    assert (await desk.acme.admin.post(restoring)).status_code == 200
    assert (await desk.connect(made["id"], scopes="read"))["attributes"]["state"] == "ready"
    (again,) = (await desk.acme.admin.get(f"/v2/workspaces/{desk.acme.workspace_id}/secrets")).json()["data"]
    path = f"/v2/workspaces/{desk.acme.workspace_id}/secrets/{again['id']}"
    assert (await desk.acme.admin.delete(path)).status_code == 204
    assert (await desk.acme.admin.delete(f"/v2/auth-clients/{made['id']}")).status_code == 204
    await desk.work()
    desk.time.ahead += timedelta(days=7)
    assert await desk.keyrack.services.client_purge.tick() == 1
    await desk.work()
    assert given["client_id"] not in simulator.state.clients
    assert simulator.state.calls(endpoint="revoke", outcome="ok") == 4, "its tokens were revoked in its name before"
    assert await desk.audited("auth-client.deregister") == [(made["id"], "allowed")]


async def test_a_deleted_workspace_takes_the_registrations_of_its_clients_along(
    desk: Desk, simulator: RunningSimulator
) -> None:
    credentials = {"issuer": simulator.base_url, "registration": {}}
    component = await desk.keyrack.add_component(desk.acme, "c", {"title": "C", "authClientTypes": ["oauth2"]})
    body = auth_client([component], ("workspace", desk.acme.workspace_id), credentials)
    made = await desk.keyrack.support.post("/v2/auth-clients", body)
    assert made.status_code == 201, made.text
    client_id = made.json()["data"]["attributes"]["credentials"]["client_id"]
    gone = await desk.keyrack.support.delete(f"/v2/workspaces/{desk.acme.workspace_id}")
    assert gone.status_code == 204, gone.text
    await desk.work()
    assert client_id not in simulator.state.clients


async def test_a_deleted_tenants_registrations_are_deleted_after_it(desk: Desk, simulator: RunningSimulator) -> None:
    made = await desk.made(issuer=simulator.base_url, registration={})
    client_id = made["attributes"]["credentials"]["client_id"]
    assert (await desk.acme.admin.delete(f"/v2/contracts/{desk.acme.contract_id}")).status_code == 204
    support = await desk.keyrack.add_service_account("tenants.tenant.delete")
    assert (await support.delete(f"/v2/tenants/{desk.acme.id}")).status_code == 204
    assert client_id in simulator.state.clients
    await desk.work()
    assert client_id not in simulator.state.clients
    async with desk.keyrack.store.installation() as unit:
        found, _ = await AuditLog(unit).page({"action": "auth-client.deregister"}, None, None, limit=None)
    assert [(event.target_id, event.outcome) for event in found] == [(made["id"], "allowed")]


async def test_the_end_of_a_registered_secret_is_known_and_it_is_renewed_before(
    desk: Desk, simulator: RunningSimulator
) -> None:
    lifetime = timedelta(days=20)
    simulator.state.set_defaults({"approval": "auto", "registered_secret_lifetime": int(lifetime.total_seconds())})
    made = await desk.made(issuer=simulator.base_url, registration={})
    ends = datetime.fromisoformat(made["attributes"]["secret_expires_at"])
    assert abs(ends - datetime.now(UTC) - lifetime) < timedelta(hours=1)
    assert await desk.renewals.tick() == 0, "not due"
    before = made["attributes"]["credentials"]

    desk.time.ahead = timedelta(days=14)
    assert await desk.renewals.tick() == 1
    after = await desk.read(made["id"])
    assert after["credentials"]["client_secret"] != before["client_secret"]
    assert after["credentials"]["registration_access_token"] != before["registration_access_token"]
    assert datetime.fromisoformat(after["secret_expires_at"]) >= ends
    assert await desk.audited("auth-client.renew-secret") == [(made["id"], "allowed")]
    assert (await desk.connect(made["id"]))["attributes"]["state"] == "ready", "the renewed secret works"
    desk.time.ahead = timedelta(days=16)
    assert await desk.renewals.tick() == 0, "not again at once, whatever the server's clock says"


async def test_what_others_say_of_their_clients_holds_no_renewal_up(desk: Desk, simulator: RunningSimulator) -> None:
    registered = {"approval": "auto", "registered_secret_lifetime": int(timedelta(days=20).total_seconds())}
    simulator.state.set_defaults(registered)
    made = await desk.made(issuer=simulator.base_url, registration={})
    sooner = clock.iso(clock.now() + timedelta(days=15))
    component = await desk.keyrack.add_component(
        desk.acme, "odd", {"title": "Odd", "authClientTypes": ["oauth2", "api_key"]}
    )
    without_token = {**OAUTH2, "registration_client_uri": f"{simulator.base_url}/register/x"}
    no_texts = {"registration_client_uri": {"a": 1}, "registration_access_token": 5}
    several = [("oauth2", without_token), *[("api_key", no_texts)] * 5]
    for kind, credentials in several:
        body = auth_client([component], ("tenant", desk.acme.id), credentials, kind=kind)
        body["data"]["attributes"]["secret_expires_at"] = sooner
        answer = await desk.acme.admin.post("/v2/auth-clients", body)
        assert answer.status_code == 201, answer.text
    desk.time.ahead = timedelta(days=14)
    assert [await desk.renewals.tick(), await desk.renewals.tick()] == [0, 1], "five at once, those that end first"
    after = await desk.read(made["id"])
    assert after["credentials"]["client_secret"] != made["attributes"]["credentials"]["client_secret"]


async def test_a_tenant_with_many_clients_holds_no_other_tenants_renewal_up(
    desk: Desk, simulator: RunningSimulator
) -> None:
    lifetime = int(timedelta(days=20).total_seconds())
    simulator.state.set_defaults({"approval": "auto", "registered_secret_lifetime": lifetime})
    await desk.made(issuer=simulator.base_url, registration={})
    globex = desk.keyrack.tenants["Globex"]
    component = await desk.keyrack.add_component(globex, "many", {"title": "Many", "authClientTypes": ["oauth2"]})
    body = auth_client([component], ("tenant", globex.id))
    body["data"]["attributes"]["secret_expires_at"] = clock.iso(clock.now() + timedelta(days=15))
    for _ in range(6):
        answer = await globex.admin.post("/v2/auth-clients", body)
        assert answer.status_code == 201, answer.text
    desk.time.ahead = timedelta(days=14)
    assert await desk.renewals.tick() == 1


async def test_all_secrets_that_end_soon_are_looked_through(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    component = await keyrack_on_each.add_component(acme, "many", {"title": "Many", "authClientTypes": ["oauth2"]})
    body = auth_client([component], ("tenant", acme.id))
    ids = []
    for day in (3, 1, 2, 2, 2, 9):
        body["data"]["attributes"]["secret_expires_at"] = clock.iso(clock.now().replace(microsecond=0) + timedelta(day))
        made = await acme.admin.post("/v2/auth-clients", body)
        assert made.status_code == 201, made.text
        ids.append((made.json()["data"]["attributes"]["secret_expires_at"], made.json()["data"]["id"]))
    expected = [(acme.id, name) for _, name in sorted(ids)[:-1]]
    async with keyrack_on_each.store.installation() as unit:
        for page in (1, 2, 5, 10_000):
            found = [each async for each in EndingSecrets(unit).auth_clients(timedelta(days=7), page)]
            assert found == expected, page


# fmt: off
NO_METADATA: list[tuple[str, dict[str, Any], str]] = [
    ("another issuer's", {"issuer": "https://other.example.com"}, "names another issuer"),
    ("no metadata", {}, "has no metadata"),
    ("no token endpoint", {"issuer": "S", "authorization_endpoint": "S/a"}, "no token_endpoint"),
    ("a private file", {"issuer": "S", "authorization_endpoint": "file:///etc/passwd", "token_endpoint": "S/t"},
     "authorization_endpoint that cannot be used"),
    ("another protocol's port", {"issuer": "S", "authorization_endpoint": "S/a", "token_endpoint": "http://x.example:25/"},
     "token_endpoint that cannot be used"),
    ("a template", {"issuer": "S", "authorization_endpoint": "S/a/{client_secret}", "token_endpoint": "S/t"}, "braces"),
]
# fmt: on


@pytest.mark.parametrize(("name", "document", "told"), NO_METADATA, ids=[name for name, _, _ in NO_METADATA])
async def test_what_metadata_cannot_say(
    desk: Desk, raw_provider: RawProvider, name: str, document: dict[str, str], told: str
) -> None:
    said = {member: value.replace("S", raw_provider.url) for member, value in document.items()}
    raw_provider.answers = [json_answer(json.dumps(said))]
    answer = await desk.create(issuer=raw_provider.url, client_id="c", client_secret="s")
    assert error_of(answer) == (400, "validation_error", f"{POINTER}/issuer"), name
    assert told in answer.text


async def test_what_cannot_be_registered(desk: Desk, simulator: RunningSimulator) -> None:
    for registration, pointer in (
        ("yes", ""),
        ({"redirect_uris": ["https://evil.example"]}, "/redirect_uris"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "/token_endpoint_auth_method"),
        ({"contacts": ["x" * 20_000]}, ""),
    ):
        answer = await desk.create(issuer=simulator.base_url, registration=registration)
        assert error_of(answer) == (400, "validation_error", f"{POINTER}/registration{pointer}")
    answer = await desk.create(issuer=simulator.base_url, registration={}, client_id="mine")
    assert error_of(answer) == (400, "validation_error", f"{POINTER}/client_id")
    answer = await desk.create(issuer=simulator.base_url, registration={}, account_label_path="..")
    assert error_of(answer) == (400, "validation_error", f"{POINTER}/account_label_path")
    for member in ("registration_client_uri", "registration_access_token"):
        answer = await desk.create(issuer=simulator.base_url, registration={}, **{member: f"{simulator.base_url}/me"})
        assert error_of(answer) == (400, "validation_error", f"{POINTER}/{member}")
    assert simulator.state.registered == {}, "nothing was registered for what is wrong"
    made = await desk.made(issuer=simulator.base_url, registration={})
    fixed = change({"credentials": {"registration_client_uri": "https://evil.example/"}})
    refused = await desk.acme.admin.patch(f"/v2/auth-clients/{made['id']}", fixed)
    assert error_of(refused) == (400, "validation_error", f"{POINTER}/registration_client_uri")


async def test_a_registration_that_somebody_brings_stays_where_the_client_is_refused(
    desk: Desk, simulator: RunningSimulator
) -> None:
    given = (await desk.made(issuer=simulator.base_url, registration={}))["attributes"]["credentials"]
    names = ("issuer", "client_id", "client_secret", "registration_client_uri", "registration_access_token")
    brought = {name: given[name] for name in names}
    refused = await desk.create(**brought, account_label_path="..")
    assert error_of(refused) == (400, "validation_error", f"{POINTER}/account_label_path")
    assert given["client_id"] in simulator.state.clients


async def test_a_resource_is_an_address_that_can_be_read(desk: Desk) -> None:
    for resource in ("https://[", "https://api.example/#part", "api.example", "https://api.example/a b"):
        refused = await desk.create(**OAUTH2, resource=resource)
        assert error_of(refused) == (400, "validation_error", f"{POINTER}/resource"), resource
    assert (await desk.create(**OAUTH2, resource="urn:example:api")).status_code == 201


async def test_nobody_is_asked_for_whom_nothing_may_be_created(desk: Desk, simulator: RunningSimulator) -> None:
    component = await desk.keyrack.add_component(desk.acme, "c", {"title": "C", "authClientTypes": ["oauth2"]})
    credentials = {"issuer": simulator.base_url, "registration": {}}
    body = auth_client([component], ("tenant", desk.acme.id), credentials)
    stranger = desk.keyrack.tenants["Globex"].admin
    assert (await stranger.post("/v2/auth-clients", body)).status_code == 403
    taken = auth_client(["0" * 24], ("tenant", desk.acme.id), credentials)
    assert (await desk.acme.admin.post("/v2/auth-clients", taken)).status_code == 404
    assert sum(simulator.state.counters.values()) == 0


async def test_a_registration_whose_address_is_elsewhere_is_not_managed(desk: Desk, raw_provider: RawProvider) -> None:
    url = raw_provider.url
    metadata = {"issuer": url, "authorization_endpoint": f"{url}/a", "token_endpoint": f"{url}/t"}
    told = {
        "client_id": "registered", "client_secret": "shh", "token_endpoint_auth_method": "client_secret_basic",
        "registration_client_uri": "https://elsewhere.example/me", "registration_access_token": "token",
    }  # fmt: skip
    metadata["registration_endpoint"] = f"{url}/register"
    raw_provider.answers = [json_answer(json.dumps(metadata)), json_answer(json.dumps(told))]
    given = (await desk.made(issuer=url, registration={}))["attributes"]["credentials"]
    assert given["client_id"] == "registered"
    assert "registration_access_token" not in given, "the token would go to an address that is only a text"


async def test_oidc_provider_registers_us_and_forgets_us(desk: Desk, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(registration="let-me-in"))
    registration = {"initial_access_token": "let-me-in"}
    made = await desk.made(issuer=provider.issuer, registration=registration)
    given = made["attributes"]["credentials"]
    assert given["auth_uri"] == provider.authorization_endpoint
    more = {"prompt": "consent"}
    secret = await desk.connect(made["id"], scopes="openid offline_access", additional_params=more)
    assert secret["attributes"]["state"] == "ready"
    refreshed = await desk.acme.integrator.post(
        f"/v2/workspaces/{desk.acme.workspace_id}/secrets/{secret['id']}/refresh"
    )
    assert refreshed.status_code == 200, refreshed.text
    bearer = {"authorization": f"Bearer {given['registration_access_token']}"}
    async with httpx2.AsyncClient() as client:
        assert (await client.get(given["registration_client_uri"], headers=bearer)).status_code == 200
        path = f"/v2/workspaces/{desk.acme.workspace_id}/secrets/{secret['id']}"
        assert (await desk.acme.admin.delete(path)).status_code == 204
        assert (await desk.acme.admin.delete(f"/v2/auth-clients/{made['id']}")).status_code == 204
        purging = f"/v2/tenants/{desk.acme.id}/deleted-clients/{made['id']}"
        assert (await desk.acme.admin.delete(purging)).status_code == 204
        await desk.work()
        assert (await client.get(given["registration_client_uri"], headers=bearer)).status_code == 401
