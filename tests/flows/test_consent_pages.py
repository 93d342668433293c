"""What a person sees at a callback is always a page that says what happened and what to do (issue 8.14, 9.11)."""

import html
from pathlib import Path

import httpx2
import pytest

from keyrack.errors import DatabaseUnavailable, RateLimited
from keyrack.service.consents.callbacks import ConsentCallbacks
from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, error_of, settings_for, world
from support.consent import approve, come_back, query_of, seen, start, stored
from support.grants import component_for, exchanges
from support.waits_and_faults import fail_once

CALLBACK = f"{BASE}/callback/oauth2"

BROKEN = {
    "bad encoding": "?code=%ff%fe&state=%ed%a0%80",
    "NUL": "?code=%00&state=x",
    "no query": "",
    "half a query": "?&&==&state",
    "unknown": "?code=c&state=never-ours",
    "repeated": "?code=a&code=b&state=x",
    "very long": "?code=" + "x" * 20_000,
    "brackets": "?page[size]=1&filter[state]=x",
    "an error": "?error=access_denied&state=never-ours",
}
PATHS = {
    "/callback": 404,
    "/callback/": 404,
    "/callback/oauth3": 404,
    "/callback/oauth2/more": 400,  # below it are the redirect URIs of issuers: an answer of nobody's
    "/Callback/OAuth2": 404,
    "/callback//oauth2?error=a": 400,
    "/callback/oauth2/?error=a": 400,
    "/callback/oauth1?oauth_problem=user_refused": 400,
}


def is_a_page(answer: httpx2.Response) -> bool:
    headers = answer.headers
    return bool(
        headers["content-type"].startswith("text/html")
        and headers["cache-control"] == "no-store"
        and headers["referrer-policy"] == "no-referrer"
        and "default-src 'none'" in headers["content-security-policy"]
        and "<h1>" in answer.text
    )


async def test_every_answer_is_a_page(keyrack_to_read: World, monkeypatch: pytest.MonkeyPatch) -> None:
    http = keyrack_to_read.http
    for name, query in BROKEN.items():
        for path in (CALLBACK, f"{BASE}/callback/oauth1"):
            answer = await http.get(path + query)
            assert (answer.status_code, is_a_page(answer)) == (400, True), (name, answer.text)
    for path, status in PATHS.items():
        answer = await http.get(BASE + path)
        assert (answer.status_code, is_a_page(answer)) == (status, True), (path, answer.text)
    for method in ("POST", "PUT", "DELETE", "BREW"):
        answer = await http.request(method, f"{CALLBACK}?code=c&state=s", content=b"x" * 100)
        assert (answer.status_code, is_a_page(answer)) == (405, True), method
        assert "GET" in answer.headers["allow"]
        assert "redirect" in answer.text
    failures = ((DatabaseUnavailable, 503, "Wait a moment"), (RuntimeError, 500, "our side"))
    for failure, status, says in failures:
        fail_once(monkeypatch, ConsentCallbacks, "finish", failure)
        answer = await http.get(f"{CALLBACK}?code=c&state=s", headers={"x-request-id": "ref-1"})
        assert (answer.status_code, is_a_page(answer), says in answer.text) == (status, True, True)
        assert "ref-1" in answer.text

    async def refused(*_: object, **__: object) -> None:
        raise RateLimited(7)

    monkeypatch.setattr(ConsentCallbacks, "finish", refused)
    answer = await http.get(f"{CALLBACK}?code=c&state=s")
    assert (answer.status_code, is_a_page(answer), answer.headers["retry-after"]) == (429, True, "7")


async def test_the_outermost_layer_shows_a_page_too(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(keyrack.front, "_serve", gone)
    answer = await keyrack.http.get(f"{CALLBACK}?code=c&state=s")
    assert (answer.status_code, is_a_page(answer)) == (503, True)
    assert (await keyrack.http.get("/v2/users/me")).headers["content-type"] == "application/json"


# fmt: off
OWN_WORDS = {
    "error_code=200&error_message=App+not+set+up":             ("200", "App not set up"),
    "errorCode=E17&errorMessage=Nope":                         ("E17", "Nope"),
    "error_reason=user_denied":                                ("user_denied",),
    "error=access_denied&error_reason=user_denied":            ("access_denied", "user_denied"),
    "error_msg=%3Cscript%3Ealert(1)%3C%2Fscript%3E":           ("&lt;script&gt;",),
    "error=server_error&error_description=" + "long+" * 1000:  ("server_error", "long long"),
    "error_description=Only+a+text":                           ("Only a text",),
}
# fmt: on


async def test_a_providers_own_words_are_shown(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    for query, words in OWN_WORDS.items():
        started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
        state = query_of(started["attributes"]["authorization_url"])["state"]
        for ending in (f"&state={state}", ""):
            page = await come_back(keyrack, f"{CALLBACK}?{query}{ending}")
            assert page.status_code == 400
            assert "was not connected" in page.text
            assert [word for word in words if word not in page.text] == [], query
            assert "<script>" not in page.text
            assert len(page.text) < 10_000
        ended = await seen(keyrack, "Globex", started["id"])
        assert ended["status"] == "failed"
        assert html.unescape(words[0]) in ended["error"]
    bare = await come_back(keyrack, f"{CALLBACK}?error=access_denied&error_uri=https://evil.example/phish")
    assert "did not say which connection" in bare.text
    assert "<a " not in bare.text, "whoever made that link chose what it says"
    assert exchanges(simulator) == 0


async def test_repeated_parameters_use_nothing_up(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    callback = await approve(started["attributes"]["authorization_url"])
    for more in ("&code=another", "&iss=https://a.example&iss=https://b.example"):
        page = await come_back(keyrack, callback + more)
        assert (page.status_code, "more than once" in page.text) == (400, True)
    assert (await seen(keyrack, "Globex", started["id"]))["status"] == "pending"
    same = query_of(callback)["code"]
    assert (await come_back(keyrack, f"{callback}&code={same}")).status_code == 200, "the same twice is one"


# fmt: off
RETURN_URLS = {
    f"{BASE}/konten/überblick?q=a b".replace(" ", "%20"): f"{BASE}/konten/%C3%BCberblick?q=a%20b&credential_id=",
    f"{BASE}/a#日本":                                      f"{BASE}/a?credential_id=ID#%E6%97%A5%E6%9C%AC",
    f"{BASE}/%e2%80%a8?x=😀":                              f"{BASE}/%e2%80%a8?x=%F0%9F%98%80&credential_id=",
    "HTTP://Keyrack.Test:80/done":                         "HTTP://Keyrack.Test:80/done?credential_id=",
}
# fmt: on
LINE_SEPARATOR, LONE, BIDI = "\u2028", "\ud800", "\u202e"


async def test_return_urls_are_compared_as_browsers_do_and_sent_as_uris(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    for given, expected in RETURN_URLS.items():
        started = await start(globex.integrator, globex.workspace_id, component_id, return_url=given)
        assert started.status_code == 201, (given, started.text)
        done = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
        made = {credential["id"] for credential in await stored(keyrack, "Globex")}
        location = done.headers["location"]
        assert done.status_code == 303
        assert location in {expected.replace("ID", each) for each in made} | {expected + each for each in made}
    for wrong in (f"{BASE}/a{LINE_SEPARATOR}b", f"{BASE}/{BIDI}", f"{BASE}/\u00a0", f"{BASE}/" + "ü" * 1000):
        answer = await start(globex.integrator, globex.workspace_id, component_id, return_url=wrong)
        assert error_of(answer) == (400, "validation_error", "/data/attributes/return_url"), wrong


@pytest.mark.parametrize(
    "public", ["https://Keys.Example", "https://keys.example:443", "HTTPS://KEYS.example:443/base"]
)
async def test_a_public_url_may_be_written_in_any_way(tmp_path: Path, simulator: RunningSimulator, public: str) -> None:
    async with world(settings_for(tmp_path, allow_insecure_providers="true", public_url=public)) as keyrack:
        component_id = await component_for(keyrack, simulator)
        globex = keyrack.tenants["Globex"]
        for given in ("https://keys.example/done", "https://KEYS.EXAMPLE:443/done"):
            started = await start(globex.integrator, globex.workspace_id, component_id, return_url=given)
            assert started.status_code == 201, started.text
            asked = query_of(started.json()["data"]["attributes"]["authorization_url"])
            assert asked["redirect_uri"] == f"{public}/callback/oauth2", "to the letter, as it is registered"
        foreign = await start(
            globex.integrator, globex.workspace_id, component_id, return_url="https://keys.example:8443/"
        )
        assert foreign.status_code == 400
