"""Refusals of token endpoints in whatever words: told as such, and final when they are (contract 0.13, 0.24)."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack import clock
from keyrack.oauth.failure_classes import FailureClass
from support.app import BASE, World, error_of, settings_for, world
from support.consent import query_of
from support.grants import Connected, add_auth_client, change
from support.raw_provider import RawProvider, connect_raw, http_answer, json_answer

ENDED, REFUSED, UNAVAILABLE = "reauthorization_required", "provider_refused", "provider_unavailable"
DEAD, OTHER, ELSEWHERE, LATER = (
    FailureClass.GRANT_DEAD,
    FailureClass.OTHER,
    FailureClass.NO_ENDPOINT,
    FailureClass.TEMPORARY,
)
BARE = http_answer(b"", "400 Bad Request")
GOOD = json_answer('{"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 60}')
PAGE = b"<!DOCTYPE html><html><head><title>Request blocked</title></head><body><p>Ray 7</p></body></html>"
MAINTENANCE = http_answer(PAGE, Content_Type="text/html")


class Time:
    """The real time, moved ahead by a test."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


@dataclass
class Stage:
    """An installation, its clock, and a provider whose answers are given byte by byte."""

    keyrack: World
    time: Time
    provider: RawProvider

    def path(self, connected: Connected) -> str:
        return f"/v2/workspaces/{connected.secret.workspace_id}/secrets/{connected.secret.id}"

    async def read(self, connected: Connected, *answers: bytes) -> dict[str, Any]:
        """Read a secret whose token has expired, while the provider answers so."""
        if answers:
            self.provider.answers = list(answers)
        answer = await self.keyrack.tenants["Acme"].admin.get(self.path(connected))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]["attributes"]
        return found

    async def refresh(self, connected: Connected, *answers: bytes) -> Any:
        self.provider.answers = list(answers)
        return await self.keyrack.tenants["Acme"].admin.post(f"{self.path(connected)}/refresh")

    async def worked_once(self, connected: Connected) -> None:
        """Let a grant be refreshed, and its new token expire."""
        assert (await self.refresh(connected, GOOD)).status_code == 200
        self.time.ahead += timedelta(seconds=61)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        acme = self.keyrack.tenants["Acme"]
        answer = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]={kind}")
        return [entry["attributes"]["data"] for entry in answer.json()["data"]]


@pytest.fixture
async def stage(tmp_path: Path, raw_provider: RawProvider) -> AsyncIterator[Stage]:
    time = Time()
    async with world(settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE), time) as keyrack:
        yield Stage(keyrack, time, raw_provider)


def refused(text: str, status: str = "400 Bad Request", **headers: str) -> bytes:
    return json_answer(text, status, **headers)


CASES: dict[str, tuple[bytes, str, FailureClass, str]] = {
    # known codes, wherever they stand
    "Zoho": (json_answer('{"error": "invalid_code"}'), ENDED, DEAD, "invalid_code"),
    "HubSpot": (
        refused('{"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown refresh token"}'),
        ENDED,
        DEAD,
        "missing or unknown refresh token",
    ),
    "Slack": (json_answer('{"ok": false, "error": "invalid_refresh_token"}'), ENDED, DEAD, "invalid_refresh_token"),
    "GitHub": (
        json_answer("error=bad_refresh_token&error_description=The+refresh+token+is+incorrect+or+expired."),
        ENDED,
        DEAD,
        "The refresh token is incorrect or expired.",
    ),
    "Fitbit": (
        refused('{"errors": [{"errorType": "invalid_grant", "message": "Refresh token invalid"}], "success": false}'),
        ENDED,
        DEAD,
        "Refresh token invalid",
    ),
    "UAA": (
        refused('{"error": "invalid_token", "error_description": "(expired)"}', "401 Unauthorized"),
        ENDED,
        DEAD,
        "(expired)",
    ),
    "Microsoft": (
        refused('{"error": "interaction_required", "error_description": "AADSTS50076: MFA", "error_codes": [50076]}'),
        ENDED,
        DEAD,
        "AADSTS50076: MFA",
    ),
    "Apigee": (
        refused(
            '{"fault": {"faultstring": "Invalid Refresh Token", "detail":'
            ' {"errorcode": "keymanagement.service.invalid_refresh_token"}}}'
        ),
        ENDED,
        DEAD,
        "Invalid Refresh Token",
    ),
    "with a space": (refused('{"error": "invalid grant"}'), ENDED, DEAD, "invalid grant"),
    "a header alone": (
        http_answer(
            b"", "400 Bad Request", WWW_Authenticate='Bearer realm="a", error="invalid_grant", error_description="Gone"'
        ),
        ENDED,
        DEAD,
        "Gone",
    ),
    "XML": (
        http_answer(
            b'<?xml version="1.0"?><OAuth><error>invalid_grant</error><message>Over</message></OAuth>',
            "400 Bad Request",
            Content_Type="application/xml",
        ),
        ENDED,
        DEAD,
        "Over",
    ),
    # refusals whose meaning is not known
    "DeviantArt": (
        refused(
            '{"error": "invalid_request", "error_description": "The refresh_token is invalid.", "status": "error"}'
        ),
        REFUSED,
        OTHER,
        "The refresh_token is invalid.",
    ),
    "glewlwyd": (BARE, REFUSED, OTHER, "refused to renew it (status 400). If it goes on refusing"),
    "a refusal in gzip": (
        http_answer(gzip.compress(b'{"message": "Packed"}'), "400 Bad Request", Content_Encoding="gzip"),
        REFUSED,
        OTHER,
        "(status 400). It said: Packed.",
    ),
    "what cannot be decoded": (
        http_answer(bytes(range(128, 256)), "400 Bad Request", Content_Encoding="br"),
        REFUSED,
        OTHER,
        "(status 400). If it goes on",
    ),
    "a head that breaks off": (
        b"HTTP/1.1 400 Bad Request\r\nSet-Cookie: session=canary; path=/\r\nConten",
        REFUSED,
        OTHER,
        "(status 400). If it goes on",
    ),
    "a bare 403": (http_answer(b"", "403 Forbidden"), REFUSED, OTHER, "(status 403)"),
    "plain text": (
        http_answer(b"Your account was closed", "400 Bad Request", Content_Type="text/plain"),
        REFUSED,
        OTHER,
        "Your account was closed",
    ),
    "an unknown code": (refused('{"error": {"code": "E-77", "message": "No."}}'), REFUSED, OTHER, "No."),
    "a list": (refused('[{"errorCode": "E_9", "message": "Not today"}]'), REFUSED, OTHER, "Not today"),
    "a problem": (
        refused('{"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "Session over"}'),
        REFUSED,
        OTHER,
        "Session over",
    ),
    "a number": (refused('{"code": 4711, "msg": "wrong"}'), REFUSED, OTHER, "wrong"),
    "WeChat's form": (json_answer('{"errcode": 4711, "errmsg": "not here"}'), REFUSED, OTHER, "not here"),
    # what is no token endpoint says nothing of the grant
    "a firewall": (http_answer(PAGE, "403 Forbidden", Content_Type="text/html"), REFUSED, ELSEWHERE, "Request blocked"),
    "a redirect": (http_answer(b"", "302 Found", Location="https://sso.example/"), REFUSED, ELSEWHERE, "it redirects"),
    "404": (http_answer(b"", "404 Not Found"), REFUSED, ELSEWHERE, "check the address"),
    "405": (http_answer(b"", "405 Method Not Allowed"), REFUSED, ELSEWHERE, "check the address"),
    "410": (refused('{"error": "Gone", "path": "/token"}', "410 Gone"), REFUSED, ELSEWHERE, "check the address"),
    # a success without tokens
    "maintenance": (MAINTENANCE, REFUSED, OTHER, "token: a web page came back (status 200). It said: R"),
    "nothing": (json_answer("{}"), REFUSED, OTHER, "could not be renewed. The authorization server answered without"),
    "nothing at all": (http_answer(b"", "204 No Content"), REFUSED, OTHER, "access token (status 204). If this goes"),
    # trouble and limits
    "408": (http_answer(b"", "408 Request Timeout"), UNAVAILABLE, LATER, "(status 408)"),
    "425": (http_answer(b"", "425 Too Early"), UNAVAILABLE, LATER, "(status 425)"),
    "429": (http_answer(b"", "429 Too Many Requests"), UNAVAILABLE, LATER, "(status 429)"),
    "503": (http_answer(PAGE, "503 Service Unavailable"), UNAVAILABLE, LATER, "cannot answer now (status 503). It is"),
    "Zoho's limit": (
        refused(
            '{"error": "Access Denied", "error_description": "You have made too many requests continuously.",'
            ' "status": "failure"}'
        ),
        UNAVAILABLE,
        LATER,
        "too many requests",
    ),
    "Exact Online": (
        refused(
            '{"error": "access_denied", "error_description": "Rate limit exceeded: access_token not expired"}',
        ),
        UNAVAILABLE,
        LATER,
        "Rate limit exceeded",
    ),
}


async def test_each_answer_is_told_as_what_it_is_in_the_providers_words(stage: Stage) -> None:
    for name, (answer, code, kind, words) in CASES.items():
        connected = await connect_raw(stage.keyrack, stage.provider)
        read = await stage.read(connected, answer)
        assert (name, read["state"], read["error_code"]) == (name, "error", code)
        assert words in read["error"], name
        assert ("Connect again." in read["error"]) == (code == ENDED), name
        assert (name, read["last_error"]["class"]) == (name, kind.value)
        assert "reached" not in read["error"], name


async def test_a_refusal_leaves_a_valid_token_ready(stage: Stage) -> None:
    connected = await connect_raw(stage.keyrack, stage.provider, age=100)
    answer = await stage.refresh(connected, BARE)
    assert error_of(answer)[:2] == (400, "provider_error")
    assert answer.json()["errors"][0]["meta"] == {"status": 400}
    read = await stage.read(connected)
    assert (read["state"], read["last_error"]["class"]) == ("ready", "other")
    stage.time.ahead += timedelta(hours=1)
    assert (await stage.read(connected))["error_code"] == REFUSED


async def test_what_was_sent_is_masked_wherever_it_is_shown_back(stage: Stage) -> None:
    echoes = (
        http_answer(b"no such token: rt-canary-1", "400 Bad Request", Content_Type="text/plain"),
        http_answer(b"<html><title>at-canary-1 rt-canary-1</title>", "403 Forbidden", Content_Type="text/html"),
        http_answer(b"", "400 Bad Request", WWW_Authenticate='Bearer error="x", error_description="rt-canary-1"'),
        refused('{"errors": [{"message": "rt-canary-1 of simulator-secret"}]}'),
    )
    for echo in echoes:
        tokens = {"access_token": "at-canary-1", "refresh_token": "rt-canary-1"}
        connected = await connect_raw(stage.keyrack, stage.provider, tokens)
        told = (await stage.read(connected, echo))["error"] + (await stage.refresh(connected, echo)).text
        assert "***" in told
        assert not [secret for secret in (*tokens.values(), "simulator-secret") if secret in told]


async def test_a_refusal_that_repeats_ends_a_grant_that_worked_before(stage: Stage) -> None:
    connected = await connect_raw(stage.keyrack, stage.provider)
    await stage.worked_once(connected)
    for _ in range(4):
        assert (await stage.read(connected, BARE))["error_code"] == REFUSED
        assert (await stage.refresh(connected, BARE)).status_code == 400
    assert await stage.events("secret.reauthorization_required") == [], "not within seconds"
    stage.time.ahead += timedelta(minutes=5)
    await stage.refresh(connected, http_answer(b"", "502 Bad Gateway"))
    read = await stage.read(connected)
    assert read["error_code"] == UNAVAILABLE
    await change(stage.keyrack.store, connected.secret, ambiguous_since=None)
    await stage.refresh(connected, refused('{"message": "No such grant"}'))
    read = await stage.read(connected)
    assert (read["state"], read["error_code"]) == ("error", ENDED)
    assert read["error"] == (
        "The provider refuses to renew the token, again and again. Connect again. It said: No such grant"
    )
    (told,) = await stage.events("secret.reauthorization_required")
    assert told["error_code"] == ENDED
    assert len(await stage.events("secret.failed")) == 1, "the first failure in a row is told"
    await stage.refresh(connected, BARE)
    assert len(await stage.events("secret.reauthorization_required")) == 1, "its end is told once"
    assert (await stage.refresh(connected, GOOD)).status_code == 200, "whoever asks can still try"


async def test_a_grant_that_never_worked_is_not_ended_by_it(stage: Stage) -> None:
    never = await connect_raw(stage.keyrack, stage.provider)
    changed = await connect_raw(stage.keyrack, stage.provider)
    await stage.worked_once(changed)
    stage.time.ahead += timedelta(seconds=1)
    body = {"data": {"type": "auth-client", "attributes": {"credentials": {"client_secret": "new"}}}}
    patched = await stage.keyrack.tenants["Acme"].admin.patch(f"/v2/auth-clients/{changed.client.id}", body)
    assert patched.status_code == 200, patched.text
    for _ in range(4):
        for connected in (never, changed):
            await stage.refresh(connected, BARE)
        stage.time.ahead += timedelta(minutes=4)
    assert [(await stage.read(each))["error_code"] for each in (never, changed)] == [REFUSED, REFUSED]
    stage.time.ahead += timedelta(days=2)
    assert [(await stage.read(each))["error_code"] for each in (never, changed)] == [ENDED, ENDED], "it is given up"


async def test_a_refusal_after_a_lost_answer_is_an_interrupted_refresh(stage: Stage) -> None:
    for refusal in (BARE, refused('{"error": "invalid_request"}'), refused('{"error": "invalid_grant"}')):
        connected = await connect_raw(stage.keyrack, stage.provider)
        read = await stage.read(connected, b"", refusal)
        assert (read["state"], read["error_code"]) == ("error", "refresh_interrupted")
        assert read["error"].startswith("A refresh was interrupted")


async def test_a_page_of_a_firewall_never_ends_a_grant(stage: Stage) -> None:
    connected = await connect_raw(stage.keyrack, stage.provider)
    await stage.worked_once(connected)
    page = http_answer(PAGE, "403 Forbidden", Content_Type="text/html; charset=utf-8")
    await stage.refresh(connected, http_answer(b"", "502 Bad Gateway"))
    for _ in range(5):
        assert error_of(await stage.refresh(connected, page))[:2] == (400, "provider_error")
        stage.time.ahead += timedelta(hours=3)
    stage.time.ahead += timedelta(days=2)
    read = await stage.read(connected, page)
    assert (read["state"], read["error_code"]) == ("error", REFUSED)
    assert read["error"].endswith("It said: Request blocked. It is not tried again by itself any more.")
    assert (await stage.refresh(connected, GOOD)).status_code == 200
    assert (await stage.read(connected))["state"] == "ready"


async def test_a_page_of_maintenance_that_comes_with_200_never_ends_a_grant(stage: Stage) -> None:
    connected = await connect_raw(stage.keyrack, stage.provider)
    await stage.worked_once(connected)
    for _ in range(6):
        read = await stage.read(connected, MAINTENANCE)
        assert (read["state"], read["error_code"]) == ("error", REFUSED)
        assert "refused" not in read["error"]
        stage.time.ahead += timedelta(hours=6)
    assert read["error"].endswith("It is not tried again by itself any more.")
    assert await stage.events("secret.reauthorization_required") == []
    read = await stage.read(connected, GOOD)
    assert read["state"] == "ready", "readers go on trying"


async def test_a_consent_shows_that_the_client_is_asked_in_the_right_form(stage: Stage) -> None:
    acme, provider = stage.keyrack.tenants["Acme"], stage.provider
    client = await add_auth_client(stage.keyrack.store, acme.id, provider.token_endpoint)
    related = {"auth_client": {"data": {"type": "auth-client", "id": client.id}}}
    started = await acme.admin.post(
        f"/v2/workspaces/{acme.workspace_id}/oauth-consents",
        {"data": {"type": "oauth-consent", "attributes": {}, "relationships": related}},
    )
    assert started.status_code == 201, started.text
    consent = started.json()["data"]
    state = query_of(consent["attributes"]["authorization_url"])["state"]
    provider.answers = [GOOD]
    page = await stage.keyrack.http.get("/callback/oauth2", params={"state": state, "code": "c"})
    assert page.status_code == 200, page.text
    seen = await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/oauth-consents/{consent['id']}")
    secret_id = seen.json()["data"]["relationships"]["auth_secret"]["data"]["id"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"
    provider.answers = [BARE]
    stage.time.ahead += timedelta(seconds=61)
    codes = []
    for _ in range(3):
        await acme.admin.post(f"{path}/refresh")
        codes.append((await acme.admin.get(path)).json()["data"]["attributes"]["error_code"])
        stage.time.ahead += timedelta(minutes=3)
    assert codes == [REFUSED, REFUSED, ENDED]
