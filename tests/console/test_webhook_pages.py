"""Webhooks, deliveries and events in the console; over HTTP."""

import re

import pytest
from sqlalchemy import update

from keyrack.model.events import EventType
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.schema import deliveries
from support.app import World
from support.console import ConsoleBrowser, signed_in

URL = "https://receiver.example/hook"
ONCE = re.compile(r'name="once" value="([^"]+)"')
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 900


async def admin_of(world: World, name: str = "Acme") -> ConsoleBrowser:
    return await signed_in(world, world.tenants[name].admin, world.tenants[name].id)


async def filled(browser: ConsoleBrowser, path: str, **fields: str) -> str:
    """Open a form, send it as it was shown and filled in, and return where it leads or what it shows."""
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    once = ONCE.search(page.text)
    if once is not None:
        fields["once"] = once[1]
    answer = await browser.post(path, **fields)
    return answer.headers.get("location", "") or answer.text


async def webhook_of(world: World, name: str = "Acme", **attributes: object) -> str:
    tenant = world.tenants[name]
    body = {"data": {"type": "webhook", "attributes": {"url": URL, **attributes}}}
    return str((await tenant.admin.post(f"/v2/tenants/{tenant.id}/webhooks", body)).json()["data"]["id"])


async def tell(world: World, kind: EventType = EventType.secret_failed, **data: object) -> str:
    async with world.store.unit(world.tenants["Acme"].id, writes=True) as unit:
        await Outbox(unit).add(kind, data)
        return (await Outbox(unit).stretch(None, None, newest_first=True, limit=1))[0].id


async def fail(world: World, webhook_id: str, event_id: str, error: str, status: int | None = None) -> None:
    async with world.store.unit(world.tenants["Acme"].id, writes=True) as unit:
        values = {"state": "failed", "last_error": error, "last_status": status, "attempts": 11, "due_at": None}
        found = (deliveries.c.webhook_id == webhook_id) & (deliveries.c.event_id == event_id)
        await unit.connection.execute(update(deliveries).where(found).values(**values))


async def test_it_is_created_once_however_often_the_form_is_sent_and_its_secret_shown(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await admin_of(keyrack_on_each)
    assert "Nobody is told of anything yet" in (await browser.get("/console/webhooks")).text
    once = ONCE.search((await browser.get("/console/webhooks/new")).text)
    assert once is not None
    fields = {"once": once[1], "url": URL, "description": "orders", "which": "all"}
    first, second = (
        await browser.post("/console/webhooks/new", **fields),
        await browser.post("/console/webhooks/new", **fields),
    )
    assert first.status_code == second.status_code == 200
    (secret,) = set(SECRET.findall(first.text)) & set(SECRET.findall(second.text))
    listed = (await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks")).json()["data"]
    assert [each["attributes"]["url"] for each in listed] == [URL]
    async with keyrack_on_each.store.unit(acme.id) as unit:
        from keyrack.store.webhooks import WebhookRows  # noqa: PLC0415 - only used here

        stored = await WebhookRows(unit).find(listed[0]["id"])
        assert stored is not None
        assert stored.keys[0].secret.reveal() == secret
    path = f"/console/webhooks/{listed[0]['id']}"
    for shown in ("/console/webhooks", path, f"{path}/edit"):
        assert secret not in (await browser.get(shown)).text


async def test_a_form_that_this_browser_was_not_shown_makes_nothing(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await admin_of(keyrack)
    await browser.get("/console/webhooks/new")
    forged = f"{'a' * 24}.{'b' * 43}.{'c' * 32}"
    for once in ("", "a.b.c", forged):
        assert (await browser.post("/console/webhooks/new", url=URL, which="all", once=once)).status_code == 403
    assert (await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks")).json()["data"] == []


async def test_what_is_wrong_stands_beneath_its_field_and_what_was_typed_stays(keyrack: World) -> None:
    browser = await admin_of(keyrack)
    shown = await filled(
        browser, "/console/webhooks/new", url="http://receiver.example/x", description=HOSTILE + "x" * 200, which="some"
    )
    assert browser.page.status_code == 400
    assert shown.count('class="wrong"') >= 2
    assert 'value="http://receiver.example/x"' in shown
    assert "<script>alert" not in shown
    assert ONCE.search(shown) is not None


async def test_edit_switch_rotate_and_delete(keyrack: World) -> None:
    acme, browser, webhook_id = keyrack.tenants["Acme"], await admin_of(keyrack), await webhook_of(keyrack)
    path, api = f"/console/webhooks/{webhook_id}", f"/v2/tenants/{acme.id}/webhooks/{webhook_id}"
    where = await filled(
        browser, f"{path}/edit", url=f"{URL}/2", description="two", which="some", event_types="secret.failed"
    )
    assert where == f"{path}?done=changed"
    attributes = (await acme.admin.get(api)).json()["data"]["attributes"]
    assert (attributes["url"], attributes["event_types"]) == (f"{URL}/2", ["secret.failed"])
    page = (await browser.get(path)).text
    assert "secret.failed" in page
    assert "secret.revoked" not in page
    confirmation = (await browser.get(f"{path}/disable")).text
    assert "Disable the webhook “two”" in confirmation
    assert (await browser.post(f"{path}/enabled", enabled="no")).headers["location"] == f"{path}?done=disabled"
    assert not (await acme.admin.get(api)).json()["data"]["attributes"]["enabled"]
    assert "Enable it" in (await browser.get(path)).text
    await browser.post(f"{path}/enabled", enabled="yes")
    once = ONCE.search((await browser.get(f"{path}/rotate")).text)
    assert once is not None
    twice = [await browser.post(f"{path}/rotate", once=once[1]) for _ in range(2)]
    assert len({tuple(SECRET.findall(answer.text)) for answer in twice}) == 1
    assert "Signing secrets</dt><dd>2" in (await browser.get(path)).text
    assert "Delete the webhook “two”" in (await browser.get(f"{path}/delete")).text
    assert (await browser.post(f"{path}/delete")).headers["location"] == "/console/webhooks?done=deleted"
    assert (await browser.get(path)).status_code == 404


async def test_deliveries_by_state_with_the_cause_in_plain_words_and_sent_again(keyrack_on_each: World) -> None:
    browser, webhook_id = await admin_of(keyrack_on_each), await webhook_of(keyrack_on_each, description="orders")
    first, second = await tell(keyrack_on_each, secret_id="1" * 24), await tell(keyrack_on_each)
    await fail(keyrack_on_each, webhook_id, first, "status", 503)
    path = f"/console/webhooks/{webhook_id}/deliveries"
    failed = (await browser.get(f"{path}?state=failed")).text
    assert f"{path}/{first}" in failed
    assert f"{path}/{second}" not in failed
    assert "The receiver answered with status 503 instead of 2xx." in failed
    listed = (await browser.get("/console/webhooks")).text
    assert "1 given up" in listed
    assert "1 on the way" in listed
    page = (await browser.get(f"{path}/{first}")).text
    for text in ("given up", "11 times", "503", "1" * 24, "hx-get="):
        assert text in page, text
    assert (await browser.post(f"{path}/{first}/replay")).headers["location"] == f"{path}/{first}?done=again"
    assert (await browser.post(f"{path}/{first}/replay")).headers["location"] == f"{path}/{first}?done=already"
    async with keyrack_on_each.store.unit(keyrack_on_each.tenants["Acme"].id) as unit:
        delivery = await Deliveries(unit).find(webhook_id, first)
        assert delivery is not None
        assert (delivery.state.value, delivery.attempts) == ("pending", 0)
    assert "Nothing was sent" not in (await browser.get(f"{path}?state=nonsense")).text
    for gone in (f"{path}/{'0' * 24}", f"/console/webhooks/{'0' * 24}/deliveries", f"/console/events/{'0' * 24}"):
        assert (await browser.get(gone)).status_code == 404


@pytest.mark.parametrize(
    ("error", "words"),
    [("timeout", "did not answer in time"), ("tls", "certificate"), ("disabled", "was disabled"), ("odd", "odd")],
)
async def test_every_error_has_words(keyrack: World, error: str, words: str) -> None:
    browser, webhook_id, event_id = await admin_of(keyrack), await webhook_of(keyrack), await tell(keyrack)
    await fail(keyrack, webhook_id, event_id, error)
    assert words in (await browser.get(f"/console/webhooks/{webhook_id}/deliveries/{event_id}")).text


async def test_a_period_is_sent_again_and_a_test_is_sent(keyrack: World) -> None:
    browser, webhook_id, event_id = await admin_of(keyrack), await webhook_of(keyrack), await tell(keyrack)
    await fail(keyrack, webhook_id, event_id, "timeout")
    path = f"/console/webhooks/{webhook_id}"
    wrong = await filled(browser, f"{path}/replay", since="yesterday", until="2090-01-01T00:00:00Z")
    assert "must be a time such as" in wrong
    assert 'value="yesterday"' in wrong
    where = await filled(browser, f"{path}/replay", since="2020-01-01T00:00:00Z", until="")
    assert where == f"{path}/deliveries?replayed=1"
    assert "1 delivery is on the way again" in (await browser.get(where)).text
    await browser.get(path)
    where = (await browser.post(f"{path}/test")).headers["location"]
    assert "webhook.test" in (await browser.get(where)).text


async def test_events_by_type_and_one_sent_to_all(keyrack: World) -> None:
    browser, webhook_id = await admin_of(keyrack), await webhook_of(keyrack)
    event_id, other = await tell(keyrack, secret_id="7" * 24), await tell(keyrack, EventType.client_failing)
    page = (await browser.get("/console/events?type=secret.failed")).text
    assert event_id in page
    assert "7" * 24 in page
    assert other not in page
    assert "secret.failed" in (await browser.get(f"/console/events/{event_id}")).text
    await fail(keyrack, webhook_id, event_id, "timeout")
    where = (await browser.post(f"/console/events/{event_id}/replay")).headers["location"]
    assert where == f"/console/events/{event_id}?done=again"
    await browser.get(f"/console/webhooks/{webhook_id}/delete")
    await browser.post(f"/console/webhooks/{webhook_id}/delete")
    await browser.get(f"/console/events/{event_id}")
    where = (await browser.post(f"/console/events/{event_id}/replay")).headers["location"]
    assert "No enabled webhook wants" in (await browser.get(where)).text


async def test_others_see_and_do_nothing_with_them(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    webhook_id, event_id = await webhook_of(keyrack, description="orders"), await tell(keyrack)
    path = f"/console/webhooks/{webhook_id}"
    shown = [path, f"{path}/edit", f"{path}/delete", f"{path}/rotate", f"{path}/disable", f"{path}/replay"]
    shown += [f"{path}/deliveries", f"{path}/deliveries/{event_id}", f"/console/events/{event_id}"]
    done = [f"{path}/edit", f"{path}/delete", f"{path}/enabled", f"{path}/test", f"{path}/replay"]
    done += [f"{path}/deliveries/{event_id}/replay", f"/console/events/{event_id}/replay"]
    for who, tenant, status in ((acme.integrator, acme, 403), (globex.admin, globex, 404)):
        browser = await signed_in(keyrack, who, tenant.id)
        await browser.get("/console/account")
        for each in shown:
            answer = await browser.get(each)
            assert answer.status_code == status, each
            assert "orders" not in answer.text
        await browser.get("/console/account")
        for each in done:
            answer = await browser.post(each, url=URL, which="all", since="2020-01-01T00:00:00Z", enabled="no")
            assert answer.status_code == status, each
    listed = await signed_in(keyrack, acme.integrator, acme.id)
    assert [
        (await listed.get(each)).status_code
        for each in ("/console/webhooks", "/console/webhooks/new", "/console/events")
    ] == [403] * 3
    attributes = (await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks/{webhook_id}")).json()["data"]["attributes"]
    assert attributes["enabled"]
