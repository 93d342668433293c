"""Whole consents in a real Chromium: what a person sees, and what the browser gives away (contract 0.7, 0.18, 20.4)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from support.app import World
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import add_oauth_client, oauth_component, query_of, seen, start, stored

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Request, Response

Start = Callable[[OidcOptions], OidcProvider]


class Shown:
    """Everything the browser asked Keyrack for and was told by it."""

    def __init__(self, page: "Page", base: str) -> None:
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self._note(self.requests, request, base))
        page.on("response", lambda response: self._note(self.responses, response, base))
        page.on("console", lambda message: self._complain(message.text, message.location["url"], base))

    def _complain(self, text: str, url: str, base: str) -> None:
        if url.startswith(base) and not url.endswith("/favicon.ico"):
            self.complaints.append(text)

    @staticmethod
    def _note(kept: list, item: object, base: str) -> None:  # type: ignore[type-arg]  # requests or responses
        if str(item.url).startswith(base):  # type: ignore[attr-defined]  # both have one
            kept.append(item)


@pytest.fixture
def provider(listening: World, start_oidc_provider: Start) -> OidcProvider:
    callback = f"{listening.settings.public_url}/callback/oauth2"
    client = RegisteredClient(redirect_uris=(callback,), token_endpoint_auth_method="client_secret_post")
    return start_oidc_provider(OidcOptions(clients=(client,), approval="forms"))


async def begin(keyrack: World, provider: OidcProvider, scopes: str = "openid offline_access", **more: Any) -> dict:  # type: ignore[type-arg]  # JSON
    descriptor = oauth_component(
        provider.authorization_endpoint, provider.token_endpoint, scopes=scopes, prompt="consent"
    )
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    client = provider.client
    await add_oauth_client(keyrack, "Globex", component_id, client.client_id, client.client_secret)
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, **more)
    assert started.status_code == 201, started.text
    data: dict[str, object] = started.json()["data"]
    return data


async def sign_in(page: "Page") -> None:
    await page.fill('input[name="login"]', "maria")
    await page.fill('input[name="password"]', "anything")
    await page.click('button[type="submit"]')
    await page.click('button[type="submit"]:has-text("Continue")')


async def test_a_consent_ends_on_our_page_which_gives_nothing_away(
    page: "Page", listening: World, provider: OidcProvider, tmp_path: Path
) -> None:
    shown = Shown(page, str(listening.settings.public_url))
    closes = asyncio.Event()
    await page.expose_function("noteThatItCloses", closes.set)
    await page.add_init_script("window.close = () => noteThatItCloses()")
    consent = await begin(listening, provider)
    await page.goto(consent["attributes"]["authorization_url"])
    await sign_in(page)
    await page.wait_for_selector("text=The account is connected")
    await asyncio.wait_for(closes.wait(), 60)
    assert (await seen(listening, "Globex", consent["id"]))["status"] == "completed"

    (answer,) = (response for response in shown.responses if "/callback/" in response.url)
    headers = await answer.all_headers()
    assert answer.status == 200
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "; HttpOnly; SameSite=Lax" in headers["set-cookie"], "so that a reload is known again (0.21)"
    assert await page.evaluate("document.cookie") == ""
    assert {urlsplit(request.url).path for request in shown.requests} <= {"/callback/oauth2", "/favicon.ico"}
    assert shown.complaints == [], "its own content security policy lets the page work"

    (credential,) = await stored(listening, "Globex")
    tokens = credential["attributes"]["keys"]["oauth"]
    given = query_of(answer.url)
    secrets = [provider.client.client_secret, given["code"], given["state"], *map(str, tokens.values())]
    content = await page.content()
    assert not [value for value in secrets if len(value) > 8 and value in content]
    await page.screenshot(path=tmp_path / "connected.png")


async def test_a_consent_ends_at_the_return_url_without_a_referrer(
    page: "Page", listening: World, provider: OidcProvider
) -> None:
    base = str(listening.settings.public_url)
    shown = Shown(page, base)
    consent = await begin(listening, provider, return_url=f"{base}/healthz?from=console")
    await page.goto(consent["attributes"]["authorization_url"])
    await sign_in(page)
    await page.wait_for_url(f"{base}/healthz?*")
    (credential,) = await stored(listening, "Globex")
    assert query_of(page.url) == {"from": "console", "credential_id": credential["id"]}
    (destination,) = (request for request in shown.requests if "/healthz" in request.url)
    assert "referer" not in await destination.all_headers(), "the callback's address holds code and state"
    assert await page.evaluate("document.referrer") == ""


async def test_cancel_shows_what_the_server_said_and_a_way_back(
    page: "Page", listening: World, provider: OidcProvider
) -> None:
    base = str(listening.settings.public_url)
    shown = Shown(page, base)
    consent = await begin(listening, provider, return_url=f"{base}/healthz")
    await page.goto(consent["attributes"]["authorization_url"])
    await page.click("text=Cancel")
    await page.wait_for_selector("text=The account was not connected")
    assert "access_denied" in await page.inner_text("main")
    assert "End-User aborted interaction" in await page.inner_text("main")
    assert await stored(listening, "Globex") == []
    await page.click("text=Go back")
    await page.wait_for_url(f"{base}/healthz")
    (destination,) = (request for request in shown.requests if request.url.endswith("/healthz"))
    assert "referer" not in await destination.all_headers()


async def test_an_unknown_state_says_what_to_do(page: "Page", listening: World) -> None:
    answer = await page.goto(f"{listening.settings.public_url}/callback/oauth2?code=c&state=<b>never-ours</b>")
    assert answer is not None
    assert answer.status == 400
    assert "start connecting again" in await page.inner_text("main")
    assert "never-ours" not in await page.content()


async def test_a_bound_consent_needs_no_javascript_and_fits_a_phone(
    browser: "Browser", listening: World, provider: OidcProvider
) -> None:
    base = str(listening.settings.public_url)
    consent = await begin(listening, provider, bound=True)
    context = await browser.new_context(
        java_script_enabled=False, color_scheme="dark", viewport={"width": 360, "height": 740}
    )
    page = await context.new_page()
    shown = Shown(page, base)
    await page.goto(consent["attributes"]["authorization_url"])
    told = await page.inner_text("main")
    assert "integrator@globex.example" in told
    assert "Globex workspace" in told
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.click("text=Continue to 127.0.0.1")
    await sign_in(page)
    await page.wait_for_selector("text=The account is connected")
    assert shown.complaints == [], "its policy lets the form lead to the provider"
    await page.reload()
    await page.wait_for_selector("text=The account is connected")
    assert (await seen(listening, "Globex", consent["id"]))["status"] == "completed"
    await context.close()
