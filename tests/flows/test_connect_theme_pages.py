"""What people see of a tenant's theme, and where they are led back to (decision 36)."""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import httpx2
import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, error_of, relationship
from support.connect_links import callback_of, connected, go_on, link_for, make_link, someone
from support.consent import approve, come_back, query_of, start
from support.grants import component_for
from support.images import png

PRODUCT = "https://app.customer.example"
HOSTILE = "<script>alert(1)</script>\u202e\"'"


async def themed(keyrack: World, name: str = "Globex", **attributes: Any) -> None:
    tenant = keyrack.tenants[name]
    data = {"type": "connect-theme", "attributes": attributes}
    answer = await tenant.admin.patch(f"/v2/tenants/{tenant.id}/connect-theme", {"data": data})
    assert answer.status_code == 200, answer.text


def policy_of(page: httpx2.Response) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in page.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


def style_of(page: httpx2.Response) -> str:
    """Return the page's style sheet, which its policy allows by its hash alone."""
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    assert policy_of(page)["style-src"] == f"'sha256-{allowed}'"
    return str(style)


def said_by_us(pages: Sequence[httpx2.Response]) -> list[bool]:
    return ["keyrack" in page.text.replace(BASE, "").replace("keyrack-connect", "").lower() for page in pages]


async def pages_of(keyrack: World, component_id: str) -> list[httpx2.Response]:
    """Return all kinds of pages: introduction, success, a used link, another browser, a denial, a setup link."""
    globex = keyrack.tenants["Globex"]
    link = (await link_for(keyrack, component_id))["attributes"]["url"]
    opened = (await link_for(keyrack, component_id))["attributes"]["url"]
    bound = await start(globex.integrator, globex.workspace_id, component_id, bound=True)
    made = await globex.admin.post(f"/v2/users/{globex.stranger.id}/setup-links")
    async with someone(keyrack) as person, someone(keyrack) as other:
        found = [await person.get(link), await connected(person, link), await person.get(link)]
        back = await callback_of(person, opened)
        found += [await other.get(opened), await other.get(back)]
        state = query_of(back)["state"]
        found.append(await person.get(f"{BASE}/callback/oauth2?error=access_denied&state={state}"))
        found.append(await person.get(bound.json()["data"]["attributes"]["authorization_url"]))
        if made.status_code == 201:
            found.append(await person.get(made.json()["data"]["attributes"]["url"]))
    return found


async def test_all_pages_of_a_tenant_have_its_look_and_no_others(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    before = await pages_of(keyrack, component_id)
    assert all(said_by_us(before))
    look: dict[str, Any] = {"display_name": "Globex Works", "accent_color": "#0a7d4f", "show_keyrack": False}
    await themed(keyrack, logo_data=b64encode(png()).decode(), **look)
    pages = await pages_of(keyrack, component_id)
    assert [page.status_code for page in pages] == [page.status_code for page in before]
    for page in pages:
        assert "<span>Globex Works</span>" in page.text
        assert " - Globex Works</title>" in page.text
        assert "#0a7d4f" in style_of(page)
        assert "style=" not in page.text
        policy = policy_of(page)
        assert policy["img-src"] == "'self'"
        assert policy["default-src"] == "'none'"
        assert "unsafe" not in page.headers["content-security-policy"]
        (logo,) = re.findall(r'<img src="([^"]+)" alt="">', page.text)
        async with someone(keyrack) as person:
            assert (await person.get(str(page.url.join(logo)))).content == png()
    assert not any(said_by_us(pages))
    async with someone(keyrack) as person:
        unknown = await person.get(f"{BASE}/connect?link=nobodys")
    assert "Keyrack</title>" in unknown.text
    assert "Globex" not in unknown.text
    await themed(keyrack, "Acme", display_name="Acme Works")
    (again, *_) = await pages_of(keyrack, component_id)
    assert "Acme Works" not in again.text


async def test_without_a_name_of_its_own_the_tenants_stands_in_the_title(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await component_for(keyrack, simulator)
    await themed(keyrack, show_keyrack=False, logo_data=b64encode(png()).decode())
    url = (await link_for(keyrack, component_id))["attributes"]["url"]
    async with someone(keyrack) as person:
        page = await person.get(url)
    assert " - Globex</title>" in page.text
    assert 'alt="Globex"' in page.text
    await themed(keyrack, show_keyrack=True, display_name="Globex Works", logo_data=None)
    async with someone(keyrack) as person:
        page = await person.get(url)
    assert "Accounts are connected with Keyrack." in page.text
    assert "img-src" not in policy_of(page)


async def test_hostile_names_are_shown_as_text(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    await themed(keyrack, display_name=HOSTILE, logo_data=b64encode(png()).decode())
    for page in await pages_of(keyrack, component_id):
        assert "<script>alert" not in page.text
        assert "\u202e" not in page.text
        assert "&lt;script&gt;" in page.text


async def test_a_link_leads_back_to_the_product_that_the_tenant_allows(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    keyrack, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    component_id = await component_for(keyrack, simulator)
    related = {"component": relationship("component", component_id)}
    refused = await make_link(globex.integrator, globex.workspace_id, related, return_url=f"{PRODUCT}/done")
    assert error_of(refused) == (400, "validation_error", "/data/attributes/return_url")
    await themed(keyrack, return_origins=[PRODUCT])
    link = await link_for(keyrack, component_id, return_url=f"{PRODUCT}/done?from=shop#x")
    async with someone(keyrack) as person:
        done = await connected(person, link["attributes"]["url"])
    assert done.status_code == 303
    address = done.headers["location"]
    assert address.startswith(f"{PRODUCT}/done?")
    assert address.endswith("#x")
    assert query_of(address).keys() == {"from", "connect_link_id", "credential_id"}
    assert done.headers["referrer-policy"] == "no-referrer"
    unsure = await link_for(keyrack, component_id, return_url=f"{PRODUCT}/done")
    async with someone(keyrack) as person:
        state = query_of(await callback_of(person, unsure["attributes"]["url"]))["state"]
        denied = await person.get(f"{BASE}/callback/oauth2?error=access_denied&state={state}")
    assert f'href="{PRODUCT}/done?connect_link_id={unsure["id"]}"' in denied.text


async def test_consents_of_users_lead_back_there_too(keyrack: World, simulator: RunningSimulator) -> None:
    globex, component_id = keyrack.tenants["Globex"], await component_for(keyrack, simulator)
    await themed(keyrack, return_origins=[PRODUCT])
    started = await start(globex.integrator, globex.workspace_id, component_id, return_url=PRODUCT)
    done = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
    assert done.headers["location"].startswith(f"{PRODUCT}?credential_id=")


@pytest.mark.parametrize(
    "foreign",
    [
        "https://app.customer.example.evil.example/",
        "https://app.customer.example@evil.example/",
        "https://app.customer.example:8443/",
        "http://app.customer.example/",
        "https://evil.example/https://app.customer.example/",
        "https://app.customer.example\\@evil.example/",
        "//app.customer.example/",
        "https://user@app.customer.example/",
    ],
)
async def test_nothing_but_an_allowed_origin_is_led_back_to(
    keyrack: World, simulator: RunningSimulator, foreign: str
) -> None:
    globex, component_id = keyrack.tenants["Globex"], await component_for(keyrack, simulator)
    await themed(keyrack, return_origins=[PRODUCT])
    related = {"component": relationship("component", component_id)}
    refused = await make_link(globex.integrator, globex.workspace_id, related, return_url=foreign)
    assert error_of(refused) == (400, "validation_error", "/data/attributes/return_url")


async def test_one_tenants_origins_are_no_others_and_end_when_they_are_taken_back(
    keyrack: World, simulator: RunningSimulator
) -> None:
    globex, component_id = keyrack.tenants["Globex"], await component_for(keyrack, simulator)
    related = {"component": relationship("component", component_id)}
    await themed(keyrack, "Acme", return_origins=[PRODUCT])
    refused = await make_link(globex.integrator, globex.workspace_id, related, return_url=PRODUCT)
    assert error_of(refused) == (400, "validation_error", "/data/attributes/return_url")
    await themed(keyrack, return_origins=[PRODUCT])
    link = await link_for(keyrack, component_id, return_url=PRODUCT)
    async with someone(keyrack) as person:
        assert (await person.get(link["attributes"]["url"])).status_code == 200
        await themed(keyrack, return_origins=[])
        ended = await person.get(link["attributes"]["url"])
        assert "This link cannot be used any more" in ended.text
        assert PRODUCT not in ended.text
        with pytest.raises(AssertionError):
            await go_on(person, link["attributes"]["url"])
