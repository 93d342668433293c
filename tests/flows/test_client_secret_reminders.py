"""The end of a client's secret is told 30, 14, 7 and 1 days before, and when it has come: each once (decision 27)."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from structlog.testing import capture_logs

from keyrack import clock
from keyrack.clock import iso
from keyrack.service.clients.secret_reminders import SecretReminders
from keyrack.store.core.store import Store
from keyrack.store.expiring_clients import BATCH
from keyrack.store.outbox import Outbox
from keyrack.wiring.storage import open_store
from keyrack.wiring.worker import build_worker
from support.app import BASE, TenantInTest, World, relationship, settings_for, world
from support.auth_clients import OAUTH2, SECOND_GENERATION, auth_client, change, make
from support.loopback_peers import Message, Receiver, receiving

SECRET = "canary-of-the-client"
PIZZA = {"title": "Pizza Van", "useOAuthClient": True, "credentials": {"oauth2": {}}}


class Time:
    """The real time, moved ahead by a test."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


@dataclass
class Stage:
    """An installation, a clock to move, and what webhooks were told."""

    keyrack: World
    time: Time
    receiver: Receiver
    begun: datetime
    hooks: dict[str, str] = field(default_factory=dict)

    def tenant(self, name: str = "Acme") -> TenantInTest:
        return self.keyrack.tenants[name]

    def day(self, days: float) -> datetime:
        """Return a time so many days after the beginning."""
        return self.begun + timedelta(days=days)

    def go_to(self, moment: datetime) -> None:
        """Move the clock just past a time."""
        self.time.ahead = moment - clock.now() + timedelta(seconds=1)

    async def listen(self, name: str = "Acme") -> None:
        tenant = self.tenant(name)
        sent = {"data": {"type": "webhook", "attributes": {"url": self.receiver.url}}}
        made = await tenant.admin.post(f"/v2/tenants/{tenant.id}/webhooks", sent)
        assert made.status_code == 201, made.text
        self.hooks[name] = made.json()["data"]["attributes"]["secret"]

    async def oauth_client(self, ends: datetime | None, name: str = "Acme", component: str = "van") -> tuple[str, str]:
        """Make an OAuth client; return its id and its component's."""
        tenant = self.tenant(name)
        component_id = await self.keyrack.add_component(tenant, component, PIZZA)
        body = self.pair(component_id, ends)
        made = await tenant.admin.post(f"/v2/tenants/{tenant.id}/oauth-clients", body)
        assert made.status_code == 201, made.text
        return made.json()["data"]["id"], component_id

    def pair(self, component_id: str, ends: datetime | None) -> dict[str, Any]:
        attributes = {"client_id": "id", "client_secret": SECRET, "secret_expires_at": ends and iso(ends)}
        related = {"component": relationship("component", component_id)}
        return {"data": {"type": "oauth-client", "attributes": attributes, "relationships": related}}

    async def auth_client(self, ends: datetime, scope: str | None = "workspace") -> str:
        acme = self.tenant()
        access = "team" if scope else "global"
        component_id = await self.keyrack.add_component(acme, f"ledger-{scope}", SECOND_GENERATION, access)
        scopes = {"workspace": acme.workspace_id, "contract": acme.contract_id, "tenant": acme.id}
        place = None if scope is None else (scope, scopes[scope])
        body = auth_client([component_id], place, OAUTH2 | {"client_secret": SECRET})
        body["data"]["attributes"]["secret_expires_at"] = iso(ends)
        return await make(self.keyrack.support, body)

    async def tick(self, *stores: Store) -> int:
        """Let workers look at the same time; return of how many clients they told."""
        workers = [SecretReminders(store) for store in stores or [self.keyrack.store]]
        return sum(await asyncio.gather(*(worker.tick() for worker in workers)))

    async def told(self) -> list[dict[str, Any]]:
        """Deliver what there is; return what has arrived since the last time, verified."""
        while await self.keyrack.services.deliverer.tick():
            pass
        arrived, self.receiver.messages[:] = list(self.receiver.messages), []
        assert all(SECRET.encode() not in message.body for message in arrived)
        return [self.verified(message) for message in arrived]

    def verified(self, message: Message) -> dict[str, Any]:
        """Return what a message says, if it is signed right at the time as it is here."""
        at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
        assert abs(at - self.time()) < timedelta(minutes=5)
        signature = Verifier(self.hooks["Acme"]).sign(message.id, at, message.body.decode())
        assert signature in message.headers["webhook-signature"].split()
        said: dict[str, Any] = json.loads(message.body)
        return said


@pytest.fixture
async def stage(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[Stage]:
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    time = Time()
    async with world(settings, time) as keyrack, receiving() as receiver:
        made = Stage(keyrack, time, receiver, time())
        await made.listen()
        yield made


def days(told: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(each["type"], each["data"]["days_left"]) for each in told]


def spelled(facts: dict[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True)


EXPIRING, EXPIRED = "client.secret_expiring", "client.secret_expired"


async def test_each_end_is_told_five_times_with_ids_alone(stage: Stage) -> None:
    acme, ends = stage.tenant(), stage.day(40)
    oauth_client, component = await stage.oauth_client(ends)
    scopes = ("workspace", "contract", "tenant")
    auth_clients = {scope: await stage.auth_client(ends, scope) for scope in scopes}
    whose: list[dict[str, Any]] = [
        {"oauth_client_id": oauth_client, "component_id": component},
        {"auth_client_id": auth_clients["workspace"], "workspace_id": acme.workspace_id},
        {"auth_client_id": auth_clients["contract"], "contract_id": acme.contract_id},
        {"auth_client_id": auth_clients["tenant"]},
    ]
    assert await stage.tick() == 0
    for left in (30, 14, 7, 1, 0):
        stage.go_to(ends - timedelta(days=left))
        assert await stage.tick() == 4
        assert await stage.tick() == 0, "once"
        told = await stage.told()
        assert {each["type"] for each in told} == {EXPIRING if left else EXPIRED}
        data = [each["data"] for each in told]
        assert all(abs(datetime.fromisoformat(each.pop("at")) - stage.time()) < timedelta(hours=1) for each in data)
        when = {"secret_expires_at": iso(ends), "days_left": left}
        assert sorted(data, key=spelled) == sorted((each | when for each in whose), key=spelled)
    stage.go_to(ends + timedelta(days=400))
    assert await stage.tick() == 0
    events = await acme.admin.get(f"/v2/tenants/{acme.id}/events?filter[type]={EXPIRED}")
    assert (len(events.json()["data"]), SECRET in events.text) == (4, False)


async def test_only_its_own_tenant_is_told(stage: Stage) -> None:
    await stage.oauth_client(stage.day(40), "Globex")
    stage.go_to(stage.day(10))
    assert await stage.tick() == 1
    assert await stage.told() == []
    seen = {}
    for name in ("Acme", "Globex"):
        tenant = stage.tenant(name)
        seen[name] = [each["attributes"]["type"] for each in
                      (await tenant.admin.get(f"/v2/tenants/{tenant.id}/events")).json()["data"]]  # fmt: skip
    assert seen == {"Acme": [], "Globex": [EXPIRING]}


async def test_of_what_nobody_was_there_to_tell_the_latest_is_told(stage: Stage) -> None:
    await stage.oauth_client(stage.day(40))
    stage.go_to(stage.day(36.5))
    assert await stage.tick() == 1
    assert days(await stage.told()) == [(EXPIRING, 4)], "instead of 30, 14 and 7"
    stage.go_to(stage.day(39))
    assert await stage.tick() == 1
    assert days(await stage.told()) == [(EXPIRING, 1)]
    await stage.oauth_client(stage.day(80), component="second")
    stage.go_to(stage.day(100))
    assert await stage.tick() == 2
    assert days(await stage.told()) == [(EXPIRED, 0), (EXPIRED, 0)]


async def test_several_workers_and_restarts_tell_each_once(stage: Stage) -> None:
    for number in range(5):
        await stage.oauth_client(stage.day(40), component=f"van-{number}")
        await stage.auth_client(stage.day(40), ("workspace", "contract", "tenant")[number]) if number < 3 else None
    settings = stage.keyrack.settings
    async with AsyncExitStack() as running:
        others = [open_store(settings, stage.time) for _ in range(3)]
        for store in others:
            running.push_async_callback(store.close)
        for left in (30, 14):
            stage.go_to(stage.day(40 - left))
            assert await stage.tick(stage.keyrack.store, *others) == 8
            assert days(await stage.told()) == [(EXPIRING, left)] * 8
    again = open_store(settings, stage.time)
    try:
        assert await stage.tick(again) == 0, "after a restart"
        stage.go_to(stage.day(33))
        assert await stage.tick(again) == 8
    finally:
        await again.close()
    assert days(await stage.told()) == [(EXPIRING, 7)] * 8


async def test_more_than_fit_into_one_round_are_told(stage: Stage) -> None:
    acme, component = stage.tenant(), await stage.keyrack.add_component(stage.tenant(), "ledger", SECOND_GENERATION)
    body = auth_client([component], ("tenant", acme.id))
    body["data"]["attributes"]["secret_expires_at"] = iso(stage.day(10))
    for _ in range(BATCH + 3):
        await make(acme.admin, body)
    stage.go_to(stage.day(10))
    assert [await stage.tick() for _ in range(3)] == [BATCH, 3, 0]


async def test_an_event_and_its_place_in_the_calendar_go_together(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.oauth_client(stage.day(40))
    stage.go_to(stage.day(10))

    async def fails(_outbox: Outbox, _happened: object) -> None:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "add_all", fails)
        with pytest.raises(RuntimeError, match="on purpose"):
            await stage.tick()
    assert await stage.told() == []
    assert await stage.tick() == 1
    assert days(await stage.told()) == [(EXPIRING, 30)]


async def test_a_date_tells_what_lies_ahead_when_it_is_set(stage: Stage) -> None:
    acme = stage.tenant()
    client, component = await stage.oauth_client(stage.day(20))
    path = f"/v2/tenants/{acme.id}/oauth-clients/{client}"

    async def set_to(ends: datetime | None) -> None:
        assert (await acme.admin.patch(path, stage.pair(component, ends))).status_code == 200

    assert await stage.tick() == 0, "20 days are left: the 30th is over"
    stage.go_to(stage.day(6))
    await set_to(stage.day(20))
    assert await stage.tick() == 1, "the same date again loses nothing that is due"
    await set_to(stage.day(20))
    assert await stage.tick() == 0, "and repeats nothing"
    await set_to(stage.day(60))
    stage.go_to(stage.day(13))
    assert await stage.tick() == 0, "the old date counts no more"
    stage.go_to(stage.day(30))
    assert await stage.tick() == 1
    assert days(await stage.told()) == [(EXPIRING, 14), (EXPIRING, 30)]
    await set_to(None)
    stage.go_to(stage.day(70))
    assert await stage.tick() == 0
    await set_to(stage.day(1))
    assert await stage.tick() == 0, "whoever sets a date that is over knows"


async def test_another_secret_and_a_deletion_end_the_reminders(stage: Stage) -> None:
    acme = stage.tenant()
    changed, deleted = [await stage.auth_client(stage.day(40), scope) for scope in ("workspace", "contract")]
    await acme.admin.patch(f"/v2/auth-clients/{changed}", change({"credentials": {"client_secret": "new"}}))
    assert (await acme.admin.delete(f"/v2/auth-clients/{deleted}")).status_code == 204
    stage.go_to(stage.day(41))
    assert await stage.tick() == 0


async def test_the_end_of_a_global_client_is_for_the_operator(stage: Stage) -> None:
    client = await stage.auth_client(stage.day(40), None)
    stage.go_to(stage.day(10))
    with capture_logs() as log:
        assert await stage.tick() == 1
        assert await stage.tick() == 0
    assert log == [{"event": EXPIRING, "log_level": "warning", "auth_client": client, "days_left": 30}]
    assert await stage.told() == []


async def test_the_worker_looks_by_itself(stage: Stage) -> None:
    await stage.oauth_client(stage.day(40))
    stage.go_to(stage.day(40))
    worker = build_worker(stage.keyrack.services, stage.keyrack.settings)
    await worker.start()
    try:
        await asyncio.wait_for(stage.receiver.arrived.wait(), 60)
    finally:
        await worker.stop(10)
    assert days(await stage.told()) == [(EXPIRED, 0)]


async def test_how_many_end_soon_is_a_metric(stage: Stage) -> None:
    acme, watcher = stage.tenant(), await stage.keyrack.add_service_account("global.metrics.get")
    for number, left in enumerate((0.5, 6.5, 6.9, 29, 31)):
        await stage.oauth_client(stage.day(left), component=f"van-{number}")
    for scope, left in (("tenant", 0.01), (None, 13.5)):
        await stage.auth_client(stage.day(left), scope)
    await stage.oauth_client(None, component="endless")
    stage.go_to(stage.day(0.1))
    text = (await watcher.get("/metrics")).text
    lines = [line.split() for line in text.splitlines() if line.startswith("keyrack_client_secrets_ending{")]
    name = "keyrack_client_secrets_ending"
    assert {line: float(value) for line, value in lines} == {
        f'{name}{{days="0"}}': 1, f'{name}{{days="1"}}': 2, f'{name}{{days="7"}}': 4, f'{name}{{days="14"}}': 5,
        f'{name}{{days="30"}}': 6,
    }  # fmt: skip
    assert acme.id not in text
