"""Connecting an account in the console with a device's code, and where requests are pushed (decision 40)."""

import re
from urllib.parse import parse_qsl, urlsplit

from support.connect_links import someone
from support.consent import approve
from support.console import ConsoleBrowser, signed_in
from support.device_desk import DeviceDesk

LIVE = {"x-keyrack-live": "1"}


async def begun(desk: DeviceDesk) -> tuple[ConsoleBrowser, str]:
    """Sign in and begin to connect with the desk's client; return the browser and the path of the consent's page."""
    acme = desk.world.tenants["Acme"]
    browser = await signed_in(desk.world, acme.integrator, acme.id)
    path = f"/console/workspaces/{acme.workspace_id}/connect"
    page = await browser.get(f"{path}?auth_client={desk.client_id}")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
    hidden.pop("form_token")
    answer = await browser.post(path, **hidden)
    assert answer.status_code == 303, answer.text
    return browser, answer.headers["location"]


async def test_the_code_is_shown_where_it_was_begun_until_the_account_is_connected(device_desk: DeviceDesk) -> None:
    desk = device_desk
    browser, consent = await begun(desk)
    page = await browser.get(consent)
    (code,) = re.findall(r'<code id="user-code">([^<]+)</code>', page.text)
    assert "Copy the code" in page.text
    assert '<svg role="img" aria-label="QR code"' in page.text
    assert f"/device?user_code={code}" in page.text
    acme = desk.world.tenants["Acme"]
    elsewhere = await (await signed_in(desk.world, acme.integrator, acme.id)).get(consent)
    assert code not in elsewhere.text
    assert "begun in another browser" in elsewhere.text
    assert "hx-redirect" not in (await browser.get(consent, **LIVE)).headers
    desk.simulator.state.devices.decide(code, "alice")
    assert await desk.after(5) == 1
    assert (await browser.get(consent, **LIVE)).headers["hx-redirect"].endswith(consent)
    assert "The account is connected" in (await browser.get(consent)).text


async def test_a_denial_is_told_with_a_way_to_try_again(device_desk: DeviceDesk) -> None:
    desk = device_desk
    desk.simulator.state.set_defaults({"deny": "access_denied"})
    browser, consent = await begun(desk)
    assert await desk.after(5) == 1
    page = await browser.get(consent)
    assert "The account was not connected" in page.text
    assert "access_denied" in page.text
    assert f"connect?auth_client={desk.client_id}" in page.text


async def test_the_way_to_a_provider_that_has_requests_pushed_is_made_when_it_is_taken(device_desk: DeviceDesk) -> None:
    desk = device_desk
    desk.simulator.state.set_defaults({"approval": "auto"})
    base = desk.simulator.base_url
    endpoints = {
        "authorization": f"{base}/authorize", "token": f"{base}/token", "pushed_authorization": f"{base}/par",
    }  # fmt: skip
    profile = {"name": "par", "endpoints": endpoints, "authorization": {"pushed": True}}
    assert (await desk.make_client(profile)).status_code == 201
    browser, consent = await begun(desk)
    page = await browser.get(consent)
    (way,) = re.findall(r'href="([^"]+)"[^>]*data-popup', page.text)
    assert way == f"{consent}/provider"
    desk.clock.go_on(300)
    desk.simulator.state.set_defaults({"fail": "invalid_request"})
    assert (await browser.get(way)).status_code == 400
    desk.simulator.state.set_defaults({"approval": "auto"})
    sent = await browser.get(way)
    assert sent.status_code == 303
    assert dict(parse_qsl(urlsplit(sent.headers["location"]).query)).keys() == {"client_id", "request_uri"}
    callback = await approve(sent.headers["location"])
    async with someone(desk.world) as other:
        assert (await other.get(callback)).status_code == 400, "it is bound to the console's browser"
    await browser.get(callback.removeprefix("http://keyrack.test"))
    assert "The account is connected" in (await browser.get(consent)).text
    assert (await browser.get(way)).headers["location"] == consent, "it is over"
