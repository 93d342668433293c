"""The event `user.invited`: which webhooks get the link in it, and who may have them do so (decision 24)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from keyrack.model.tenancy import Role
from keyrack.store.schema import events
from keyrack.store.tenants import RolePolicy
from support.app import Caller, TenantInTest, World, error_of
from support.loopback_peers import Receiver, receiving
from support.setup_links import NAMES, invited, key_from, link_for, newcomer

NEW = "new.person@acme.example"
HOOKS = "tenants.webhooks.create", "tenants.webhooks.edit", "tenants.webhooks.get"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def webhook(who: Caller, acme: TenantInTest, url: str, *kinds: str, status: int = 201) -> dict[str, Any]:
    attributes: dict[str, Any] = {"url": url} | ({"event_types": list(kinds)} if kinds else {})
    answer = await who.post(f"/v2/tenants/{acme.id}/webhooks", {"data": {"type": "webhook", "attributes": attributes}})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json().get("data", {})
    return made


async def hooks_only(keyrack: World, acme: TenantInTest, *more: str) -> Caller:
    role = Role("tenants", "hooks", frozenset({*HOOKS, *more}), {"en": "Hooks"})
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), role])
    return await keyrack.add_user(acme.id, "hooks@acme.example", ["hooks"])


async def deliver(keyrack: World, times: int) -> None:
    ended = 0
    while ended < times:
        ended += await keyrack.services.deliverer.tick()


async def test_a_mailer_gets_all_that_it_needs(keyrack_on_each: World, receiver: Receiver) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await webhook(acme.admin, acme, receiver.url, "user.invited")
    answer = await invited(acme.admin, acme.contract_id, NEW)
    link, invite_id = answer.json()["meta"]["setup_link"], answer.json()["data"]["id"]
    await deliver(keyrack_on_each, 1)
    (message,) = receiver.messages
    told = json.loads(message.body)["data"]
    assert json.loads(message.body)["type"] == "user.invited"
    assert told == {
        "invite_id": invite_id,
        "contract_id": acme.contract_id,
        "setup_link_id": told["setup_link_id"],
        "expires_at": link["expires_at"],
        "email": NEW,
        "invited_by": acme.admin.name,
        "tenant_name": "Acme",
        "contract_name": "Acme contract",
        "url": link["url"],
    }
    await key_from(keyrack_on_each, told["url"], NEW, **NAMES)


async def test_a_user_with_an_account_is_told_of_without_a_link(keyrack: World, receiver: Receiver) -> None:
    acme = keyrack.tenants["Acme"]
    await webhook(acme.admin, acme, receiver.url, "user.invited")
    await invited(acme.admin, acme.contract_id, acme.stranger.name)
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    await deliver(keyrack, 2)
    told = {json.loads(each.body)["data"]["email"]: json.loads(each.body)["data"] for each in receiver.messages}
    assert told[acme.stranger.name]["url"] is None
    assert "setup_link_id" not in told[acme.stranger.name]
    assert told[NEW]["url"] == url
    assert set(told[NEW]) == {
        "user_id", "setup_link_id", "expires_at", "email", "invited_by", "tenant_name", "url",
    }  # fmt: skip


async def test_nobody_else_gets_the_link(keyrack: World, receiver: Receiver) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    await webhook(acme.admin, acme, receiver.url)  # names no types
    await webhook(globex.admin, globex, receiver.url, "user.invited")
    named = await webhook(acme.admin, acme, f"{receiver.url}/named", "user.invited")
    answer = await invited(acme.admin, acme.contract_id, NEW)
    url = answer.json()["meta"]["setup_link"]["url"]
    await deliver(keyrack, 1)
    assert [json.loads(each.body)["data"]["url"] for each in receiver.messages] == [url]
    listed = await acme.admin.get(f"/v2/tenants/{acme.id}/events")
    deliveries = await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks/{named['id']}/deliveries")
    for text in (listed.text, deliveries.text):
        assert url.partition("link=")[2] not in text
        assert NEW not in text
    (event,) = listed.json()["data"]
    async with keyrack.store.unit(acme.id) as unit:
        row = (await unit.connection.execute(select(events).where(events.c.id == event["id"]))).one()
    assert url.encode() not in row.sealed_data


async def test_what_nobody_wanted_then_nobody_is_told_later(keyrack: World, receiver: Receiver) -> None:
    acme = keyrack.tenants["Acme"]
    await invited(acme.admin, acme.contract_id, NEW)
    await webhook(acme.admin, acme, receiver.url, "user.invited")
    (event,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/events")).json()["data"]
    assert (await acme.admin.post(f"/v2/tenants/{acme.id}/events/{event['id']}/replay")).status_code == 202
    await deliver(keyrack, 1)
    assert "url" not in json.loads(receiver.messages[0].body)["data"]


async def test_a_replay_brings_the_same_link_to_who_had_it(keyrack: World, receiver: Receiver) -> None:
    acme = keyrack.tenants["Acme"]
    await webhook(acme.admin, acme, receiver.url, "user.invited")
    await invited(acme.admin, acme.contract_id, NEW)
    await deliver(keyrack, 1)
    (event,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/events")).json()["data"]
    assert (await acme.admin.post(f"/v2/tenants/{acme.id}/events/{event['id']}/replay")).status_code == 202
    await deliver(keyrack, 1)
    first, second = receiver.messages
    assert first.body == second.body


@pytest.mark.parametrize("lacks", ["tenants.membership.edit", "tenants.user.create"])
async def test_only_who_could_have_any_account_has_links_sent(keyrack: World, receiver: Receiver, lacks: str) -> None:
    acme = keyrack.tenants["Acme"]
    others = {"tenants.membership.edit", "tenants.user.create"} - {lacks}
    who = await hooks_only(keyrack, acme, *others)
    hooks = f"/v2/tenants/{acme.id}/webhooks"
    await webhook(who, acme, receiver.url, "user.invited", status=403)
    own = await webhook(who, acme, receiver.url, "secret.created")
    admins = await webhook(acme.admin, acme, receiver.url, "user.invited")

    async def change(which: dict[str, Any], **attributes: Any) -> tuple[int, str, str | None]:
        body = {"data": {"type": "webhook", "id": which["id"], "attributes": attributes}}
        answer = await who.patch(f"{hooks}/{which['id']}", body)
        return (200, "", None) if answer.status_code == 200 else error_of(answer)

    refused = (403, "forbidden", "/data/attributes/event_types")
    assert await change(own, event_types=["user.invited"]) == refused
    assert await change(admins, url=f"{receiver.url}/mine") == refused
    assert await change(admins, description="mailer") == (200, "", None)
    assert await change(admins, enabled=False) == (200, "", None)
    assert await change(admins, enabled=True) == refused
    assert await change(admins, event_types=None) == (200, "", None)
