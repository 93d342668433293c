"""People at the console: passwords for them, and a browser without scripts that keeps the console's cookie."""

import re
from typing import TYPE_CHECKING, Any

import httpx2
from argon2 import PasswordHasher
from sqlalchemy import insert

from keyrack.console.core.session_cookie import SessionCookie
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.service.identity.console_sign_in import session_hash
from keyrack.store.schema import console_sessions
from keyrack.store.users import UserRows
from support.app import Caller, TenantInTest, World

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

PASSWORD = "correct horse battery staple"
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Of the password, quickly; how it is checked is in the hash."""
OURS = {"sec-fetch-site": "same-origin"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


async def give_password(world: World, tenant: TenantInTest, who: Caller) -> None:
    """Let somebody sign in with `PASSWORD`."""
    async with world.store.unit(tenant.id, writes=True) as unit:
        await UserRows(unit).set_password(who.id, HASHED)


class ConsoleBrowser:
    """Somebody's browser without scripts.

    Attributes:
        cookies: what it keeps, by name.
        page: the last answer.
    """

    def __init__(self, http: httpx2.AsyncClient, user_agent: str = FIREFOX) -> None:
        self._http = http
        self._headers = {"user-agent": user_agent, "accept": "text/html"}
        self.cookies: dict[str, str] = {}
        self.page = httpx2.Response(200)
        self._token = ""

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self._asked("GET", path, headers)

    async def post(self, path: str, headers: dict[str, str] | None = None, /, **fields: str) -> httpx2.Response:
        """Send a form with the token of the last page that had one, unless another one is given."""
        fields = {"form_token": self._token, **fields}
        return await self._asked("POST", path, OURS if headers is None else headers, data=fields)

    async def post_in_parts(self, path: str, headers: dict[str, str], /, **fields: str) -> httpx2.Response:
        """Send a form as one with files is sent."""
        fields = {"form_token": self._token, **fields}
        return await self._asked("POST", path, headers, files={name: (None, text) for name, text in fields.items()})

    async def sign_in(self, email: str, password: str = PASSWORD, path: str = "/console/sign-in") -> httpx2.Response:
        await self.get(path)
        return await self.post(path, email=email, password=password)

    async def is_signed_in(self) -> bool:
        return (await self.get("/console")).status_code == 200

    async def _asked(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx2.Response:
        said = self._headers | headers
        if self.cookies:
            said["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self._http.request(method, path, headers=said, follow_redirects=False, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        self.page = answer
        if (token := _TOKEN.search(answer.text)) is not None:
            self._token = token[1]
        return answer


async def signed_in(world: World, who: Caller, tenant_id: str) -> ConsoleBrowser:
    """Return a browser in which somebody is signed in, without the form; without a tenant it is a service account."""
    browser, token = ConsoleBrowser(world.http), Secret(new_id() + "A" * 19)
    now = world.store.clock()
    owner = "user_id" if tenant_id else "service_account_id"
    row = {
        "id": new_id(), "tenant_id": tenant_id, owner: who.id, "session_hash": session_hash(token),
        "address": None, "browser": FIREFOX, "created_at": now, "seen_at": now,
    }  # fmt: skip
    unit_of = world.store.unit(tenant_id, writes=True) if tenant_id else world.store.installation(writes=True)
    async with unit_of as unit:
        await unit.connection.execute(insert(console_sessions).values(row))
    cookie = SessionCookie(token, secure=True)
    name, _, value = cookie.header()["set-cookie"].partition(";")[0].partition("=")
    browser.cookies[name] = value
    return browser


async def sign_in_context(context: "BrowserContext", world: World, who: Caller, tenant_id: str) -> None:
    """Let a real browser's context be one in which somebody is signed in, as `signed_in`; the world listens."""
    (value,) = (await signed_in(world, who, tenant_id)).cookies.values()
    await context.add_cookies([{"name": "keyrack-console", "value": value, "url": str(world.settings.public_url)}])
