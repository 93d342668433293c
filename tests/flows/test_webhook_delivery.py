"""Deliveries to a real receiver that hangs, fails, redirects, goes away; and workers that die or share the work."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select

from keyrack import clock
from keyrack.model.events import EventType
from keyrack.provider.client import ProviderClient
from keyrack.service.webhooks.delivery import Deliverer
from keyrack.store.outbox import Outbox
from keyrack.store.schema import webhooks
from support.app import BASE, TenantInTest, World, settings_for, world
from support.loopback_peers import Message, Receiver, answering, receiving
from support.raw_provider import RawProvider, http_answer, json_answer

TIMEOUT = 2.0


class Time:
    """The real time, moved ahead by a test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead

    def forward(self, **amount: float) -> None:
        self.ahead += timedelta(**amount)


class Stage:
    """An installation whose tenant Acme has webhooks, a worker, and a clock to move."""

    def __init__(self, keyrack: World, time: Time, client: ProviderClient) -> None:
        self.keyrack = keyrack
        self.time = time
        self.client = client
        self.worker = self.new_worker()

    @property
    def acme(self) -> TenantInTest:
        return self.keyrack.tenants["Acme"]

    def new_worker(self, patience: float = 60.0) -> Deliverer:
        return Deliverer(self.keyrack.store, self.client, timeout=TIMEOUT, patience=patience)

    async def webhook(self, url: str, **attributes: Any) -> dict[str, Any]:
        sent = {"data": {"type": "webhook", "attributes": {"url": url} | attributes}}
        made = await self.acme.admin.post(f"/v2/tenants/{self.acme.id}/webhooks", sent)
        assert made.status_code == 201, made.text
        data: dict[str, Any] = made.json()["data"]
        return data | {"secret": data["attributes"]["secret"]}

    async def happens(self, kind: EventType = EventType.secret_failed, **data: Any) -> None:
        async with self.keyrack.store.unit(self.acme.id, writes=True) as unit:
            await Outbox(unit).add(kind, {"secret_id": "0" * 24} | data)

    async def ask(self, method: str, webhook: dict[str, Any], rest: str = "", body: Any = None) -> Any:
        where = f"/v2/tenants/{self.acme.id}/webhooks/{webhook['id']}{rest}"
        answer = await self.acme.admin.call(method, where, body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def deliveries(self, webhook: dict[str, Any]) -> list[dict[str, Any]]:
        return [entry["attributes"] for entry in await self.ask("GET", webhook, "/deliveries")]

    async def delivery(self, webhook: dict[str, Any]) -> dict[str, Any]:
        (only,) = await self.deliveries(webhook)
        return only


@pytest.fixture
async def stage(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[Stage]:
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    time = Time()
    async with (
        world(settings, time) as keyrack,
        ProviderClient(allow_insecure=True, timeout=TIMEOUT) as client,
    ):
        made = Stage(keyrack, time, client)
        yield made
        await made.worker.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_an_event_arrives_signed_and_once(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    await stage.happens(workspace_id="1" * 24, error_code="client_rejected")
    assert await stage.worker.tick() == 1
    assert await stage.worker.tick() == 0, "nothing is due any more"
    (message,) = receiver.messages
    told = message.verified(webhook["secret"])
    assert told["type"] == "secret.failed"
    assert told["data"] == {"secret_id": "0" * 24, "workspace_id": "1" * 24, "error_code": "client_rejected"}
    assert message.headers["content-type"] == "application/json"
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 204)
    assert delivery["due_at"] is None


async def test_an_event_of_a_rolled_back_change_is_never_told(stage: Stage, receiver: Receiver) -> None:
    await stage.webhook(receiver.url)

    async def change_that_fails() -> None:
        async with stage.keyrack.store.unit(stage.acme.id, writes=True) as unit:
            await Outbox(unit).add(EventType.secret_created, {})
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        await change_that_fails()
    assert await stage.worker.tick() == 0
    assert receiver.messages == []


async def test_one_tenants_events_go_to_no_other(stage: Stage, receiver: Receiver) -> None:
    globex = stage.keyrack.tenants["Globex"]
    sent = {"data": {"type": "webhook", "attributes": {"url": receiver.url}}}
    assert (await globex.admin.post(f"/v2/tenants/{globex.id}/webhooks", sent)).status_code == 201
    await stage.happens()
    assert await stage.worker.tick() == 0
    assert receiver.messages == []


async def test_a_receiver_that_was_down_gets_it_later_with_the_same_id(stage: Stage) -> None:
    async with receiving() as down:
        port = down.port
    webhook = await stage.webhook(f"http://127.0.0.1:{port}/hook")
    await stage.happens()
    assert await stage.worker.tick() == 1
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["last_error"], delivery["last_status"]) == ("pending", "connect", None)
    assert await stage.worker.tick() == 0, "not before the wait is over"
    async with receiving(port) as back:
        back.answer = answering(500)
        stage.time.forward(seconds=7)
        assert await stage.worker.tick() == 1
        assert (await stage.delivery(webhook))["last_error"] == "status"
        back.answer = answering(200)
        stage.time.forward(seconds=30)
        assert await stage.worker.tick() == 1
        assert len({message.id for message in back.messages}) == 1
        assert len({message.body for message in back.messages}) == 1
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 3)


async def test_it_is_given_up_after_about_a_day_and_can_be_replayed(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    receiver.answer = answering(500)
    await stage.happens()
    for _ in range(11):
        assert await stage.worker.tick() == 1
        stage.time.forward(hours=8)
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["attempts"], delivery["due_at"]) == ("failed", 11, None)
    assert await stage.worker.tick() == 0
    receiver.answer = answering(200)
    replayed = await stage.ask("POST", webhook, "/replay", {"since": "2020-01-01T00:00:00Z"})
    assert replayed["attributes"] == {"deliveries": 1}
    assert await stage.worker.tick() == 1
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert len({message.id for message in receiver.messages}) == 1


async def test_retry_after_is_honoured(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    receiver.answer = answering(503, Retry_After="3600")
    await stage.happens()
    await stage.worker.tick()
    due = datetime.fromisoformat((await stage.delivery(webhook))["due_at"])
    assert due - stage.time() > timedelta(minutes=59)


async def test_410_disables_the_webhook_and_gives_up_the_rest(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    receiver.answer = answering(500)
    await stage.happens()
    await stage.worker.tick()  # now waiting for its second attempt
    receiver.answer = answering(410)
    await stage.happens()
    await stage.worker.tick()
    attributes = (await stage.ask("GET", webhook))["attributes"]
    assert (attributes["enabled"], attributes["disabled_reason"]) == (False, "gone")
    assert [(d["state"], d["last_error"]) for d in await stage.deliveries(webhook)] == [
        ("failed", "disabled"),
        ("failed", "status"),
    ]
    log = await stage.acme.admin.get(f"/v2/tenants/{stage.acme.id}/audit-events?filter[action]=webhook.disable")
    (event,) = log.json()["data"]
    assert event["attributes"]["target"] == {"type": "webhook", "id": webhook["id"]}
    enabled = {"data": {"type": "webhook", "attributes": {"enabled": True}}}
    attributes = (await stage.ask("PATCH", webhook, body=enabled))["attributes"]
    assert (attributes["enabled"], attributes["disabled_reason"]) == (True, None)


async def test_a_redirect_is_not_followed(stage: Stage, receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        webhook = await stage.webhook(receiver.url)
        receiver.answer = answering(307, Location=f"http://localhost:{elsewhere.port}/hook")
        await stage.happens()
        assert await stage.worker.tick() == 1
        assert elsewhere.messages == []
    delivery = await stage.delivery(webhook)
    assert (delivery["state"], delivery["last_status"]) == ("pending", 307)


async def test_a_receiver_that_hangs_is_cut_off(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    receiver.answer = _hang
    await stage.happens()
    assert await stage.worker.tick() == 1
    assert (await stage.delivery(webhook))["last_error"] == "timeout"


async def test_what_counts_as_an_answer(stage: Stage, raw_provider: RawProvider) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    expected = {
        json_answer("ok", Content_Encoding="UTF-8"): None,
        b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(b"", "204 No Content"): None,
        head + b"X: " + b"a" * 50_000 + b"\r\nContent-Length: 0\r\n\r\n": None,
        head + b"Content-Length: 99\r\n\r\n{}": "closed",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000: "protocol",
        b"HTTP/1.1 OK\r\n\r\n": "protocol",
        http_answer(b"", "302 Found"): "status",
    }
    for answer, error in expected.items():
        raw_provider.answers = [answer]
        webhook = await stage.webhook(f"{raw_provider.url}/hook")
        await stage.happens()
        assert await stage.worker.tick() == 1
        assert (await stage.delivery(webhook))["last_error"] == error, answer[:100]
        await stage.ask("PATCH", webhook, body={"data": {"type": "webhook", "attributes": {"enabled": False}}})


async def test_a_large_answer_is_cut_off(stage: Stage, receiver: Receiver) -> None:
    async def answer(_: Message) -> web.Response:
        return web.Response(body=b"x" * (2 << 20))

    webhook = await stage.webhook(receiver.url)
    receiver.answer = answer
    await stage.happens()
    assert await stage.worker.tick() == 1
    assert (await stage.delivery(webhook))["last_error"] == "too_large"


async def test_a_private_address_is_refused_when_the_setting_is_gone(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    await stage.happens()
    async with ProviderClient(timeout=TIMEOUT) as strict:
        assert await Deliverer(stage.keyrack.store, strict, timeout=TIMEOUT).tick() == 1
    assert receiver.messages == []
    assert (await stage.delivery(webhook))["last_error"] == "forbidden_url"


async def test_a_slow_receiver_with_much_to_do_does_not_hold_up_another(stage: Stage, receiver: Receiver) -> None:
    async with receiving() as slow:
        slow.answer = _hang
        await stage.webhook(slow.url)
        for _ in range(70):
            await stage.happens()
        quick = await stage.webhook(receiver.url, event_types=["secret.created"])
        await stage.happens(EventType.secret_created)
        worker = stage.new_worker(patience=0.5)
        await worker.tick()
        assert (await stage.delivery(quick))["state"] == "delivered"
        assert len(slow.messages) <= 8, "no more at a time to one receiver"
        await worker.close()


async def test_two_workers_share_without_sending_twice(stage: Stage, receiver: Receiver) -> None:
    await stage.webhook(receiver.url)
    for _ in range(12):
        await stage.happens()
    workers = [stage.new_worker() for _ in range(2)]
    done = 0
    for _ in range(10):
        done += sum(await asyncio.gather(*(worker.tick() for worker in workers)))
        if done >= 12:
            break
    assert done == 12
    ids = [message.id for message in receiver.messages]
    assert len(ids) == len(set(ids)) == 12


async def test_a_late_worker_does_not_overwrite_the_outcome_of_another(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    let_go = asyncio.Event()

    async def answer(_: Message) -> web.Response:
        if len(receiver.messages) == 1:
            await let_go.wait()
            return web.Response(status=500)
        return web.Response(status=200)

    receiver.answer = answer
    await stage.happens()
    late = Deliverer(stage.keyrack.store, stage.client, timeout=TIMEOUT, patience=0.1)
    assert await late.tick() == 0, "its receiver is still busy"
    stage.time.forward(minutes=2)  # the lease is over
    assert await stage.worker.tick() == 1
    let_go.set()
    await late.close()
    assert (await stage.delivery(webhook))["state"] == "delivered"


async def test_after_a_rotation_old_and_new_secret_verify_for_a_day(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(receiver.url)
    rotated = (await stage.ask("POST", webhook, "/rotate-secret"))["attributes"]["secret"]
    await stage.happens()
    await stage.worker.tick()
    for secret in (webhook["secret"], rotated):
        assert receiver.messages[0].verified(secret)["type"] == "secret.failed"
    stage.time.forward(hours=25)
    await stage.happens()
    await stage.worker.tick()
    assert receiver.messages[1].headers["webhook-signature"].count("v1,") == 1


async def test_secrets_and_addresses_are_not_stored_in_clear(stage: Stage, receiver: Receiver) -> None:
    webhook = await stage.webhook(f"{receiver.url}?token=c4n4ry")
    async with stage.keyrack.store.unit(stage.acme.id) as unit:
        (row,) = (await unit.connection.execute(select(webhooks))).all()
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert b"c4n4ry" not in stored
    assert webhook["secret"].removeprefix("whsec_").encode() not in stored


WORKER = """
import asyncio, sys
from keyrack.wiring.services import build_services
from keyrack.wiring.storage import open_store
from keyrack.settings import load_settings

async def main():
    settings = load_settings()
    store = open_store(settings)
    await build_services(store, settings).deliverer.tick()

asyncio.run(main())
"""


async def test_a_worker_killed_between_sending_and_storing_sends_it_again_with_the_same_id(
    stage: Stage, receiver: Receiver
) -> None:
    webhook = await stage.webhook(receiver.url)
    await stage.happens()
    worker: list[asyncio.subprocess.Process] = []

    async def kill_the_sender(_: Message) -> web.Response:
        if len(receiver.messages) == 1:
            os.kill(worker[0].pid, signal.SIGKILL)
        return web.Response(status=200)

    receiver.answer = kill_the_sender
    settings = stage.keyrack.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")} | {
        "KEYRACK_HOME": str(settings.home),
        "KEYRACK_DATABASE_URL": settings.effective_database_url.reveal(),
        "KEYRACK_ALLOW_INSECURE_PROVIDERS": "true",
    }
    worker.append(await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environment))
    assert await asyncio.wait_for(worker[0].wait(), 60) == -signal.SIGKILL
    assert (await stage.delivery(webhook))["state"] == "pending"
    assert await stage.worker.tick() == 0, "it is claimed until its lease ends"
    stage.time.forward(minutes=2)
    assert await stage.worker.tick() == 1
    first, second = receiver.messages
    assert first.id == second.id
    assert json.loads(first.body) == second.verified(webhook["secret"])
    assert (await stage.delivery(webhook))["state"] == "delivered"


async def _hang(_: Message) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()
