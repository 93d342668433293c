"""Search in a real browser: “/” leads to the field, what is found shows while one writes, and without scripts too."""

from typing import TYPE_CHECKING, Any

import pytest

from support.app import World
from support.console import PASSWORD, give_password

if TYPE_CHECKING:
    from playwright.async_api import Browser

PHONE = {"width": 360, "height": 640}


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_journey_to_what_is_looked_for(listening: World, browser: "Browser", scripts: bool) -> None:
    acme = listening.tenants["Acme"]
    await give_password(listening, acme, acme.admin)
    await listening.add_component(acme, "pizza-van", {"title": "Pizza van"})
    options: Any = {"viewport": PHONE}
    context = await browser.new_context(java_script_enabled=scripts, **options)
    context.set_default_timeout(60_000)
    try:
        page, faults = await context.new_page(), list[str]()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        await page.goto(f"{listening.settings.public_url}/console")
        await page.get_by_label("Email").fill(acme.admin.name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/console")
        field = page.get_by_label("Search", exact=True)
        if scripts:
            await page.keyboard.press("/")
            await page.keyboard.type("VAN")
            found = page.locator("#find-found")
            await found.get_by_text("pizza-van").wait_for()
            await page.keyboard.press("Escape")
            assert await found.inner_text() == ""
            assert await field.evaluate("each => each === document.activeElement")
            await page.keyboard.type("VAN")  # Escape has emptied the field
            await page.keyboard.press("Enter")
        else:
            await field.fill("VAN")
            await field.press("Enter")
        await page.wait_for_url("**/console/search?q=VAN")
        assert await page.locator("main").get_by_text("pizza-van").count() == 1
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert faults == []
    finally:
        await context.close()
