import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec
import pytest

from keyrack.crypto.secret import Secret
from keyrack.simulator.config import Client, is_redirect_uri

CALLBACK = "http://127.0.0.1:1/callback"
Driver = Any


def fields_of(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))


async def open_page(driver: Driver, **more: str) -> aiohttp.ClientResponse:
    params = {"response_type": "code", "client_id": driver.client_id, "redirect_uri": CALLBACK, "state": "s1", **more}
    answer: aiohttp.ClientResponse = await driver.http.get(
        driver.sim.authorization_endpoint, params=params, allow_redirects=False
    )
    await answer.read()
    return answer


async def post(driver: Driver, path: str, **form: str) -> aiohttp.ClientResponse:
    answer: aiohttp.ClientResponse = await driver.http.post(
        driver.sim.base_url + path, data=form, allow_redirects=False
    )
    await answer.read()
    return answer


async def sign_in(driver: Driver, **more: str) -> dict[str, str]:
    """Sign in and return the fields of the consent form."""
    login = fields_of(await (await open_page(driver, **more)).text())
    answer = await post(driver, "/login", **login, login="alice", password="wonderland")
    assert answer.status == 303
    page = await driver.http.get(driver.sim.base_url + answer.headers["Location"])
    assert page.status == 200
    return fields_of(await page.text())


async def test_login_consent_and_back_with_a_code(pages: Driver) -> None:
    consent = await sign_in(pages, scope="read")
    answer = await post(pages, "/consent", **consent, decision="allow")
    assert answer.status == 303
    callback = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert callback["state"] == "s1"
    assert callback["iss"] == pages.sim.base_url
    status, tokens = await pages.exchange(callback["code"])
    assert (status, tokens["scope"]) == (200, "read")
    assert (await post(pages, "/consent", **consent, decision="allow")).status == 400


async def test_who_is_signed_in_goes_straight_to_consent(pages: Driver) -> None:
    await sign_in(pages)
    assert "Allow" in await (await open_page(pages)).text()
    assert 'name="password"' in await (await open_page(pages, prompt="login")).text()


async def test_two_tabs_sign_in_once(pages: Driver) -> None:
    other = fields_of(await (await open_page(pages)).text())
    await sign_in(pages)
    page = await pages.http.get(f"{pages.sim.base_url}/consent", params={"request": other["request"]})
    allowed = await post(pages, "/consent", **fields_of(await page.text()), decision="allow")
    assert "code=" in allowed.headers["Location"]


async def test_denial_on_the_page(pages: Driver) -> None:
    answer = await post(pages, "/consent", **await sign_in(pages), decision="deny")
    assert "error=access_denied" in answer.headers["Location"]


async def test_wrong_password(pages: Driver) -> None:
    login = fields_of(await (await open_page(pages)).text())
    answer = await post(pages, "/login", **login, login="alice", password="nope")
    assert answer.status == 401
    assert "do not go together" in await answer.text()
    consent = await post(pages, "/consent", **login, decision="allow")
    assert consent.status == 400


async def test_forged_forms_are_refused(pages: Driver) -> None:
    consent = await sign_in(pages)
    for broken in ({**consent, "form_token": "x"}, {"request": consent["request"]}, {**consent, "request": "x"}):
        assert (await post(pages, "/consent", **broken, decision="allow")).status == 400
    async with aiohttp.ClientSession() as stranger:
        url = f"{pages.sim.base_url}/consent"
        async with stranger.post(url, data={**consent, "decision": "allow"}, allow_redirects=False) as answer:
            assert answer.status == 400
        async with stranger.get(url, params={"request": consent["request"]}) as answer:
            assert answer.status == 400
    assert "code=" in (await post(pages, "/consent", **consent, decision="allow")).headers["Location"]


async def test_the_session_id_changes_at_login(pages: Driver) -> None:
    login = fields_of(await (await open_page(pages)).text())
    (planted,) = pages.sim.state.sessions
    await post(pages, "/login", **login, login="alice", password="wonderland")
    assert planted not in pages.sim.state.sessions


async def test_pages_run_no_script_and_load_nothing(pages: Driver) -> None:
    answer = await open_page(pages)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    html = await answer.text()
    style = html.split("<style>")[1].split("</style>")[0]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert "<script" not in html
    assert "http://" not in html.split("</style>")[1].replace(CALLBACK, "")
    assert "&#" not in html.split("</style>")[0]
    assert "wonderland" in html
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_hostile_names_are_escaped(pages: Driver) -> None:
    hostile = "<script>alert(1)</script>\"'"
    pages.sim.state.put_client(
        Client(client_id="h", client_secret=Secret("x"), name=hostile, redirect_match="loopback")
    )
    pages.client_id = "h"
    assert "<script" not in await (await open_page(pages, login_hint=hostile)).text()
    await sign_in(pages)
    assert "<script" not in await (await open_page(pages, scope=hostile)).text()


async def test_prompt_none_never_shows_a_page(pages: Driver) -> None:
    assert (await pages.authorize(prompt="none"))["error"] == "login_required"
    await sign_in(pages)
    assert (await pages.authorize(prompt="none"))["error"] == "consent_required"
    assert "code" in await pages.authorize(prompt="none", sim="approval:auto")


async def test_automatic_approval_per_client(pages: Driver) -> None:
    state = pages.sim.state
    state.put_client(msgspec.structs.replace(state.client(pages.client_id), behaviour={"approval": "auto"}))
    assert "code" in await pages.authorize()


async def test_unknown_client_is_a_page(pages: Driver) -> None:
    answer = await open_page(pages, client_id="nobody")
    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("match", "uri", "allowed"),
    [
        ("exact", "https://app.example/cb", True),
        ("exact", "https://app.example/cb/", False),
        ("exact", "https://app.example/cb?x=1", False),
        ("exact", "http://127.0.0.1/cb", False),
        ("loopback", "http://127.0.0.1:81/cb", True),
        ("loopback", "http://localhost/cb", True),
        ("loopback", "http://[::1]:5/cb", True),
        ("loopback", "https://app.example/cb", True),
        ("loopback", "https://evil.example/cb", False),
        ("loopback", "http://127.0.0.1@evil.example/cb", False),
        ("any", "https://evil.example/cb", True),
        ("any", "https://evil.example/cb#f", False),
        ("any", "https://evil.example/\r\nX: 1", False),
        ("any", "javascript:alert(1)", False),
        ("any", "app:/cb", False),
        ("any", "/cb", False),
        ("any", "", False),
    ],
)
async def test_redirect_uri_rules(pages: Driver, match: Any, uri: str, *, allowed: bool) -> None:
    uris = ("https://app.example/cb", "https://app.example/second")
    client = Client(
        client_id="r",
        client_secret=Secret("x"),
        redirect_uris=uris,
        redirect_match=match,
        behaviour={"approval": "auto"},
    )
    pages.sim.state.put_client(client)
    answer = await open_page(pages, client_id="r", redirect_uri=uri)
    assert answer.status == (302 if allowed else 400)
    assert answer.headers.get("Location", "").startswith(uri if allowed else "")


async def test_query_of_the_redirect_uri_is_kept(pages: Driver) -> None:
    answer = await open_page(pages, redirect_uri=CALLBACK + "?keep=1", sim="approval:auto")
    assert answer.headers["Location"].startswith(CALLBACK + "?keep=1&code=")


async def test_repeated_parameters_are_refused(pages: Driver) -> None:
    url = f"{pages.sim.authorization_endpoint}?client_id=a&client_id=b"
    async with pages.http.get(url) as answer:
        assert answer.status == 400


async def test_response_type(pages: Driver) -> None:
    assert (await pages.authorize(response_type="token"))["error"] == "unsupported_response_type"
    assert (await pages.authorize(response_type=""))["error"] == "invalid_request"


async def test_start_page(pages: Driver) -> None:
    async with pages.http.get(pages.sim.base_url + "/") as answer:
        assert answer.status == 200
        assert pages.sim.token_endpoint in await answer.text()


def test_redirect_uri_schemes() -> None:
    assert is_redirect_uri("com.example.app:/cb")
    assert not is_redirect_uri("data:text/html,x")
    assert not is_redirect_uri("http://[::1/cb")
