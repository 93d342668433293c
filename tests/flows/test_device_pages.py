"""Pages that show a device's code, to the browser that began it and to no other (RFC 8628 section 3.3; decision 40)."""

import re
from typing import Any

import httpx2

from support.app import relationship
from support.connect_links import form_of, go_on, make_link, someone
from support.device_desk import DeviceDesk

LOOK = {"x-keyrack-look": "1"}


def codes_on(page: httpx2.Response) -> list[str]:
    return re.findall(r'<code id="user-code">([^<]+)</code>', page.text)


async def test_a_bound_consent_shows_its_code_on_our_own_page(device_desk: DeviceDesk) -> None:
    desk = device_desk
    started = await desk.started(bound=True, return_url="http://keyrack.test/done?x=1", scopes=["read"])
    assert started.keys() == {"id", "status", "expires_at", "authorization_url"}, "who has the link has no code"
    link = started["authorization_url"]
    assert link.startswith("http://keyrack.test/consent?link=")
    async with someone(desk.world) as person, someone(desk.world) as other:
        first = await person.get(link)
        assert "127.0.0.1" in first.text
        assert codes_on(first) == []
        begun = await person.post(link, data=form_of(first))
        assert (begun.status_code, begun.headers["location"]) == (303, link)
        page = await person.get(link)
        (code,) = codes_on(page)
        assert page.headers["cache-control"] == "no-store"
        assert "connect-src 'self'" in page.headers["content-security-policy"]
        assert page.text.count(f"/device?user_code={code}") == 1
        assert '<svg role="img" aria-label="QR code"' in page.text
        assert codes_on(await other.get(link)) == []
        assert (await person.get(link, headers=LOOK)).status_code == 204
        desk.simulator.state.devices.decide(code, "alice")
        assert await desk.after(5) == 1
        assert (await person.get(link, headers=LOOK)).status_code == 205
        ended = await person.get(link)
        made = (await desk.seen(started["id"]))["made"]["id"]
        assert (ended.status_code, ended.headers["location"]) == (303, f"http://keyrack.test/done?x=1&secret_id={made}")
        assert (await other.get(link)).status_code == 400


async def link_of(desk: DeviceDesk, **attributes: Any) -> dict[str, Any]:
    acme = desk.world.tenants["Acme"]
    related = {"auth_client": relationship("auth-client", desk.client_id)}
    made = await make_link(acme.integrator, acme.workspace_id, related, **attributes)
    assert made.status_code == 201, made.text
    data = made.json()["data"]
    return {"id": data["id"], **data["attributes"]}


async def link_status(desk: DeviceDesk, link_id: str) -> str:
    acme = desk.world.tenants["Acme"]
    answer = await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/connect-links/{link_id}")
    status: str = answer.json()["data"]["attributes"]["status"]
    return status


async def test_a_connect_link_shows_a_code_and_tells_its_opener_the_outcome(device_desk: DeviceDesk) -> None:
    desk = device_desk
    link = await link_of(desk, opener_origin="https://app.example")
    async with someone(desk.world) as person, someone(desk.world) as other:
        form = form_of(await person.get(link["url"]))
        begun = await person.post(link["url"], data=form)
        assert begun.headers["location"] == link["url"]
        (code,) = codes_on(await person.get(link["url"]))
        assert "opened in another browser" in (await other.get(link["url"])).text
        assert await link_status(desk, link["id"]) == "opened"
        assert (await person.post(link["url"], data=form)).headers["location"] == link["url"]
        assert codes_on(await person.get(link["url"])) == [code], "going on again leads to the same code"
        desk.simulator.state.devices.decide(code, "alice")
        assert await desk.after(5) == 1
        ended = await person.get(link["url"])
        assert "The account is connected" in ended.text
        assert "https://app.example" in ended.text
    assert await link_status(desk, link["id"]) == "connected"


async def test_a_link_whose_code_has_expired_leads_to_another_one(device_desk: DeviceDesk) -> None:
    desk = device_desk
    desk.simulator.state.set_defaults({"device_code_lifetime": 30})
    link = await link_of(desk)
    async with someone(desk.world) as person:
        await go_on(person, link["url"])
        (first,) = codes_on(await person.get(link["url"]))
        await desk.after(30)
        assert await link_status(desk, link["id"]) == "opened"
        assert (await go_on(person, link["url"])).status_code == 303
        (second,) = codes_on(await person.get(link["url"]))
        assert first != second
        desk.simulator.state.devices.decide(second, None)
        await desk.after(5)
        ended = await person.get(link["url"])
        assert ended.status_code == 400
        assert "access_denied" in ended.text
    assert await link_status(desk, link["id"]) == "denied"
