"""The interactive page at /docs works from Keyrack alone: no other host, no authentication, a strict content policy."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx2

from keyrack.api.core.openapi import SECTIONS
from support.app import BASE, World
from support.keyrack_processes import Served
from support.loopback_peers import proxying

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Page, Request


async def test_page_and_its_files_need_no_key_and_name_no_other_host(keyrack: World) -> None:
    for path in ("/docs", "/docs/"):
        page = await keyrack.http.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for path in ("/docs", "/docs/"):
        page = await keyrack.http.get(path)
        addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)
        assert len(addresses) >= 5
        for address in addresses:
            await is_served(keyrack, path, address)


async def is_served(keyrack: World, page: str, address: str) -> None:
    assert not address.startswith("/"), "relative, so that it works under a proxy's path"
    answer = await keyrack.http.get(urljoin(f"{BASE}{page}", address))
    assert answer.status_code == 200, address
    assert answer.headers["x-content-type-options"] == "nosniff"
    if address.endswith(".js"):
        assert answer.headers["content-type"].startswith("text/javascript")
    if address.endswith(".css"):
        assert answer.headers["content-type"].startswith("text/css")


async def test_no_other_file_is_served(keyrack: World) -> None:
    for name, status in {
        "docs.html": 404,
        "index.html": 404,
        "..%2f__init__.py": 404,
        "..": 404,
        "swagger-ui.js": 404,
        "%00": 404,
        "docs.js%00": 404,
        "x" * 10_000: 404,
    }.items():
        answer = await keyrack.http.get(f"/docs/{name}")
        assert answer.status_code == status, name
        assert "errors" in answer.json()
    assert (await keyrack.http.post("/docs")).status_code == 405


async def test_a_browser_shows_it_and_tries_a_call(served: Served, page: "Page") -> None:
    await is_shown_and_tried(page, served.base, served.admin)


async def test_a_browser_does_so_under_a_path_of_a_proxy(served: Served, page: "Page") -> None:  # contract section 1
    async with proxying(served.base, "/some/where") as proxy:
        await is_shown_and_tried(page, proxy.base, served.admin)
        assert "GET /some/where/v2/users/me" in proxy.requests
        assert {line for line in proxy.requests if " /some/where/" not in line} == set()


async def is_shown_and_tried(page: "Page", base: str, admin: tuple[str, str]) -> None:
    said: list[str] = []
    asked: list[str] = []

    def on_console(message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    def on_request(request: "Request") -> None:
        asked.append(request.url)

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(f"{base}/docs")
    await page.get_by_role("heading", name="Keyrack", level=1).wait_for()
    await sign_in(page, admin)
    await page.locator('a[href^="#/"]', has_text="Users").first.click()
    operation = page.locator(".opblock", has=page.locator('[data-path="/v2/users/me"]'))
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Execute").click()
    await operation.locator(".live-responses-table").get_by_text(admin[0]).wait_for()
    assert said == []
    assert asked
    assert [url for url in asked if not url.startswith((f"{base}/", "data:"))] == []


async def sign_in(page: "Page", account: tuple[str, str]) -> None:
    await page.get_by_role("button", name="Authorize").click()
    await page.locator(".auth-container").get_by_text("Password: an API key").wait_for()
    await page.locator('input[name="username"]').fill(account[0])
    await page.locator('input[name="password"]').fill(account[1])
    await page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    await page.locator(".auth-btn-wrapper").get_by_role("button", name="Close").click()


async def test_a_browser_begins_with_oauth_clients_and_sends_an_example(served: Served, page: "Page") -> None:
    first, auth = served.first, httpx2.BasicAuth(*served.admin)
    team = {"team": {"data": {"id": first["team_id"], "type": "team"}}}
    body = {"data": {"type": "component", "attributes": {"name": "pizza-van"}, "relationships": team}}
    made = httpx2.post(f"{served.base}/v2/components", json=body, auth=auth).json()["data"]["id"]
    await page.goto(f"{served.base}/docs")
    sections = page.locator(".opblock-tag")
    await sections.first.wait_for()
    assert await sections.first.get_attribute("data-tag") == "OAuth clients"
    assert await sections.count() == len(SECTIONS)
    await sections.first.click()
    await sign_in(page, served.admin)
    operation = page.locator(".opblock-post").first
    await operation.locator(".opblock-summary-control").click()
    await operation.locator('input[placeholder="tenant_id"]').fill(first["tenant_id"])
    example = operation.locator("textarea.body-param__text")
    await example.fill((await example.input_value()).replace("COMPONENT_ID", made))
    await operation.get_by_role("button", name="Execute").click()
    await operation.locator(".live-responses-table .response-col_status", has_text="201").wait_for()
    listed = httpx2.get(f"{served.base}/v2/tenants/{first['tenant_id']}/oauth-clients", auth=auth).json()["data"]
    assert [client["relationships"]["component"]["data"]["id"] for client in listed] == [made]


async def test_tools_find_the_api_beside_its_description(served: Served) -> None:
    async with proxying(served.base, "/some/where") as proxy, httpx2.AsyncClient() as http:
        address = f"{proxy.base}/openapi.json"
        (server,) = (await http.get(address)).json()["servers"]
        answer = await http.get(urljoin(address, server["url"] + "/v2/users/me"), auth=served.admin)
        assert answer.json()["data"]["attributes"]["email"] == served.admin[0]
        assert (await http.head(f"{proxy.base}/docs/")).status_code == 200
