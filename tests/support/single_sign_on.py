"""Single sign-on in tests: settings, the way through a provider, and a provider that says what a test wants."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from keyrack.crypto.secret import Secret
from keyrack.model.single_sign_on import SingleSignOn
from keyrack.store.single_sign_on import SingleSignOnRows
from support.app import BASE, TenantInTest, World
from support.authorization_servers import RegisteredClient
from support.console import ConsoleBrowser

SETTINGS = "/console/settings/single-sign-on"
_REFRESH = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"')


def address_of(tenant: TenantInTest) -> str:
    return f"/console/sign-in/{tenant.id}"


def client_of(tenant: TenantInTest, base: str = BASE, **more: Any) -> RegisteredClient:
    """Return the client that a tenant has registered at its provider."""
    own = f"{base}{address_of(tenant)}"
    more.setdefault("more", {"post_logout_redirect_uris": [own]})
    return RegisteredClient(f"client-of-{tenant.id}", redirect_uris=(f"{own}/callback",), **more)


async def set_up(world: World, tenant: TenantInTest, issuer: str, **more: Any) -> None:
    """Store how a tenant signs in, as its admin would."""
    client = client_of(tenant)
    now = world.store.clock()
    values: dict[str, Any] = {
        "issuer": issuer, "client_id": client.client_id, "client_auth": client.token_endpoint_auth_method,
        "client_secret": Secret(client.client_secret), "domains": (), "creates_users": False, "allows_passwords": True,
    }  # fmt: skip
    async with world.store.unit(tenant.id, writes=True) as unit:
        await SingleSignOnRows(unit).put(
            SingleSignOn(id="", tenant_id=tenant.id, created_at=now, updated_at=now, **{**values, **more})
        )


def going_to(page: httpx2.Response) -> str:
    """Return where a page sends the browser."""
    found = _REFRESH.search(page.text)
    assert found is not None, page.text
    return html.unescape(found[1])


async def through(address: str, there: httpx2.AsyncClient | None = None) -> str:
    """Go through `oidc-provider`, which asks nothing; return the callback's path and query.

    Args:
        address: where it begins.
        there: keeps the provider's cookies for whoever goes on with them.
    """
    callback = dict(parse_qsl(urlsplit(address).query))["redirect_uri"]
    async with nullcontext(there) if there is not None else httpx2.AsyncClient() as browser:
        response = await browser.get(address)
        for _ in range(10):
            location = urljoin(str(response.url), response.headers["location"])
            if location.startswith(callback):
                parts = urlsplit(location)
                return f"{parts.path}?{parts.query}"
            response = await browser.get(location)
    raise AssertionError("the sign-in never came back")


async def begin(browser: ConsoleBrowser, tenant: TenantInTest, **query: str) -> str:
    """Press the button of the tenant's own page; return where that leads."""
    path = f"{address_of(tenant)}{'?' if query else ''}{urlencode(query)}"
    await browser.get(path)
    return going_to(await browser.post(path))


async def begin_by_email(browser: ConsoleBrowser, email: str) -> httpx2.Response:
    await browser.get("/console/sign-in/organisation")
    return await browser.post("/console/sign-in/organisation", email=email)


async def sign_in_by_email(world: World, email: str) -> ConsoleBrowser:
    """Sign in at `oidc-provider` by an email that is its `login_hint`; the browser's page is what came of it."""
    browser = ConsoleBrowser(world.http)
    await browser.get(await through(going_to(await begin_by_email(browser, email))))
    return browser


class ToldIssuer:
    """A provider whose every word a test can choose; nobody signs in, codes are good for all.

    Attributes:
        claims: of the ID token, beside what is right by itself; None leaves one out.
        userinfo: what it tells of the person.
        metadata: what it says of itself beside what is right; None leaves a member out.
        key: what it signs with.
        published: the keys that it shows; None: `key`.
        requests: forms of the token endpoint.
        token_answer: in place of a right one.
        sign: makes the ID token in its own way.
        waits_for: what it waits for before each answer.
        down: answers 503 to everything.
        asked: paths of all requests.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.key = RSAKey.generate_key(2048, {"kid": "first"})
        self.published: list[RSAKey] | None = None
        self.requests: list[dict[str, str]] = []
        self.token_answer: web.Response | None = None
        self.sign: Callable[[dict[str, Any]], str] | None = None
        self.waits_for: asyncio.Event | None = None
        self.down = False
        self.asked: list[str] = []
        self._nonce = ""
        self._client_id = ""

    def callback(self, address: str, **params: str) -> str:
        """Return the callback of a sign-in whose authorization request is `address`."""
        asked = dict(parse_qsl(urlsplit(address).query))
        self._nonce, self._client_id = asked["nonce"], asked["client_id"]
        given = {"state": asked["state"], "code": "a-code", "iss": self.issuer, **params}
        kept = {name: value for name, value in given.items() if value}
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(kept)}"

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_get("/me", self._me)
        app.middlewares.append(self._noted)
        return app

    @web.middleware
    async def _noted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.waits_for is not None:
            await self.waits_for.wait()
        if self.down:
            return web.Response(status=503)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _metadata(self, _request: web.Request) -> web.Response:
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/me",
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(_without_none(right | self.metadata))

    async def _jwks(self, _request: web.Request) -> web.Response:
        keys = [self.key] if self.published is None else self.published
        return web.json_response({"keys": [key.as_dict(private=False) for key in keys]})

    async def _token(self, request: web.Request) -> web.Response:
        self.requests.append({name: str(value) for name, value in (await request.post()).items()})
        if self.token_answer is not None:
            return self.token_answer
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": self._client_id, "sub": "subject-1", "nonce": self._nonce,
            "iat": now, "exp": now + 300,
        }  # fmt: skip
        said = _without_none(claims | self.claims)
        token = self._signed(said) if self.sign is None else self.sign(said)
        return web.json_response({"access_token": "at", "token_type": "Bearer", "id_token": token})

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key, algorithms=["RS256"])

    async def _me(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer at"
        return web.json_response({"sub": "subject-1"} | self.userinfo)


@asynccontextmanager
async def told_issuer() -> AsyncIterator[ToldIssuer]:
    """Serve one on loopback."""
    made = ToldIssuer()
    runner = web.AppRunner(made.application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        made.issuer = f"http://127.0.0.1:{port}"
        yield made
    finally:
        await runner.cleanup()


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
