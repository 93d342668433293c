"""What no profile that comes along has, played too: devices, pushed requests, certificates, own ways to revoke."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from keyrack.conformance.report import Outcome
from keyrack.errors import ValidationFailed
from keyrack.oauth.profiles.reading import profile_of
from keyrack.simulator.twin.received import Received
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.server import twin_server
from keyrack.simulator.twin.twin import Twin
from support.certificates import self_signed
from support.twins import differing, play_all, refused

HOST = "https://login.example"
ENDPOINTS = {"authorization": f"{HOST}/authorize", "token": f"{HOST}/token"}
EVERY_ENDPOINT = {
    **ENDPOINTS,
    **{name: f"{HOST}/{name}" for name in ("pushed_authorization", "revocation", "userinfo")},
}
BY_FIELDS = {
    "body": "json",
    "parameters": {"token_type_hint": None, "reason": "deleted", "app": "{client_id}", "key": "{client_secret}"},
    "rename": {"token": "oauth_token"},
    "headers": {"x-tenant": "{tenant}"},
    "client_authentication": {"method": "fields"},
}
NOTHING_ELSE = {"parameters": {"token": None, "token_type_hint": None}, "client_authentication": {"method": "fields"}}
TENANT = {"tenant": {"title": "Tenant", "default": "main"}}
PROFILES: dict[str, dict[str, Any]] = {
    "devices": {
        "grant": "device_code",
        "endpoints": {"device_authorization": f"{HOST}/device", "token": f"{HOST}/token"},
        "authorization": {"parameters": {"audience": "api"}, "rename": {"scope": "scopes"}},
        "client_authentication": {"method": "client_secret_basic"},
        "scopes": {"separator": ","},
    },
    "pushed": {
        "endpoints": {**ENDPOINTS, "pushed_authorization": f"{HOST}/par"},
        "authorization": {"pushed": True, "parameters": {"audience": "api"}},
        "client_authentication": {"method": "client_secret_basic"},
    },
    "pushed-signed": {
        "endpoints": {**ENDPOINTS, "pushed_authorization": f"{HOST}/par?tenant=main"},
        "authorization": {"pushed": True},
        "client_authentication": {"method": "private_key_jwt", "algorithm": "ES256"},
    },
    "revoked-otherwise": {
        "endpoints": {**ENDPOINTS, "revocation": f"{HOST}/revoke"},
        "revocation": BY_FIELDS,
        "inputs": TENANT,
    },
    "revoked-in-the-path": {
        "endpoints": {**ENDPOINTS, "revocation": f"{HOST}/tokens/{{token}}"},
        "revocation": {"method": "DELETE", **NOTHING_ELSE, "tokens": ["refresh_token"]},
    },
    "revoked-by-itself": {
        "endpoints": {**ENDPOINTS, "revocation": f"{HOST}/uninstall"},
        "revocation": {
            "body": "json",
            **NOTHING_ELSE,
            "headers": {"Authorization": "Bearer {token}"},
            "tokens": ["access_token"],
        },
    },
    "asked-afterwards": {
        "endpoints": {**ENDPOINTS, "userinfo": f"{HOST}/me"},
        "inputs": {"site": {"required": False, "example": "acme"}, "place": {"required": False}},
        "answer": {"token_claims": {"event": "claims.event_id"}},
        "after_connecting": [
            {"endpoint": f"{HOST}/sites", "choose": [{"url": "*://{site}.*"}, {}], "learned": {"site_id": "id"}},
            {
                "endpoint": f"{HOST}/sites/{{site_id}}",
                "method": "POST",
                "body": "json",
                "parameters": {"query": "{ owner { id } }", "first": 1},
                "learned": {"owner": {"path": "data.owner.id", "pattern": "([0-9]+)$", "in_base64": True}},
            },
            {"endpoint": f"{HOST}/places", "entries": "list", "only": True, "learned": {"place": "name"}},
            {"endpoint": f"{HOST}/events", "choose": [{"event": "{event}"}], "learned": {"found": "event"}},
            {"endpoint": f"{HOST}/me", "token_as": "bearer", "learned": {"whole": "details.all"}},
        ],
    },
    "asked-afterwards-without-a-person": {
        "grant": "client_credentials",
        "endpoints": {"token": f"{HOST}/token"},
        "client_authentication": {"method": "client_secret_basic"},
        "after_connecting": [
            {
                "endpoint": f"{HOST}/nodes",
                "body": "query",
                "parameters": {"page": 1},
                "token_as": "basic",
                "headers": {"X-Version": "1"},
                "answered": "has_nodes",
            },
            {"endpoint": f"{HOST}/installed", "method": "PUT"},
        ],
    },
    "introspected-otherwise": {
        "endpoints": {**ENDPOINTS, "introspection": f"{HOST}/introspect", "revocation": f"{HOST}/revoke"},
        "introspection": {
            "parameters": {"token_type_hint": None, "format": "short"},
            "client_authentication": {"method": "client_secret_basic"},
        },
        "revocation": {"method": "GET", "client_authentication": {"method": "none"}},
    },
    "certified": {"endpoints": EVERY_ENDPOINT, "client_authentication": {"method": "tls_client_auth"}},
    "self-certified": {
        "endpoints": EVERY_ENDPOINT,
        "authorization": {"pushed": True},
        "client_authentication": {"method": "self_signed_tls_client_auth"},
    },
    "certified-beside": {
        "grant": "client_credentials",
        "endpoints": {"token": f"{HOST}/token"},
        "client_authentication": {"method": "client_secret_basic", "mutual_tls": True},
    },
    "introspected-usually": {"endpoints": {**ENDPOINTS, "introspection": f"{HOST}/introspect"}},
}


def test_every_part_holds_against_its_twin() -> None:
    reports = play_all(profile_of({"name": name, **said}) for name, said in PROFILES.items())
    assert refused(reports) == {}
    assert differing(reports) == {}
    held = {each.name: {step.name for step in each.steps if step.outcome is Outcome.held} for each in reports}
    whole = {"consent", "token", "refresh", "error"}
    by_themselves = {"certified-beside", "asked-afterwards-without-a-person"}
    assert {name for name, steps in held.items() if not whole <= steps} == by_themselves
    assert [whole - held[name] for name in by_themselves] == [{"consent"}, {"consent"}], "nobody has to agree"
    assert {name for name, steps in held.items() if "introspection" in steps} == {
        "introspected-otherwise", "introspected-usually",
    }  # fmt: skip
    assert {name for name, steps in held.items() if "revoke" in steps} == {
        "revoked-otherwise", "introspected-otherwise", "certified", "self-certified",
        "revoked-in-the-path", "revoked-by-itself",
    }  # fmt: skip
    calls = {
        each.name: [request for request in each.requests if request["request"] == "after_connecting"]
        for each in reports
    }
    assert [len(calls[name]) for name in ("asked-afterwards", "asked-afterwards-without-a-person")] == [4, 2]
    paths = next(each.requests for each in reports if each.name == "revoked-in-the-path")
    assert [each["address"] for each in paths if each["request"] == "revocation"] == [f"{HOST}/tokens/***"]
    asked = {each.name: [request["request"] for request in each.requests] for each in reports}
    assert asked["devices"][:3] == ["device_authorization", "token", "token"], "once too early"
    assert asked["pushed"][:2] == ["pushed_authorization", "authorization"]
    own = [request for each in reports if "certified" in each.name for request in each.requests]
    assert {request["request"] for request in own if request.get("certificate") != "shown"} == {"authorization"}
    told = str([each.requests for each in reports])
    assert "32 letters" not in told, "the client's secret is not shown"


@pytest.mark.parametrize(
    ("name", "path", "body", "told"),
    [
        ("revoked-otherwise", "/revoke", b"token=t&token_type_hint=access_token&client_id=c&client_secret=s", "JSON"),
        ("revoked-otherwise", "/revoke", b'{"token": "t", "reason": "deleted"}', "oauth_token is missing"),
        (
            "introspected-otherwise",
            "/introspect",
            b"token=t-1234567&client_id=c&client_secret=s",
            "client_secret is sent",
        ),
        ("introspected-usually", "/introspect", b"token=t-1234567&client_id=c&client_secret=s", "token_type_hint"),
        ("devices", "/device", b"scope=a&client_id=c", "scopes is missing"),
        ("pushed", "/par", b"client_id=c&response_type=code", "redirect_uri is missing"),
    ],
)
def test_a_twin_refuses_what_its_profile_does_not_say(name: str, path: str, body: bytes, told: str) -> None:
    registered = Registration("c", "s", "https://keyrack.example/callback/oauth2", {"tenant": "main"}, ("a",))
    twin = Twin(profile_of({"name": name, **PROFILES[name]}), registered)
    kind = "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"
    reply = twin.serve(Received("POST", f"{HOST}{path}", [("content-type", kind)], body))
    assert reply.status == 400
    assert told in " ".join(map(str, twin.differences))


@pytest.mark.parametrize("certificate", [None, b"another"])
@pytest.mark.parametrize("path", ["token", "revocation", "userinfo"])
def test_a_twin_demands_the_certificate_that_was_registered(path: str, certificate: bytes | None) -> None:
    registered = Registration("c", "", "https://keyrack.example/callback/oauth2", scopes=("a",), certificate=b"its own")
    twin = Twin(profile_of({"name": "certified", **PROFILES["certified"]}), registered, access_token="t-1234567")
    if path == "userinfo":
        asked = Received("GET", f"{HOST}/userinfo", [("authorization", "Bearer t-1234567")], b"", certificate)
    else:
        form = [("content-type", "application/x-www-form-urlencoded")]
        asked = Received("POST", f"{HOST}/{path}", form, b"client_id=c", certificate)
    assert twin.serve(asked).status in {400, 401}
    told = [str(each) for each in twin.differences if each.pointer == "/client_authentication"]
    assert len(told) == 1, twin.differences
    assert "certificate" in told[0]


async def test_a_twins_server_lets_nobody_in_with_a_strangers_certificate(tmp_path: Path) -> None:
    async with twin_server() as server:
        server.twin = Twin(
            profile_of({"name": "p", **PROFILES["certified"]}), Registration("c", "", "https://k.example")
        )
        issued, own, stranger = server.authority.issued, server.authority.self_signed, self_signed("x")
        shown = {"issued": issued.key + issued.chain, "its own": own.key + own.chain, "none": ""}
        got = {}
        for name, pem in {**shown, "a stranger's": stranger.key + stranger.chain}.items():
            trusting = server.trusting
            if pem:
                file = tmp_path / "client.pem"
                file.write_text(pem)
                trusting.load_cert_chain(file)
            connector = aiohttp.TCPConnector(resolver=server.resolver, ssl=trusting)
            async with aiohttp.ClientSession(connector=connector) as session:
                try:
                    async with session.get(f"{HOST}/nothing") as answer:
                        got[name] = answer.status
                except aiohttp.ClientError:
                    got[name] = 0
    assert got == {"none": 404, "issued": 404, "its own": 404, "a stranger's": 0}


def test_a_pushed_request_counts_once_and_only_if_it_was_pushed() -> None:
    registered = Registration("c", "s", "https://keyrack.example/callback/oauth2", {}, ("a",))
    twin = Twin(profile_of({"name": "pushed", **PROFILES["pushed"]}), registered)
    assert twin.open_in_browser(f"{HOST}/authorize?client_id=c&request_uri=urn:x") == ""
    assert "nothing was pushed" in str(twin.differences[0])


@pytest.mark.parametrize(
    ("part", "pointer"),
    [
        ({"parameters": {"token": "mine"}}, "/parameters/token"),
        ({"rename": {"token_type_hint": "client_id"}}, "/rename/token_type_hint"),
        ({"method": "PATCH"}, "/method"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"parameters": {"x": "{nothing}"}}, "/parameters/x"),
        ({"parameters": {"key": "{client_secret}"}}, ""),
    ],
)
@pytest.mark.parametrize("name", ["revocation", "introspection"])
def test_what_such_a_part_cannot_say(name: str, part: Any, pointer: str) -> None:
    with pytest.raises(ValidationFailed) as wrong:
        profile_of({"name": "p", "endpoints": ENDPOINTS, name: part})
    assert f"/{name}{pointer}" in {each.pointer for each in wrong.value.problems}
