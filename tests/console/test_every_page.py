"""Every page of the console, and those that people without an account see, in a browser, full of hostile names.

Nothing serious for who uses a keyboard or a screen reader (axe-core), nothing wider than the window, nothing that runs
or looks like markup because somebody chose such a name; in light and dark, on a desk and on a phone, and without
JavaScript. A new page is visited without a line here, see `support.console_pages`.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import pytest
from sqlalchemy import select

from keyrack.store.schema import service_accounts
from support.app import Caller, World
from support.axe import DESK, is_for_everybody
from support.consent import start
from support.console import ConsoleBrowser, sign_in_context, signed_in
from support.console_pages import address, admins_pages, let_more_be_seen, operators_pages, set_up_sign_on
from support.hostile import (
    FILLED,
    MARK,
    NAME,
    NO_FREE_TEXT,
    NOWHERE,
    TURNING,
    text_columns,
    words_in,
)
from support.hostile_rows import make_hostile, one_of
from support.running import listening_as
from support.secrets import resource
from support.tenancy.estate import Estate, build_estate, put_under_way

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

AS_ITS_READERS_SEE_IT = {"/console/settings/connect-page/preview"}
"""Pages of the console that look as if they were none."""


@dataclass
class Scene:
    """An installation with one of everything.

    Attributes:
        ids: what a path may name.
        public: pages for people who are not signed in, by what they are.
        page: the browser of somebody who may see everything of the tenant.
        operators: that of a service account with every permission.
        askers: browsers without scripts, over HTTP, by who is signed in.
    """

    world: World
    ids: dict[str, str]
    public: dict[str, str]
    page: "Page"
    operators: "Page"
    askers: dict[str, ConsoleBrowser]

    async def open(self, path: str, page: "Page | None" = None) -> int:
        answer = await (page or self.page).goto(f"{self.world.settings.public_url}{path}")
        assert answer is not None
        return answer.status


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, browser: "Browser") -> AsyncIterator[Scene]:
    async with listening_as("127.0.0.1", tmp_path_factory.mktemp("pages")) as world:
        made, acme = await build_estate(world, "Acme"), world.tenants["Acme"]
        await _under_way(world, await build_estate(world, "Globex"))
        (key, *_) = (await acme.admin.get("/v2/users/me/api-keys")).json()["data"]
        ids = {**made.ids, "key_id": key["id"]}
        public = {
            "sign-in": "/console/sign-in",
            "setup": f"/setup?link={made.canaries['setup link']}",
            "an old setup link": "/setup?link=never-ours",
            "connect": f"/connect?link={made.canaries['connect link']}",
            "an old connect link": "/connect?link=never-ours",
            "an old consent link": "/consent?link=never-ours",
            "a failed consent": f"/callback/oauth2?state=never-ours&error=x&error_description={quote(NAME[:2000])}",
            "no page": "/console/no-such-page",
        }
        begun = await start(acme.integrator, acme.workspace_id, made.ids["component_id"], bound=True)
        link = resource(begun, 201)["attributes"]["authorization_url"]
        public["consent"] = link.removeprefix(str(world.settings.public_url))
        await set_up_sign_on(world, acme, made.ids["user_id"])
        public["another way to sign in"] = "/console/sign-in/organisation"
        public["a tenant's sign-in"] = f"/console/sign-in/{acme.id}"
        ids |= await let_more_be_seen(world, acme, made.ids["component_id"])
        public["a failed connect link"] = ids.pop("failed_link")
        async with (
            _visited(world, browser) as page,
            _visited(world, browser, operator=True) as operators,
            _asking(world) as askers,
        ):
            ids["failed_consent_id"] = await _begun(askers["integrator"], made)
            await make_hostile(world, ids)
            yield Scene(world, ids, public, page, operators, askers)


async def _under_way(world: World, made: Estate) -> None:
    """Fill the tables of what is under way, in a tenant whose pages are not visited."""
    async with world.store.unit(made.tenant.id, writes=True) as unit:
        await put_under_way(unit, made)


@asynccontextmanager
async def _asking(world: World) -> AsyncIterator[dict[str, ConsoleBrowser]]:
    acme = world.tenants["Acme"]
    async with httpx2.AsyncClient(base_url=str(world.settings.public_url)) as http:
        found = {"nobody": ConsoleBrowser(http)}
        reader = await world.add_user(acme.id, "reader@acme.example", ["reader"])
        for name, who in (
            ("admin", acme.admin),
            ("integrator", acme.integrator),
            ("stranger", acme.stranger),
            ("reader", reader),
            ("operator", await _operator(world)),
        ):
            await signed_in(world, who, "" if name == "operator" else acme.id)  # a session that is not used
            (value,) = (await signed_in(world, who, "" if name == "operator" else acme.id)).cookies.values()
            found[name] = ConsoleBrowser(http)
            found[name].cookies["keyrack-console"] = value
        yield found


async def _begun(integrator: ConsoleBrowser, made: Estate) -> str:
    """Let the integrator begin a consent in that browser; return its id."""
    path = f"/console/workspaces/{made.tenant.workspace_id}/connect"
    page = await integrator.get(f"{path}?component={made.ids['component_id']}")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
    answer = await integrator.post(path, **hidden)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).rpartition("/")[2]


@asynccontextmanager
async def _visited(
    world: World, browser: "Browser", *, scripts: bool = True, operator: bool = False
) -> "AsyncIterator[Page]":
    acme = world.tenants["Acme"]
    context = await browser.new_context(viewport=DESK, java_script_enabled=scripts, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    who, tenant_id = (await _operator(world), "") if operator else (acme.admin, acme.id)
    await sign_in_context(context, world, who, tenant_id)
    yield await context.new_page()
    await context.close()


async def _operator(world: World) -> Caller:
    """Return the installation's first service account, with its id."""
    async with world.store.installation() as unit:
        c = service_accounts.c
        found = (await unit.connection.execute(select(c.id).where(c.username == world.support.name))).scalar_one()
    return Caller(world.http, world.support.name, world.support.api_key, found)


async def test_what_a_form_answers_is_for_everybody(scene: Scene) -> None:
    """No link leads to a diagnosis, so that it is not among the pages above."""
    await scene.page.set_viewport_size(DESK)  # type: ignore[arg-type]
    assert await scene.open(address("/console/auth-clients/{auth_client_id}", scene.ids)) == 200
    await scene.page.get_by_role("button", name="Diagnose").click()
    await scene.page.get_by_role("heading", name="What was found").wait_for()
    await is_for_everybody(scene.page)


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


async def test_without_scripts_each_page_has_what_it_is_about(scene: Scene, browser: "Browser") -> None:
    async with _visited(scene.world, browser, scripts=False) as page:
        for path in admins_pages():
            assert await scene.open(address(path, scene.ids), page) == 200, path
            assert await page.locator("main h1").is_visible(), path
            assert await page.locator(".only-with-scripts:visible").count() == 0, path


class _Read(HTMLParser):
    """What a browser takes a page for: its elements' attributes, and its text beside fields."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: list[str] = []
        self.text: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if any(name == MARK for name, _ in attrs):
            self.marked.append(tag)
        if tag in {"textarea", "script", "style"}:
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.text.append(data)


async def seen(browser: ConsoleBrowser, path: str) -> httpx2.Response:
    """Return a page, wherever its path leads."""
    answer = await browser.get(path)
    return await browser.get(answer.headers["location"]) if answer.status_code == 303 else answer


async def test_every_hostile_text_is_shown_harmlessly_or_known_to_be_shown_nowhere(scene: Scene) -> None:
    async with scene.world.store.installation() as unit:
        role = await one_of(unit, "roles.role")
        origin = await one_of(unit, "refresh_counts.origin")
    addresses = {
        "admin": [
            *(address(path, scene.ids) for path in admins_pages()),
            "/console/roles/new",
            *(f"/console/roles/{each}?scope=contracts&role={quote(role)}" for each in ("edit", "delete")),
            f"/console/settings/single-sign-on/tests/{scene.ids['test_id']}",
        ],
        "integrator": [
            address(f"/console/workspaces/{{workspace_id}}/{each}", scene.ids)
            for each in ("consents/{failed_consent_id}", "connect-links", "connections/{lone_secret_id}")
        ],
        "reader": [address("/console/people/{user_id}", scene.ids)],
        "stranger": ["/console/invites"],
        "operator": [
            *(address(path, scene.ids) for path in operators_pages()),
            f"/console/installation/providers/named?origin={quote(origin[:400])}",
        ],
        "nobody": list(scene.public.values()),
    }
    shown, faults = dict[str, str](), list[str]()
    for who, paths in addresses.items():
        for path in paths:
            answer = await seen(scene.askers[who], path)
            if answer.status_code not in ({200, 400, 404} if who == "nobody" else {200}):
                faults.append(f"{path}: {answer.status_code}")
            read = _Read()
            read.feed(answer.text)
            faults += [f"{path}: taken for markup: {tag}" for tag in read.marked]
            faults += [f"{path}: turns what follows: {each}" for each in read.text if set(TURNING) & set(each)]
            shown |= dict.fromkeys(words_in(answer.text), path)
    assert faults == []
    assert {name: path for name, path in shown.items() if name in NOWHERE} == {}
    assert FILLED.keys() - NOWHERE.keys() - shown.keys() == set()


def test_every_column_is_filled_or_holds_no_free_text() -> None:
    columns = list(text_columns())
    assert {*FILLED, *NO_FREE_TEXT} == set(columns)
    assert not FILLED.keys() & NO_FREE_TEXT.keys()
    assert NOWHERE.keys() <= FILLED.keys()
