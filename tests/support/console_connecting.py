"""An integrator who connects accounts in the console."""

import re
from typing import Any

from support.app import TenantInTest, World
from support.consent import approve
from support.console import ConsoleBrowser


class Integrator:
    """A tenant's integrator at the console; Globex' unless another is named."""

    def __init__(self, world: World, browser: ConsoleBrowser, tenant: TenantInTest | None = None) -> None:
        self.world = world
        self.tenant = tenant or world.tenants["Globex"]
        self.browser = browser
        self.path = f"/console/workspaces/{self.tenant.workspace_id}"

    def hidden(self) -> dict[str, str]:
        """Return the hidden fields of the page's form."""
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.browser.page.text)
        return {name: value for name, value in found if name != "form_token"}

    async def send(self, path: str, **fields: str) -> Any:
        return await self.browser.post(path, **{**self.hidden(), **fields})

    async def begin(self, query: str, **fields: str) -> str:
        """Fill in the form, and return the path of the consent's page."""
        page = await self.browser.get(f"{self.path}/connect?{query}")
        assert page.status_code == 200, page.text
        answer = await self.send(f"{self.path}/connect", **fields)
        assert answer.status_code == 303, answer.text
        found: str = answer.headers["location"]
        return found

    async def way(self, consent: str) -> str:
        """Return the provider's address on a consent's page."""
        page = await self.browser.get(consent)
        assert page.status_code == 200
        found = re.search(r'href="([^"]+)"[^>]*data-popup', page.text)
        assert found is not None, page.text
        return found[1].replace("&amp;", "&")

    async def come_back(self, way: str) -> Any:
        callback = await approve(way)
        return await self.browser.get(callback.removeprefix("http://keyrack.test"))
