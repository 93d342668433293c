"""Single sign-on at providers that lie, forge, are slow, down or change their keys (decision 31)."""

import asyncio
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import func, select

from keyrack.crypto.secret import Secret
from keyrack.service.consents import server_metadata
from keyrack.store.schema import console_sessions
from support.app import BASE, World, settings_for, world
from support.console import ConsoleBrowser, signed_in
from support.single_sign_on import (
    SETTINGS,
    ToldIssuer,
    address_of,
    begin,
    begin_by_email,
    client_of,
    going_to,
    set_up,
    told_issuer,
)
from support.waits_and_faults import until

ME = {"email": "integrator@acme.example", "email_verified": True}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
async def issuer(keyrack: World) -> AsyncIterator[ToldIssuer]:
    """Acme's provider, and Acme set up for it."""
    async with told_issuer() as made:
        made.userinfo = dict(ME)
        await set_up(keyrack, keyrack.tenants["Acme"], made.issuer, domains=["acme.example"])
        yield made


async def come_back(keyrack: World, issuer: ToldIssuer, **params: str) -> ConsoleBrowser:
    """Sign in at Acme's provider, which brings back what it is told to."""
    browser = ConsoleBrowser(keyrack.http)
    await browser.get(issuer.callback(await begin(browser, keyrack.tenants["Acme"]), **params))
    return browser


async def sessions(keyrack: World) -> int:
    async with keyrack.store.installation() as unit:
        return int((await unit.connection.execute(select(func.count()).select_from(console_sessions))).scalar_one())


async def test_a_right_answer_lets_in_and_is_asked_for_as_it_should_be(keyrack: World, issuer: ToldIssuer) -> None:
    browser = await come_back(keyrack, issuer)
    assert browser.page.headers["location"] == "/console"
    (form,) = issuer.requests
    assert form["redirect_uri"] == f"{BASE}{address_of(keyrack.tenants['Acme'])}/callback"
    assert len(form["code_verifier"]) == 43
    address = going_to(await begin_by_email(ConsoleBrowser(keyrack.http), "x@acme.example"))
    assert "code_challenge_method=S256" in address
    assert "scope=openid%20email%20profile" in address
    assert "login_hint=x%40acme.example" in address


def unsigned(claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def by(key: RSAKey) -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, key, algorithms=["RS256"])


def with_secret(secret: str) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        signed = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(claims)}"
        made = hmac.new(secret.encode(), signed.encode(), "sha256").digest()
        return f"{signed}.{urlsafe_b64encode(made).rstrip(b'=').decode()}"

    return sign


async def test_an_id_token_that_is_not_right_lets_nobody_in(keyrack: World, issuer: ToldIssuer) -> None:
    now, before = int(time.time()), await sessions(keyrack)
    mine = client_of(keyrack.tenants["Acme"]).client_id
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"iss": "https://other.example"}, "another authorization server"),
        ({"iss": f"{issuer.issuer}/"}, "another authorization server"),
        ({"aud": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"aud": [mine, "other"]}, "several clients"),
        ({"nonce": "other"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": now - 3600}, "expired"),
        ({"exp": None}, "when it expires"),
        ({"iat": now - 3600}, "another time"),
        ({"iat": now + 3600}, "another time"),
        ({"iat": None}, "when it was issued"),
        ({"nbf": now + 3600}, "not valid yet"),
        ({"sub": None}, "who has signed in"),
        ({"sub": "x" * 256}, "who has signed in"),
        ({"sub": 7}, "who has signed in"),
        ({"sub": "subject-2"}, "another person"),  # the userinfo is of subject-1
    ]
    for claims, told in wrong:
        issuer.claims = claims
        browser = await come_back(keyrack, issuer)
        assert browser.page.status_code == 400, claims
        assert told in browser.page.text, claims
        assert not await browser.is_signed_in()
    issuer.claims = {}
    public_key = issuer.key.as_pem(private=False).decode()
    for sign in (unsigned, by(RSAKey.generate_key(2048)), with_secret(public_key), with_secret("guessed" * 8)):
        issuer.sign = sign
        browser = await come_back(keyrack, issuer)
        assert browser.page.status_code == 400
        assert not await browser.is_signed_in()
    assert await sessions(keyrack) == before
    issuer.sign, issuer.claims = None, {"aud": [mine, "other"], "azp": mine}
    assert (await come_back(keyrack, issuer)).page.status_code == 303


async def test_what_is_said_of_a_person_is_taken_only_as_it_should_be(keyrack: World, issuer: ToldIssuer) -> None:
    for userinfo in (
        {"email": ME["email"]},
        {"email": ME["email"], "email_verified": "yes"},
        {"email": ME["email"], "email_verified": 1},
        {"email": [ME["email"]], "email_verified": True},
        {"email": "a" * 400 + "@acme.example", "email_verified": True},
        {"email": f"{ME['email']}\0", "email_verified": True},
        {"email_verified": True},
    ):
        issuer.userinfo = userinfo
        assert not await (await come_back(keyrack, issuer)).is_signed_in(), userinfo
    issuer.userinfo, issuer.claims = {"email": "guest@acme.example", "email_verified": True}, dict(ME)
    browser = await come_back(keyrack, issuer)  # the ID token says both, so nothing else is asked
    assert await browser.is_signed_in()
    assert "integrator@acme.example" in (await browser.get("/console/account")).text
    issuer.claims, issuer.userinfo = {}, {}
    assert await (await come_back(keyrack, issuer)).is_signed_in()  # is known by now, whatever the email


async def test_an_answer_from_elsewhere_is_refused(keyrack: World, issuer: ToldIssuer) -> None:
    for params, told in (
        ({"iss": ""}, "does not name the authorization server"),
        ({"iss": "https://other.example"}, "another authorization server"),
        ({"state": "x" * 43}, "never begun here"),
        ({"state": ""}, "never begun here"),
        ({"code": ""}, "no usable code"),
    ):
        browser = await come_back(keyrack, issuer, **params)
        assert told in browser.page.text, params
        assert not await browser.is_signed_in()
    assert not issuer.requests  # no code went anywhere
    browser = ConsoleBrowser(keyrack.http)
    twice = f"{issuer.callback(await begin(browser, keyrack.tenants['Acme']))}&state=other"
    assert "damaged" in (await browser.get(twice)).text
    issuer.metadata = {"authorization_response_iss_parameter_supported": None}
    keyrack.services.issuers._known.clear()
    assert (await come_back(keyrack, issuer, iss="")).page.status_code == 303  # it announces nothing


async def test_what_the_provider_says_is_shown_as_its_words(keyrack: World, issuer: ToldIssuer) -> None:
    browser = await come_back(
        keyrack, issuer, code="", error="access_denied", error_description=f"Not you. {SCRIPT} \u202eevil"
    )
    assert browser.page.status_code == 400
    assert "did not grant access" in browser.page.text
    assert "access_denied: Not you. &lt;script&gt;" in browser.page.text
    assert SCRIPT not in browser.page.text
    assert "\u202e" not in browser.page.text
    secret = client_of(keyrack.tenants["Acme"]).client_secret
    said = {"error": "invalid_client", "error_description": f"wrong secret {secret}"}
    for answer, told in (
        (web.json_response(said, status=401), "invalid_client: wrong secret ***"),
        (web.Response(text="<html>oops", content_type="text/html"), "without an access token"),
        (web.Response(status=500), "not"),
        (web.json_response({"access_token": "at", "token_type": "Bearer"}), "no ID token"),
        (web.json_response({"access_token": "at", "id_token": "x.y"}), "cannot be read"),
    ):
        issuer.token_answer = answer
        browser = await come_back(keyrack, issuer)
        assert browser.page.status_code == 400, told
        assert told in browser.page.text
        assert secret not in browser.page.text
        assert not await browser.is_signed_in()


async def test_metadata_that_lies_leads_nowhere(keyrack: World, issuer: ToldIssuer) -> None:
    acme = keyrack.tenants["Acme"]
    for metadata in (
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": ["https://x.example"]},
    ):
        issuer.metadata = metadata
        keyrack.services.issuers._known.clear()
        for browser, page in (
            (first := ConsoleBrowser(keyrack.http), await begin_by_email(first, "x@acme.example")),
            (second := ConsoleBrowser(keyrack.http), await press(second, address_of(acme))),
        ):
            assert page.status_code == 400, metadata
            assert "http-equiv" not in page.text
            assert "organisation&#39;s sign-in service" in page.text
            assert not await browser.is_signed_in()
    issuer.metadata = {"authorization_endpoint": f'https://x.example/"><script>{SCRIPT}'}
    keyrack.services.issuers._known.clear()
    assert "<script>" not in (await press(ConsoleBrowser(keyrack.http), address_of(acme))).text
    issuer.metadata = {"jwks_uri": f"{issuer.issuer}/nothing"}
    keyrack.services.issuers._known.clear()
    assert "keys of the authorization server cannot be had" in (await come_back(keyrack, issuer)).page.text


async def press(browser: ConsoleBrowser, path: str) -> Any:
    await browser.get(path)
    return await browser.post(path)


async def test_new_keys_are_fetched_and_old_ones_end(
    keyrack: World, issuer: ToldIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await (await come_back(keyrack, issuer)).is_signed_in()
    old, issuer.key = issuer.key, RSAKey.generate_key(2048, {"kid": "second"})
    monkeypatch.setattr(server_metadata, "NEWER", 0.0)  # as if the first look were long ago
    assert await (await come_back(keyrack, issuer)).is_signed_in()
    issuer.published, issuer.key = [issuer.key], old  # stolen, and taken back by its owner
    stolen = await come_back(keyrack, issuer)
    assert stolen.page.status_code == 400
    assert "a key that is not among" in stolen.page.text
    assert not await stolen.is_signed_in()


async def test_a_provider_that_is_down_or_slow_is_said_to_be(keyrack: World, issuer: ToldIssuer) -> None:
    acme = keyrack.tenants["Acme"]
    issuer.down = True
    page = await press(ConsoleBrowser(keyrack.http), address_of(acme))
    assert page.status_code == 400
    assert f"{issuer.issuer}/.well-known/openid-configuration" in page.text
    issuer.down, issuer.waits_for = False, asyncio.Event()
    keyrack.services.issuers._known.clear()
    keyrack.services.issuers._wait = 0.05
    page = await press(ConsoleBrowser(keyrack.http), address_of(acme))
    assert page.status_code == 400
    issuer.waits_for.set()
    keyrack.services.issuers._wait = 30
    browser = ConsoleBrowser(keyrack.http)
    callback = issuer.callback(await begin(browser, acme))
    issuer.down = True
    page = await browser.get(callback)
    assert page.status_code == 400
    assert "Try again" in page.text
    issuer.down = False
    assert "finished before" in (await browser.get(callback)).text  # a state is good once, whatever came of it
    assert await (await come_back(keyrack, issuer)).is_signed_in()


async def test_settings_that_are_taken_back_while_the_provider_is_asked_let_nobody_in(
    keyrack: World, issuer: ToldIssuer
) -> None:
    acme = keyrack.tenants["Acme"]
    admin, browser = await signed_in(keyrack, acme.admin, acme.id), ConsoleBrowser(keyrack.http)
    callback = issuer.callback(await begin(browser, acme))
    await admin.get(f"{SETTINGS}/delete")
    issuer.waits_for = asyncio.Event()
    coming = asyncio.create_task(browser.get(callback))
    await until(lambda: "/token" in issuer.asked)
    assert (await admin.post(f"{SETTINGS}/delete")).status_code == 303
    issuer.waits_for.set()
    assert "set up anew" in (await coming).text
    assert not await browser.is_signed_in()


async def test_a_test_shows_what_is_wrong(keyrack: World, issuer: ToldIssuer) -> None:
    acme = keyrack.tenants["Acme"]
    admin = await signed_in(keyrack, acme.admin, acme.id)
    await admin.get(SETTINGS)
    address = going_to(await admin.post(f"{SETTINGS}/test"))
    where = (await admin.get(issuer.callback(address, code="", error="access_denied"))).headers["location"]
    assert "does not work yet" in (await admin.get(where)).text
    assert "access_denied" in admin.page.text
    issuer.userinfo = {"email": "nobody@acme.example", "email_verified": True, "name": SCRIPT}
    address = going_to(await admin.post(f"{SETTINGS}/test"))
    where = (await admin.get(issuer.callback(address))).headers["location"]
    assert "Nobody here has your email address" in (await admin.get(where)).text
    assert "nobody@acme.example" in admin.page.text
    assert SCRIPT not in admin.page.text
    issuer.down = True
    keyrack.services.issuers._known.clear()
    assert "cannot be had" in (await admin.post(f"{SETTINGS}/test")).text


async def test_one_answer_delivered_many_times_begins_one_session(keyrack: World, issuer: ToldIssuer) -> None:
    browser = ConsoleBrowser(keyrack.http)
    callback = issuer.callback(await begin(browser, keyrack.tenants["Acme"]))
    copies = [ConsoleBrowser(keyrack.http) for _ in range(5)]
    for copy in copies:
        copy.cookies.update(browser.cookies)
    pages = await asyncio.gather(*(copy.get(callback) for copy in copies))
    assert sorted(page.status_code for page in pages) == [303, 400, 400, 400, 400]
    assert await sessions(keyrack) == 1
    assert len(issuer.requests) == 1


async def test_where_providers_must_be_https_and_public_no_other_is_taken(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, public_url=BASE, wrong_passwords_limit="1")) as keyrack:
        acme = keyrack.tenants["Acme"]
        admin = await signed_in(keyrack, acme.admin, acme.id)
        await admin.get(SETTINGS)
        for issuer in (
            "http://idp.example",
            "https://127.0.0.1",
            "https://localhost",
            "https://x.example?a=b",
            "x",
            "",
        ):
            fields = {"issuer": issuer, "client_id": "c", "client_auth": "none", "allows_passwords": "on"}
            page = await admin.post(SETTINGS, **fields)
            assert page.status_code == 400, issuer
            assert 'id="issuer-wrong"' in page.text
        fields = {"issuer": "https://x.example", "client_id": "", "client_auth": "x", "domains": "a b@c.example /"}
        page = await admin.post(SETTINGS, **fields)
        for name in ("client_id", "client_auth", "domains"):
            assert f'id="{name}-wrong"' in page.text
        await set_up(keyrack, acme, "http://127.0.0.1:9", client_secret=Secret("s"), domains=["acme.example"])
        browser = ConsoleBrowser(keyrack.http)
        statuses = [(await begin_by_email(browser, "x@acme.example")).status_code for _ in range(11)]
        assert statuses == [400] * 10 + [429]  # each is counted by its address
        assert "retry-after" in browser.page.headers
        assert (await press(browser, address_of(acme))).status_code == 429
