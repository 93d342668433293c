from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from keyrack.simulator.config import DEFAULT_CLIENT, SimulatorConfig, automatic
from keyrack.simulator.testing import RunningSimulator, running_simulator

CALLBACK = "http://127.0.0.1:1/callback"


@dataclass
class Driver:
    """Plays the OAuth client over real HTTP."""

    sim: RunningSimulator
    http: aiohttp.ClientSession
    client_id: str = DEFAULT_CLIENT.client_id
    client_secret: str = DEFAULT_CLIENT.client_secret.reveal()

    def behave(self, **behaviour: Any) -> None:
        self.sim.state.set_defaults({"approval": "auto", **behaviour})

    async def authorize(self, **more: str) -> dict[str, str]:
        given = {"response_type": "code", "client_id": self.client_id, "redirect_uri": CALLBACK, "state": "s1"}
        params = {name: value for name, value in {**given, **more}.items() if value}
        async with self.http.get(self.sim.authorization_endpoint, params=params, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            location = answer.headers["Location"]
        assert location.startswith(CALLBACK)
        return dict(parse_qsl(urlsplit(location).query))

    async def token(self, *, sim: str = "", auth: bool = True, **form: str) -> tuple[int, Any]:
        async with self.token_call(sim=sim, auth=auth, **form) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else await answer.text()

    def token_call(self, *, sim: str = "", auth: bool = True, **form: str) -> Any:
        credentials = {"client_id": self.client_id, "client_secret": self.client_secret} if auth else {}
        return self.http.post(
            self.sim.token_endpoint,
            params={"sim": sim} if sim else None,
            data={**credentials, **form},
            allow_redirects=False,
        )

    async def exchange(self, code: str, **more: Any) -> tuple[int, Any]:
        return await self.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **more)

    async def refresh(self, refresh_token: str, **more: Any) -> tuple[int, Any]:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **more)

    async def connect(self, **more: str) -> dict[str, Any]:
        status, answer = await self.exchange((await self.authorize(**more))["code"])
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    async def works(self, access_token: str) -> bool:
        headers = {"Authorization": f"Bearer {access_token}"}
        async with self.http.get(f"{self.sim.base_url}/api/me", headers=headers) as answer:
            assert answer.status in {200, 401}
            return answer.status == 200

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        document = body if body is not None or method in {"GET", "DELETE"} else {}
        async with self.http.request(method, f"{self.sim.base_url}/_sim{path}", json=document) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        running_simulator(automatic(SimulatorConfig())) as sim,
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        yield Driver(sim, http)


@pytest.fixture
async def pages() -> AsyncIterator[Driver]:
    """The same without automatic approval."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with running_simulator() as sim, aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Driver(sim, http)
