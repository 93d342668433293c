"""Plays the demo's story, opens the console in a real browser, and writes docs/pictures; `make screenshots`."""

import asyncio
import io
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
from playwright.async_api import Browser, async_playwright
from rich.console import Console

from keyrack.demo.console_logins import Login, give_logins
from keyrack.demo.play import play_story
from keyrack.demo.servers import Scene, set_up
from keyrack.demo.story import Story

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.browser import CANDIDATES, FLAGS, program

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
MOST_BYTES = 150_000
DESK, PHONE = (1280, 800), (360, 640)


@dataclass(frozen=True)
class Picture:
    """A picture to make: its file's name, what it shows to whom, in which window and theme."""

    name: str
    path: str
    who: str = ""
    window: tuple[int, int] = DESK
    dark: bool = False


def pictures(story: Story, connect: str) -> list[Picture]:
    """Return all pictures; a path has the ids of the story."""
    admin, integrator, workspace = story.admin.name, story.integrator.name, f"/console/workspaces/{story.workspace}"
    return [
        Picture("overview-light", "/console", admin),
        Picture("overview-dark", "/console", admin, dark=True),
        Picture("oauth-client-light", f"/console/components/{story.component}", admin),
        Picture("audit-dark", "/console/audit", admin, dark=True),
        Picture("installation-light", "/console/installation", story.cast.support.name),
        Picture("connections-light", workspace, integrator),
        Picture("connection-dark", f"{workspace}/connections/{story.secret}", integrator, dark=True),
        Picture("connect-an-account-light", f"{workspace}/connect", integrator),
        Picture("overview-phone", "/console", integrator, PHONE),
        Picture("connect-page-light", connect),
        Picture("connect-page-phone-dark", connect, window=PHONE, dark=True),
    ]


async def take(browser: Browser, scene: Scene, logins: list[Login], picture: Picture) -> None:
    """Make one picture.

    Raises:
        RuntimeError: the page is none, or its picture too large.
    """
    width, height = picture.window
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
    )
    page = await context.new_page()
    if picture.who:
        (password,) = (login.password for login in logins if login.name == picture.who)
        await page.goto(f"{scene.base}/console/sign-in")
        await page.locator("[name=email]").fill(picture.who)
        await page.locator("[name=password]").fill(password)
        await page.get_by_role("button", name="Sign in", exact=True).click()
    answer = await page.goto(f"{scene.base}{picture.path}")
    if answer is None or not answer.ok:
        raise RuntimeError(f"{picture.name}: {picture.path} is no page")
    image = await page.screenshot()
    if len(image) > MOST_BYTES:
        raise RuntimeError(f"{picture.name} has {len(image)} bytes")
    (FOLDER / f"{picture.name}.png").write_bytes(image)
    print(f"{picture.name}.png: {len(image):,} bytes")
    await context.close()


async def connect_link(scene: Scene, story: Story) -> str:
    """Bring the story's client back, and return path and query of a link that asks for an account."""
    async with httpx2.AsyncClient(base_url=scene.base) as http:
        client = {
            "type": "oauth-client",
            "attributes": dict(zip(("client_id", "client_secret"), story.cast.clients["Globex"], strict=True)),
            "relationships": {"component": {"data": {"id": story.component, "type": "component"}}},
        }
        admin, integrator = ((who.name, who.api_key) for who in (story.admin, story.integrator))
        made = await http.post(f"/v2/tenants/{story.tenant}/oauth-clients", json={"data": client}, auth=admin)
        made.raise_for_status()
        link = {"type": "connect-link", "relationships": client["relationships"]}
        asked = await http.post(f"/v2/workspaces/{story.workspace}/connect-links", json={"data": link}, auth=integrator)
        asked.raise_for_status()
    address: str = asked.json()["data"]["attributes"]["url"]
    return address.removeprefix(scene.base)


async def make(scene: Scene, chromium: str) -> None:
    """Play the story and make all pictures."""
    story = await play_story(scene, Console(file=io.StringIO()), person=False, verbose=False)
    logins = list(give_logins(scene, story))
    connect = await connect_link(scene, story)
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS), chromium_sandbox=False)
        for picture in pictures(story, connect):
            await take(browser, scene, logins, picture)
        await browser.close()


def main() -> None:
    """Make the pictures, on an installation that is gone afterwards."""
    chromium = program()
    if chromium is None:
        sys.exit(f"no browser: set CHROMIUM, or install one of {', '.join(CANDIDATES)}")
    with tempfile.TemporaryDirectory(prefix="keyrack-pictures-") as folder, ExitStack() as running:
        asyncio.run(make(set_up(Path(folder), running, person=False), chromium))


if __name__ == "__main__":
    main()
