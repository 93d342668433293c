"""Connect links in a real Chromium: the documented example opens one in a popup and is told its end.

The example of `docs/examples/connect` runs as a process of its own, so its page has another origin than Keyrack's.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyrack.simulator.config import DEFAULT_CLIENT, Client, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import World
from support.connect_links import link_for, status_of
from support.consent import stored
from support.grants import CLIENT_ID, component_for
from support.waits_and_faults import until

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/connect/server.py"
SCRIPT = ROOT / "src/keyrack/api/static/connect.js"
MOST_BYTES = 3 * 1024
RESULT = "#result:not(:empty)"


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    """A simulator with pages, on which a person signs in and agrees or does not."""
    client = Client(client_id=CLIENT_ID, client_secret=DEFAULT_CLIENT.client_secret, redirect_match="any")
    async with running_simulator(SimulatorConfig(clients=(client,), access_log=False)) as running:
        yield running


@asynccontextmanager
async def example(keyrack: World, component_id: str) -> AsyncIterator[str]:
    """Run the documented example for a component; yield the address of its page."""
    globex = keyrack.tenants["Globex"]
    given = {
        "KEYRACK": str(keyrack.settings.public_url),
        "ME": f"{globex.integrator.name}:{globex.integrator.api_key}",
        "WORKSPACE": globex.workspace_id,
        "COMPONENT": component_id,
        "PORT": "0",
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), env={**os.environ, **given}, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        yield (await server.stdout.readline()).decode().strip()
    finally:
        server.kill()
        await server.wait()


@pytest.fixture
async def address(listening: World, simulator: RunningSimulator) -> AsyncIterator[str]:
    async with example(listening, await component_for(listening, simulator, scopes=["files.read"])) as found:
        yield found


async def popup_of(page: "Page") -> "Page":
    """Press the example's button; return the window, with the page that says who asks for what."""
    async with page.expect_popup() as opened:
        await page.click("#connect")
    popup = await opened.value
    await popup.wait_for_selector("text=Connect an account?")
    return popup


async def sign_in(popup: "Page") -> None:
    await popup.click("text=Continue to 127.0.0.1")
    await popup.fill("#login", "alice")
    await popup.fill("#password", "wonderland")
    await popup.click("button:has-text('Sign in')")


async def told(page: "Page") -> tuple[str, str | None]:
    """Return what the example says in the end, and what the window told it."""
    await page.wait_for_selector(RESULT)
    return await page.inner_text("#result"), await page.get_attribute("#result", "data-told")


def test_the_script_stays_small() -> None:
    assert len(SCRIPT.read_bytes()) < MOST_BYTES


async def test_the_script_may_be_loaded_by_any_page_and_kept(keyrack: World) -> None:
    answer = await keyrack.http.get("/connect.js")
    assert answer.status_code == 200
    assert answer.content == SCRIPT.read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "set-cookie" not in answer.headers
    for word in ("eval", "innerHTML", "Function(", "document.write", "localStorage"):
        assert word not in answer.text


async def test_the_example_connects_an_account(page: "Page", listening: World, address: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(address)
    popup = await popup_of(page)
    popup.on("console", lambda message: complaints.append(message.text))
    said = await popup.inner_text("main")
    for word in ("integrator@globex.example", "Globex workspace", "files.read"):
        assert word in said
    closes = asyncio.Event()
    popup.on("close", lambda _: closes.set())
    await sign_in(popup)
    await popup.click("button[value=allow]")
    assert await told(page) == ("Your account is connected.", "connected")
    await asyncio.wait_for(closes.wait(), 60)
    (credential,) = await stored(listening, "Globex")
    assert credential["attributes"]["keys"]["oauth"]["access_token"]
    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []


async def test_denying_is_told_and_explained(page: "Page", listening: World, address: str) -> None:
    await page.goto(address)
    popup = await popup_of(page)
    await sign_in(popup)
    await popup.click("button[value=deny]")
    assert await told(page) == ("You did not allow it. Nothing was connected.", "denied")
    assert "access_denied" in await popup.inner_text("main"), "the window stays, with the reason"
    assert await stored(listening, "Globex") == []


@pytest.mark.parametrize("when", ["at once", "at the provider"])
async def test_a_window_that_is_closed_is_noticed(page: "Page", listening: World, address: str, when: str) -> None:
    await page.goto(address)
    popup = await popup_of(page)
    if when == "at the provider":
        await sign_in(popup)
        await popup.wait_for_selector("button[value=allow]")
    await popup.close()
    said, status = await told(page)
    assert status == "closed"
    assert said.startswith("You have not finished yet.")
    assert await stored(listening, "Globex") == []


async def test_a_window_that_is_blocked_is_noticed(page: "Page", listening: World, address: str) -> None:
    await page.add_init_script("window.open = () => null")  # what a browser answers that blocks it
    await page.goto(address)
    await page.click("#connect")
    assert (await told(page))[0].startswith("Your browser blocked the window.")
    assert await stored(listening, "Globex") == []


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("'javascript:alert(1)'", "TypeError"),
        ("'data:text/html,x'", "TypeError"),
        ("'nothing'", "TypeError"),
        ("Promise.reject(new RangeError('no link'))", "RangeError"),
    ],
    ids=["script", "data", "no address", "no link"],
)
async def test_what_is_no_link_is_an_error_and_closes_the_window(
    page: "Page", address: str, link: str, name: str
) -> None:
    await page.goto(address)
    assert await page.evaluate(f"KeyrackConnect.open({link}).catch((error) => error.name)") == name
    await until(lambda: len(page.context.pages) == 1)


async def test_messages_of_other_pages_are_not_believed(page: "Page", address: str) -> None:
    await page.goto(address)
    popup = await popup_of(page)
    lie = {"type": "keyrack-connect", "status": "connected", "credential_id": "forged"}
    await page.evaluate("(lie) => window.postMessage(lie, '*')", lie)
    await popup.goto(address)  # the window, at another origin than the link's
    await popup.evaluate("(lie) => window.opener.postMessage(lie, '*')", lie)
    await popup.close()
    assert (await told(page))[1] == "closed"


async def test_another_origin_is_told_nothing(
    page: "Page", listening: World, simulator: RunningSimulator, address: str
) -> None:
    """A page that has got hold of a link, and opens it in a window of its own, does not learn what comes of it."""
    simulator.state.set_defaults({"approval": "auto"})
    link = await link_for(
        listening, await component_for(listening, simulator, name="other"), opener_origin="https://app.customer.example"
    )
    await page.goto(address)
    await page.evaluate("() => { window.heard = []; addEventListener('message', (e) => heard.push(e.data)) }")
    async with page.expect_popup() as opened:
        await page.evaluate("(url) => { window.open(url) }", link["attributes"]["url"])
    popup = await opened.value
    await popup.click("text=Continue to 127.0.0.1")
    await popup.wait_for_selector("text=The account is connected")
    assert await status_of(listening, link["id"]) == "connected"
    assert await page.evaluate("heard") == []


async def test_two_tabs_and_a_reload_connect_once(
    browser: "Browser", listening: World, simulator: RunningSimulator
) -> None:
    link = await link_for(listening, await component_for(listening, simulator))
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    first, second = await context.new_page(), await context.new_page()
    for tab in (first, second):
        await tab.goto(link["attributes"]["url"])
    await sign_in(first)
    await second.click("text=Continue to 127.0.0.1")
    await first.click("button[value=allow]")
    await first.wait_for_selector("text=The account is connected")
    await second.reload()
    await second.goto(link["attributes"]["url"])
    assert "This link is not valid" in await second.inner_text("main")
    assert len(await stored(listening, "Globex")) == 1
    await context.close()


async def test_a_phone_without_javascript_is_enough_and_ends_at_the_return_url(
    browser: "Browser", listening: World, simulator: RunningSimulator
) -> None:
    base = str(listening.settings.public_url)
    component_id = await component_for(listening, simulator, scopes=["<script>alert(1)</script>", "s" * 1_000])
    link = await link_for(listening, component_id, return_url=f"{base}/healthz")
    context = await browser.new_context(
        java_script_enabled=False, color_scheme="dark", viewport={"width": 360, "height": 740}
    )
    context.set_default_timeout(60_000)
    page = await context.new_page()
    await page.goto(link["attributes"]["url"])
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    simulator.state.set_defaults({"approval": "auto"})
    await page.click("text=Continue to 127.0.0.1")
    await page.wait_for_url(f"{base}/healthz?*")
    assert f"connect_link_id={link['id']}" in page.url
    assert await status_of(listening, link["id"]) == "connected"
    await context.close()


async def test_who_opened_it_without_a_page_goes_on_to_the_return_url(
    page: "Page", listening: World, simulator: RunningSimulator
) -> None:
    base = str(listening.settings.public_url)
    simulator.state.set_defaults({"approval": "auto"})
    link = await link_for(
        listening,
        await component_for(listening, simulator),
        opener_origin="https://app.customer.example",
        return_url=f"{base}/healthz",
    )
    await page.goto(link["attributes"]["url"])
    await page.click("text=Continue to 127.0.0.1")
    await page.wait_for_url(f"{base}/healthz?*")
    assert "credential_id=" in page.url
