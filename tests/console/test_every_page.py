"""Every page of the console, and those that people without an account see, in a browser, full of hostile names.

Nothing serious for who uses a keyboard or a screen reader (axe-core), nothing wider than the window, nothing that runs
or looks like markup because somebody chose such a name; in light and dark, on a desk and on a phone, and without
JavaScript. A new page is visited without a line here, see `support.console_pages`.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from keyrack.store.schema import service_accounts
from support.app import Caller, World
from support.axe import grave_faults
from support.consent import start
from support.console import signed_in
from support.console_pages import address, admins_pages, operators_pages, set_up_sign_on
from support.hostile import MARK, make_hostile
from support.running import listening_as
from support.secrets import resource
from support.tenancy.estate import build_estate

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 640}
TOO_WIDE = """
() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .slice(-3).map(each => each.outerHTML.slice(0, 120))
"""
AS_ITS_READERS_SEE_IT = {"/console/settings/connect-page/preview"}
"""Pages of the console that look as if they were none."""
TAKEN = f"() => [window.hostile === undefined, document.querySelectorAll('[{MARK}]').length]"


@dataclass
class Scene:
    """An installation with one of everything.

    Attributes:
        ids: what a path may name.
        public: pages for people who are not signed in, by what they are.
        page: the browser of somebody who may see everything of the tenant.
        operators: that of a service account with every permission.
    """

    world: World
    ids: dict[str, str]
    public: dict[str, str]
    page: "Page"
    operators: "Page"

    async def open(self, path: str, page: "Page | None" = None) -> int:
        answer = await (page or self.page).goto(f"{self.world.settings.public_url}{path}")
        assert answer is not None
        return answer.status


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, browser: "Browser") -> AsyncIterator[Scene]:
    async with listening_as("127.0.0.1", tmp_path_factory.mktemp("pages")) as world:
        made, acme = await build_estate(world, "Acme"), world.tenants["Acme"]
        await build_estate(world, "Globex")
        (key, *_) = (await acme.admin.get("/v2/users/me/api-keys")).json()["data"]
        ids = {**made.ids, "key_id": key["id"]}
        public = {
            "sign-in": "/console/sign-in",
            "setup": f"/setup?link={made.canaries['setup link']}",
            "an old setup link": "/setup?link=never-ours",
            "connect": f"/connect?link={made.canaries['connect link']}",
            "an old connect link": "/connect?link=never-ours",
            "an old consent link": "/consent?link=never-ours",
            "a failed consent": "/callback/oauth2?state=never-ours",
            "no page": "/console/no-such-page",
        }
        begun = await start(acme.integrator, acme.workspace_id, made.ids["component_id"], bound=True)
        link = resource(begun, 201)["attributes"]["authorization_url"]
        public["consent"] = link.removeprefix(str(world.settings.public_url))
        await set_up_sign_on(world, acme, made.ids["user_id"])
        public["another way to sign in"] = "/console/sign-in/organisation"
        public["a tenant's sign-in"] = f"/console/sign-in/{acme.id}"
        async with _visited(world, browser) as page, _visited(world, browser, operator=True) as operators:
            await make_hostile(world)
            yield Scene(world, ids, public, page, operators)


@asynccontextmanager
async def _visited(
    world: World, browser: "Browser", *, scripts: bool = True, operator: bool = False
) -> "AsyncIterator[Page]":
    acme = world.tenants["Acme"]
    theirs = await signed_in(world, *((await _operator(world), "") if operator else (acme.admin, acme.id)))
    context = await browser.new_context(viewport=DESK, java_script_enabled=scripts, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    (value,) = theirs.cookies.values()
    await context.add_cookies([{"name": "keyrack-console", "value": value, "url": str(world.settings.public_url)}])
    yield await context.new_page()
    await context.close()


async def _operator(world: World) -> Caller:
    """Return the installation's first service account, with its id."""
    async with world.store.installation() as unit:
        c = service_accounts.c
        found = (await unit.connection.execute(select(c.id).where(c.username == world.support.name))).scalar_one()
    return Caller(world.http, world.support.name, world.support.api_key, found)


@pytest.mark.parametrize("path", operators_pages())
async def test_a_page_for_operators_is_for_everybody(scene: Scene, path: str) -> None:
    await scene.operators.set_viewport_size(DESK)  # type: ignore[arg-type]
    assert await scene.open(address(path, scene.ids), scene.operators) == 200
    await is_for_everybody(scene.operators)


@pytest.mark.parametrize("path", admins_pages())
async def test_a_page_is_for_everybody(scene: Scene, path: str) -> None:
    await scene.page.set_viewport_size(DESK)  # type: ignore[arg-type]
    assert await scene.open(address(path, scene.ids)) == 200
    await is_for_everybody(scene.page, skips=path not in AS_ITS_READERS_SEE_IT)


@pytest.mark.parametrize(
    "what",
    ["sign-in", "another way to sign in", "a tenant's sign-in",
     "setup", "consent", "an old setup link", "connect", "an old connect link", "an old consent link",
     "a failed consent", "no page"],
)  # fmt: skip
async def test_a_page_for_people_without_an_account_is_for_everybody(
    scene: Scene, browser: "Browser", what: str
) -> None:
    context = await browser.new_context(viewport=DESK, reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    assert await scene.open(scene.public[what], page) in {200, 400, 404}
    await is_for_everybody(page, skips="sign" in what)
    await context.close()


async def is_for_everybody(page: "Page", *, skips: bool = True) -> None:
    faults = [f"light: {each}" for each in await grave_faults(page)]
    faults += [f"1280 px: {each}" for each in await page.evaluate(TOO_WIDE)]
    if skips:
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip", "the first key leads past the top"
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    faults += [f"dark, on a phone: {each}" for each in await grave_faults(page)]
    faults += [f"360 px: {each}" for each in await page.evaluate(TOO_WIDE)]
    await page.emulate_media(color_scheme="light")
    assert not faults, "\n".join(faults)
    assert await page.evaluate(TAKEN) == [True, 0], "a name was taken for markup"
    assert await page.locator("h1").count() == 1
    assert re.findall(".{,40}\u202e", await page.inner_text("body")) == []


async def test_without_scripts_each_page_has_what_it_is_about(scene: Scene, browser: "Browser") -> None:
    async with _visited(scene.world, browser, scripts=False) as page:
        for path in admins_pages():
            assert await scene.open(address(path, scene.ids), page) == 200, path
            assert await page.locator("main h1").is_visible(), path
            assert await page.locator(".only-with-scripts:visible").count() == 0, path
