"""The simulator's OAuth 1.0a, signed by oauthlib's client: pages, what works once, and what is refused."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from oauthlib.oauth1 import Client

CALLBACK = "http://127.0.0.1:1/callback"
Driver = Any


async def ask(driver: Driver, path: str, method: str = "POST", **signer: str) -> tuple[int, dict[str, str]]:
    signed = Client(driver.client_id, **{"client_secret": "simulator-secret", **signer})
    uri, headers, _ = signed.sign(driver.sim.base_url + path, http_method=method)
    answer = await driver.http.request(method, uri, headers=headers)
    return answer.status, dict(parse_qsl(await answer.text()))


def fields_of(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))


async def decide(driver: Driver, token: str, decision: str) -> dict[str, str]:
    page = await driver.http.get(f"{driver.sim.base_url}/oauth1/authorize?oauth_token={token}")
    login = {**fields_of(await page.text()), "login": "alice", "password": "wonderland"}
    page = await driver.http.post(f"{driver.sim.base_url}/login", data=login)
    consent = {**fields_of(await page.text()), "decision": decision}
    answer = await driver.http.post(f"{driver.sim.base_url}/consent", data=consent, allow_redirects=False)
    assert answer.headers["Location"].startswith(CALLBACK)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


async def test_temporary_credentials_become_token_credentials_once(pages: Driver) -> None:
    status, temporary = await ask(pages, "/oauth1/request_token", callback_uri=CALLBACK)
    assert (status, temporary["oauth_callback_confirmed"]) == (200, "true")
    pair = {"resource_owner_key": temporary["oauth_token"], "resource_owner_secret": temporary["oauth_token_secret"]}
    assert (await ask(pages, "/oauth1/access_token", **pair, verifier="x" * 24))[0] == 401, "nobody has authorized"
    callback = await decide(pages, temporary["oauth_token"], "allow")
    assert callback["oauth_token"] == temporary["oauth_token"]
    assert (await ask(pages, "/oauth1/access_token", **pair, verifier="x" * 24))[0] == 401
    verifier = callback["oauth_verifier"]
    status, tokens = await ask(pages, "/oauth1/access_token?sim=extra_members:user_id=7", **pair, verifier=verifier)
    assert (status, tokens["user_id"]) == (200, "7")
    assert (await ask(pages, "/oauth1/access_token", **pair, verifier=verifier))[0] == 401, "used up"
    mine = {"resource_owner_key": tokens["oauth_token"], "resource_owner_secret": tokens["oauth_token_secret"]}
    assert await ask(pages, "/oauth1/me", "GET", **mine) == (200, {"login": "alice"})
    assert (await ask(pages, "/oauth1/me", "GET", **(mine | {"resource_owner_secret": "x"})))[0] == 401


async def test_a_person_who_says_no_comes_back_with_denied(pages: Driver) -> None:
    _, temporary = await ask(pages, "/oauth1/request_token", callback_uri=CALLBACK)
    token = temporary["oauth_token"]
    assert await decide(pages, token, "deny") == {"denied": token}


@pytest.mark.parametrize(
    ("signer", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"callback_uri": "https://not-registered.example/"}, 401),
        ({"nonce": "short"}, 400),
        ({"timestamp": "1000000000"}, 400),
    ],
)
async def test_bad_requests_are_refused(pages: Driver, signer: dict[str, str], status: int) -> None:
    assert (await ask(pages, "/oauth1/request_token", **{"callback_uri": CALLBACK, **signer}))[0] == status


async def test_a_request_counts_once(pages: Driver) -> None:
    signed = Client(pages.client_id, client_secret="simulator-secret", callback_uri=CALLBACK)
    uri, headers, _ = signed.sign(f"{pages.sim.base_url}/oauth1/request_token", http_method="POST")
    assert [(await pages.http.post(uri, headers=headers)).status for _ in range(2)] == [200, 401]


async def test_what_is_unknown_or_unsigned_is_refused(pages: Driver) -> None:
    assert (await pages.http.get(f"{pages.sim.base_url}/oauth1/authorize?oauth_token=unknown")).status == 400
    assert (await pages.http.post(f"{pages.sim.base_url}/oauth1/request_token")).status == 400
    odd = {"Authorization": "OAuth oauth_consumer_key=x, broken"}
    assert (await pages.http.post(f"{pages.sim.base_url}/oauth1/request_token", headers=odd)).status == 400
