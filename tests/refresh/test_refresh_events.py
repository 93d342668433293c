"""What refreshes tell webhooks: arrives signed, without a token; and no webhook can hold a refresh up."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyrack.errors import ProviderError
from keyrack.model.events import EventType
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.outbox import Outbox
from keyrack.store.webhooks import WebhookRows
from support.app import BASE, TenantInTest, World, settings_for, world
from support.grants import connect, stored
from support.loopback_peers import Receiver, receiving


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def webhook(tenant: TenantInTest, url: str, *kinds: EventType) -> dict[str, str]:
    attributes = {"url": url} | ({"event_types": [kind.value for kind in kinds]} if kinds else {})
    sent = {"data": {"type": "webhook", "attributes": attributes}}
    made = (await tenant.admin.post(f"/v2/tenants/{tenant.id}/webhooks", sent)).json()["data"]
    return {"id": made["id"], "secret": made["attributes"]["secret"]}


async def delivered(keyrack: World) -> None:
    while await keyrack.services.deliverer.tick():
        pass


async def test_refreshes_and_their_failures_arrive_without_a_token(
    keyrack_on_each: World, simulator: RunningSimulator, receiver: Receiver
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    named = await webhook(acme, f"{receiver.url}/named", EventType.secret_refreshed)
    usual = await webhook(acme, f"{receiver.url}/usual")
    connected = await connect(keyrack_on_each, simulator, {"rotation": "strict"})
    refresher = keyrack_on_each.services.refreshing.refresher
    await refresher.refresh(connected.secret)
    await delivered(keyrack_on_each)
    (message,) = receiver.messages
    told = message.verified(named["secret"])
    assert (message.path, told["type"]) == ("/hook/named", "secret.refreshed")
    assert told["data"]["secret_id"] == connected.secret.id
    simulator.state.book.revoke(lambda _: True)
    with pytest.raises(ProviderError):
        await refresher.refresh(await stored(keyrack_on_each.store, connected.secret))
    await delivered(keyrack_on_each)
    (failed,) = receiver.sent_to("/hook/usual")
    assert failed.verified(usual["secret"])["type"] == "secret.reauthorization_required"
    values = [
        *connected.secret.credentials.values(),
        *(await stored(keyrack_on_each.store, connected.secret)).credentials.values(),
    ]
    tokens = [value for value in values if isinstance(value, str) and len(value) > 20]
    sent = b"".join(message.body + json.dumps(dict(message.headers)).encode() for message in receiver.messages)
    assert len(tokens) == 4
    assert [token for token in tokens if token.encode() in sent] == []


async def test_telling_does_not_wait_for_a_webhook_that_is_being_deleted(tmp_path: Path, postgres_url: str) -> None:
    settings = settings_for(tmp_path, postgres_url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        going, staying = await webhook(acme, "http://127.0.0.1:8/"), await webhook(acme, "http://127.0.0.1:8/")
        async with keyrack.store.unit(acme.id, writes=True) as deleting:
            assert await WebhookRows(deleting).remove(going["id"])
            async with asyncio.timeout(30), keyrack.store.unit(acme.id, writes=True) as telling:
                await Outbox(telling).add(EventType.secret_failed, {})
        answer = await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks/{staying['id']}/deliveries")
        assert [entry["attributes"]["event_type"] for entry in answer.json()["data"]] == ["secret.failed"]


async def test_telling_does_not_wait_for_a_webhook_that_is_being_changed(tmp_path: Path, postgres_url: str) -> None:
    settings = settings_for(tmp_path, postgres_url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        changing = await webhook(acme, "http://127.0.0.1:8/")
        async with keyrack.store.unit(acme.id, writes=True) as change:
            found = await WebhookRows(change).find(changing["id"], locked=True)
            assert found is not None
            await WebhookRows(change).replace(found)
            async with asyncio.timeout(30), keyrack.store.unit(acme.id, writes=True) as telling:
                await Outbox(telling).add(EventType.secret_failed, {})
        answer = await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks/{changing['id']}/deliveries")
        assert [entry["attributes"]["event_type"] for entry in answer.json()["data"]] == ["secret.failed"]
