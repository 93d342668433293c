"""Diagnoses of clients over HTTP: what each fault at a provider is told as, and that nothing is changed."""

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import trustme
from joserfc import jwk

from keyrack.ids import new_id
from keyrack.provider.client import ProviderClient
from keyrack.provider.trust import Authorities
from keyrack.service.diagnosis.examination import Examiner
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.audit_log import AuditLog
from support.app import World, relationship
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK
from support.grants import add_auth_client, client_credentials
from support.raw_provider import LoopbackServers, RawProvider, http_answer, json_answer

Found = dict[str, dict[str, Any]]


async def diagnosed(keyrack: World, client_id: str) -> dict[str, Any]:
    answer = await keyrack.tenants["Acme"].admin.post(f"/v2/auth-clients/{client_id}/diagnose")
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["type"], data["id"]) == ("client-diagnosis", client_id)
    attributes: dict[str, Any] = data["attributes"]
    return attributes


def by_check(attributes: dict[str, Any]) -> Found:
    """Return the worst finding of each check."""
    found: Found = {}
    for finding in attributes["findings"]:
        found.setdefault(finding["check"], finding)
    return found


async def examined(keyrack: World, token_endpoint: str, **credentials: Any) -> tuple[Found, dict[str, Any]]:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, token_endpoint, **credentials)
    attributes = await diagnosed(keyrack, client.id)
    return by_check(attributes), attributes


async def test_a_right_client_is_told_from_one_with_a_wrong_secret(keyrack: World, simulator: RunningSimulator) -> None:
    right, attributes = await examined(keyrack, simulator.token_endpoint)
    assert right["client_authentication"]["level"] == "ok", right
    assert right["discovery"]["level"] in {"ok", "notice"}, right
    assert right["authorization_endpoint"]["level"] == "ok", right
    assert right["clock"]["level"] == "ok"
    assert right["redirect_uri"]["place"] == {"where": "installation", "pointer": "KEYRACK_PUBLIC_URL"}
    assert "simulator-secret" not in json.dumps(attributes)
    assert any("client_secret=***" in each["request"] for each in attributes["requests"])
    assert any("code=***" in each["request"] for each in attributes["requests"])

    wrong, attributes = await examined(keyrack, simulator.token_endpoint, client_secret="another-secret")
    assert wrong["client_authentication"]["level"] == "error" == attributes["level"]
    assert wrong["client_authentication"]["place"] == {
        "where": "client",
        "pointer": "/data/attributes/credentials/client_secret",
    }
    assert "invalid_client" in wrong["client_authentication"]["seen"]


async def test_nothing_is_stored_of_a_diagnosis_but_that_it_was_made(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, client_secret="wrong")
    before = (await acme.admin.get(f"/v2/auth-clients/{client.id}")).json()
    await diagnosed(keyrack, client.id)
    assert (await acme.admin.get(f"/v2/auth-clients/{client.id}")).json() == before
    assert keyrack.services.refreshing.limiter.circuits() == {}
    async with keyrack.store.unit(acme.id) as unit:
        events = await AuditLog(unit).newest({"action": "auth-client.diagnose"}, None, limit=10)
    assert [(each.target_id, each.outcome) for each in events] == [(client.id, "allowed")]


async def test_a_wrong_address_and_another_way_of_authenticating_are_told(keyrack: World) -> None:
    servers = LoopbackServers()

    async def only_basic(reader: Any, writer: Any) -> None:
        request = await servers.read(reader)
        good = b"Authorization: Basic c2ltdWxhdG9yLWNsaWVudDpzaW11bGF0b3Itc2VjcmV0" in request
        code = "invalid_grant" if good else "invalid_client"
        writer.write(json_answer(f'{{"error": "{code}"}}', "400 Bad Request", Connection="close"))
        await writer.drain()

    try:
        url = f"http://127.0.0.1:{await servers.start(only_basic)}"
        found, _ = await examined(keyrack, f"{url}/token")
        assert found["client_authentication"]["level"] == "error"
        assert "set client_auth to basic" in found["client_authentication"]["change"]
        assert found["client_authentication"]["place"]["pointer"] == "/data/attributes/credentials/client_auth"
    finally:
        await servers.stop()
    found, _ = await examined(keyrack, f"{url}/token")  # nobody is there any more
    assert found["endpoint"]["level"] == "error"
    assert "no connection could be made" in found["endpoint"]["seen"]


async def test_what_a_provider_says_against_the_standard_is_told_as_not_known(
    keyrack: World, raw_provider: RawProvider
) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(minutes=7), usegmt=True)
    raw_provider.answers = [json_answer('{"error": "invalid_grant"}', "400 Bad Request", Date=late)]
    found, _ = await examined(keyrack, raw_provider.token_endpoint)
    assert found["client_authentication"]["level"] == "notice"  # a wrong secret gets the same answer
    assert found["client_authentication"]["seen"].startswith("Cannot tell")
    assert found["clock"]["level"] == "warning"
    assert "ahead of ours" in found["clock"]["seen"]

    raw_provider.answers = [http_answer(b"<html><title>Not here</title>", "404 Not Found", Content_Type="text/html")]
    found, _ = await examined(keyrack, raw_provider.token_endpoint)
    assert found["client_authentication"]["level"] == "error"
    assert found["client_authentication"]["place"]["pointer"] == "/data/attributes/credentials/token_uri"
    assert "cannot be changed: make another client" in found["client_authentication"]["change"]


async def test_addresses_of_a_provider_that_are_none_are_told_as_such(keyrack: World) -> None:
    servers = LoopbackServers()

    async def nowhere(reader: Any, writer: Any) -> None:
        request = await servers.read(reader)
        metadata, elsewhere = json_answer('{"issuer": "http://["}'), http_answer(b"", "302 Found", Location="http://[")
        writer.write(metadata if b"/.well-known/" in request else elsewhere)
        await writer.drain()

    try:
        url = f"http://127.0.0.1:{await servers.start(nowhere)}"
        found, _ = await examined(keyrack, f"{url}/token", auth_uri=f"{url}/authorize")
    finally:
        await servers.stop()
    assert found["discovery"]["level"] == "notice", found
    assert "to what is no address" in found["authorization_endpoint"]["seen"], found


async def test_a_provider_that_sends_our_secrets_back_shows_them_to_nobody(
    keyrack: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    servers, secret = LoopbackServers(), "s3cret+/&=with signs"

    async def echo(reader: Any, writer: Any) -> None:
        request = await servers.read(reader)
        body = json.dumps({"error": "invalid_request", "error_description": request.decode() + secret}).encode()
        writer.write(http_answer(body * 3000, "400 Bad Request", Location=secret, Content_Type="text/plain"))
        await writer.drain()

    try:
        url = f"http://127.0.0.1:{await servers.start(echo)}"
        for client_auth in ("post", "basic"):
            found, attributes = await examined(keyrack, f"{url}/token", client_secret=secret, client_auth=client_auth)
            assert found["client_authentication"]["level"] == "notice"
            shown = json.dumps(attributes) + caplog.text + "".join(capsys.readouterr())
            for form in (secret, "s3cret%2B%2F%26%3Dwith+signs", "s3cret%2B%2F%26%3Dwith%20signs", "s3cret"):
                assert form not in shown, client_auth
            for request in servers.requests:
                basic = [line for line in request.split(b"\r\n") if line.startswith(b"Authorization: Basic ")]
                assert all(line[21:].decode() not in shown for line in basic)
            assert max(len(each["answer"]) for each in attributes["requests"]) < 3000
    finally:
        await servers.stop()


async def test_a_provider_that_never_answers_ends_with_the_diagnosis(keyrack: World, raw_provider: RawProvider) -> None:
    raw_provider.go_on.clear()
    keyrack.services.examiner._longest = 0.3
    found, attributes = await examined(keyrack, raw_provider.token_endpoint)
    assert found["client_authentication"]["seen"].startswith("This was not finished within")
    assert attributes["level"] == "warning"


async def test_discovery_that_differs_is_compared(keyrack: World) -> None:
    servers = LoopbackServers()
    said: dict[str, Any] = {}

    async def server(reader: Any, writer: Any) -> None:
        request = await servers.read(reader)
        if b"/.well-known/" in request:
            writer.write(json_answer(json.dumps(said)))
        else:
            writer.write(json_answer('{"error": "invalid_client"}', "401 Unauthorized"))
        await writer.drain()

    try:
        url = f"http://127.0.0.1:{await servers.start(server)}"
        said |= {
            "issuer": url,
            "token_endpoint": f"{url}/oauth/token",
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "code_challenge_methods_supported": ["plain"],
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": True,
        }
        _, attributes = await examined(keyrack, f"{url}/token", issuer=url)
        seen = [each["seen"] for each in attributes["findings"] if each["check"] == "discovery"]
        assert len(seen) == 3
        assert any(f"token_endpoint at {url}/oauth/token" in text for text in seen)
        assert any("token_endpoint_auth_methods_supported has private_key_jwt" in text for text in seen)
        assert any("code_challenge_methods_supported has plain, not S256" in text for text in seen)
        said["issuer"] = "https://somebody.else"
        found, _ = await examined(keyrack, f"{url}/token", issuer=url)
        assert found["discovery"]["level"] == "error"
        assert "calls itself https://somebody.else" in found["discovery"]["seen"]
    finally:
        await servers.stop()


async def test_a_redirect_uri_that_is_not_registered_is_told(keyrack: World, oidc_provider: OidcProvider) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(
        keyrack.store,
        acme.id,
        oidc_provider.token_endpoint,
        client_id=oidc_provider.client.client_id,
        client_secret="wrong",
        auth_uri=oidc_provider.authorization_endpoint,
        issuer=oidc_provider.issuer,
    )
    found = by_check(await diagnosed(keyrack, client.id))
    assert found["client_authentication"]["level"] == "error"
    assert found["discovery"]["level"] in {"ok", "notice", "warning"}


async def test_clients_that_sign_are_tried_at_oidc_provider(
    keyrack: World, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    key = jwk.generate_key("EC", "P-256", {"kid": "one"})
    more = {"token_endpoint_auth_signing_alg": "ES256", "jwks": {"keys": [key.as_dict(private=False)]}}
    registered = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="private_key_jwt", more=more)
    provider = start_oidc_provider(OidcOptions(clients=(registered,)))
    profile = {
        "name": "signed",
        "endpoints": {"authorization": provider.authorization_endpoint, "token": provider.token_endpoint},
        "client_authentication": {"method": "private_key_jwt", "algorithm": "ES256"},
    }
    given: dict[str, Any] = {
        "client_id": provider.client.client_id,
        "auth_uri": provider.authorization_endpoint,
        "provider_profile": profile,
        "client_secret": "",
        "key_id": "one",
    }
    ours = json.dumps(key.as_dict(private=True))
    found, attributes = await examined(keyrack, provider.token_endpoint, private_key=ours, **given)
    assert found["client_authentication"]["level"] == "ok", found
    assert found["private_key"]["level"] == "ok"
    assert found["authorization_endpoint"]["level"] == "ok", found
    assert str(key.as_dict(private=True)["d"]) not in json.dumps(attributes)
    other = json.dumps(jwk.generate_key("EC", "P-256", {"kid": "one"}).as_dict(private=True))
    found, _ = await examined(keyrack, provider.token_endpoint, private_key=other, **given)
    assert found["client_authentication"]["level"] == "error"
    assert found["client_authentication"]["place"]["pointer"] == "/data/attributes/credentials/private_key"
    given["auth_uri"] = provider.authorization_endpoint.replace("/auth", "/nowhere")
    found, _ = await examined(keyrack, provider.token_endpoint, private_key=ours, **given)
    assert found["authorization_endpoint"]["level"] == "error"


async def test_the_certificate_of_an_endpoint_is_looked_at(keyrack: World) -> None:
    servers, authority = LoopbackServers(), trustme.CA()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=9), not_after=yesterday).configure_cert(
        expired
    )
    other, good = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("somebody.example").configure_cert(other)
    authority.issue_cert("127.0.0.1").configure_cert(good)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    refused = json_answer('{"error": "invalid_client"}', "401 Unauthorized")
    seen = []
    async with ProviderClient(allow_insecure=True, authorities=Authorities(only=trusted)) as provider:
        examiner = Examiner(
            provider,
            keyrack.services.refreshing.limiter,
            keyrack.store.clock,
            has_public_url=True,
            allow_insecure=True,
        )
        keyrack.services.client_diagnoses._examiner = examiner
        try:
            for context in (expired, other, good):
                port = await servers.answer(refused, tls=context)
                found, _ = await examined(keyrack, f"https://127.0.0.1:{port}/token")
                seen.append((found["endpoint"]["level"], found["endpoint"]["seen"]))
        finally:
            await servers.stop()
    (level, text), (level2, text2), (level3, text3) = seen
    assert (level, level2, level3) == ("error", "error", "ok"), seen
    assert "certificate has expired" in text
    assert yesterday.date().isoformat() in text
    assert "certificate is for somebody.example" in text2
    assert "TLSv1." in text3


async def test_addresses_that_must_not_be_called_are_not_and_names_are_not_told_apart(keyrack: World) -> None:
    credentials = client_credentials("https://10.0.0.1/token")
    async with ProviderClient() as provider:
        keyrack.services.client_diagnoses._examiner = Examiner(
            provider,
            keyrack.services.refreshing.limiter,
            keyrack.store.clock,
            has_public_url=True,
            allow_insecure=False,
        )
        found, attributes = await examined(keyrack, "https://10.0.0.1/token", **credentials)
    assert found["endpoint"]["seen"].endswith(
        "the name does not resolve, or its address is not one that may be called."
    )
    assert found["client_authentication"]["level"] == "error"
    assert attributes["requests"] == []


async def test_too_many_diagnoses_of_one_caller_are_refused(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
    path = f"/v2/auth-clients/{client.id}/diagnose"
    answers = [await acme.admin.post(path) for _ in range(7)]
    assert [each.status_code for each in answers] == [200] * 6 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await acme.guest.post(path)).status_code == 403  # who may not is not told of rates


async def test_the_client_of_a_component_is_diagnosed_as_its_consents_use_it(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme, secret = keyrack.tenants["Acme"], "simulator-secret"
    oauth2 = {
        "client_id": "{{ID}}",
        "client_secret": "{{SECRET}}",
        "auth_uri": simulator.authorization_endpoint,
        "token_uri": simulator.token_endpoint,
        "scopes": ["read"],
    }
    descriptor = {
        "title": "C",
        "useOAuthClient": True,
        "credentials": {"fields": {"oauth": {"viewClass": "OAuthFieldView", "required": True}}, "oauth2": oauth2},
    }
    component = await keyrack.add_component(acme, new_id(), descriptor)
    body = {
        "data": {
            "type": "oauth-client",
            "attributes": {"client_id": "simulator-client", "client_secret": secret},
            "relationships": {"component": relationship("component", component)},
        }
    }
    made = await acme.admin.post(f"/v2/tenants/{acme.id}/oauth-clients", body)
    assert made.status_code == 201, made.text
    client_id = made.json()["data"]["id"]
    path = f"/v2/tenants/{acme.id}/oauth-clients/{client_id}/diagnose"
    answer = await acme.admin.post(path)
    assert answer.status_code == 200, answer.text
    attributes = answer.json()["data"]["attributes"]
    found = by_check(attributes)
    assert found["client_authentication"]["level"] == "ok", attributes
    assert secret not in answer.text
    assert (await acme.integrator.post(path)).status_code == 403
    assert (await keyrack.tenants["Globex"].admin.post(path)).status_code == 403
