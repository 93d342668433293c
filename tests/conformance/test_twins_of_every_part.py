"""What no profile that comes along has, played too: devices, pushed requests, own ways to revoke and to introspect."""

from typing import Any

import pytest

from keyrack.conformance.report import Outcome
from keyrack.errors import ValidationFailed
from keyrack.oauth.profiles.reading import profile_of
from keyrack.simulator.twin.received import Received
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.twin import Twin
from support.twins import differing, play_all, refused

HOST = "https://login.example"
ENDPOINTS = {"authorization": f"{HOST}/authorize", "token": f"{HOST}/token"}
BY_FIELDS = {
    "body": "json",
    "parameters": {"token_type_hint": None, "reason": "deleted", "app": "{client_id}", "key": "{client_secret}"},
    "rename": {"token": "oauth_token"},
    "headers": {"x-tenant": "{tenant}"},
    "client_authentication": {"method": "fields"},
}
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
    "introspected-otherwise": {
        "endpoints": {**ENDPOINTS, "introspection": f"{HOST}/introspect", "revocation": f"{HOST}/revoke"},
        "introspection": {
            "parameters": {"token_type_hint": None, "format": "short"},
            "client_authentication": {"method": "client_secret_basic"},
        },
        "revocation": {"method": "GET", "client_authentication": {"method": "none"}},
    },
    "introspected-usually": {"endpoints": {**ENDPOINTS, "introspection": f"{HOST}/introspect"}},
}


def test_every_part_holds_against_its_twin() -> None:
    reports = play_all(profile_of({"name": name, **said}) for name, said in PROFILES.items())
    assert refused(reports) == {}
    assert differing(reports) == {}
    held = {each.name: {step.name for step in each.steps if step.outcome is Outcome.held} for each in reports}
    assert {name for name, steps in held.items() if not {"consent", "token", "refresh", "error"} <= steps} == set()
    assert {name for name, steps in held.items() if "introspection" in steps} == {
        "introspected-otherwise", "introspected-usually",
    }  # fmt: skip
    assert {name for name, steps in held.items() if "revoke" in steps} == {
        "revoked-otherwise", "introspected-otherwise",
    }  # fmt: skip
    asked = {each.name: [request["request"] for request in each.requests] for each in reports}
    assert asked["devices"][:3] == ["device_authorization", "token", "token"], "once too early"
    assert asked["pushed"][:2] == ["pushed_authorization", "authorization"]
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
        ({"method": "DELETE"}, "/method"),
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
