"""Which secrets of a webhook sign after it was rotated more than once, and when each ends, at a real receiver."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from keyrack import clock
from keyrack.model.events import EventType
from keyrack.store.outbox import Outbox
from keyrack.store.webhooks import WebhookRows
from support.app import BASE, World, settings_for, world
from support.loopback_peers import Message, Receiver, receiving


class Stage:
    """A webhook of Acme whose secrets are rotated, and a clock to move."""

    def __init__(self, receiver: Receiver) -> None:
        self.ahead = timedelta()
        self._receiver = receiver
        self._names: dict[str, str] = {}

    def now(self) -> datetime:
        return clock.now() + self.ahead

    async def make(self, keyrack: World) -> None:
        self._keyrack, self._acme = keyrack, keyrack.tenants["Acme"]
        sent = {"data": {"type": "webhook", "attributes": {"url": self._receiver.url}}}
        made = await self._acme.admin.post(f"/v2/tenants/{self._acme.id}/webhooks", sent)
        assert made.status_code == 201, made.text
        data = made.json()["data"]
        self._path = f"/v2/tenants/{self._acme.id}/webhooks/{data['id']}"
        self._names = {"first": data["attributes"]["secret"]}

    async def rotate(self, name: str) -> None:
        """Give the webhook a new secret, to be called by a name."""
        rotated = await self._acme.admin.post(f"{self._path}/rotate-secret")
        assert rotated.status_code == 200, rotated.text
        self._names[name] = rotated.json()["data"]["attributes"]["secret"]

    async def signing(self) -> list[str]:
        """Have an event delivered; return which secrets have signed it, in the order of the signatures."""
        async with self._keyrack.store.unit(self._acme.id, writes=True) as unit:
            await Outbox(unit).add(EventType.secret_failed, {"secret_id": "0" * 24})
        assert await self._keyrack.services.deliverer.tick() == 1
        message = self._receiver.messages[-1]
        signatures = message.headers["webhook-signature"].split()
        expected = {_signature(message, secret): name for name, secret in self._names.items()}
        return [expected.get(signature, "a secret that nobody was given") for signature in signatures]

    async def kept(self) -> int:
        """Return how many secrets are stored."""
        async with self._keyrack.store.unit(self._acme.id) as unit:
            ((webhook,), _) = await WebhookRows(unit).page()
        return len(webhook.keys)


def _signature(message: Message, secret: str) -> str:
    """Return the official library's signature; its check would judge the age of a message by the real time."""
    sent_at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
    signature: str = Verifier(secret).sign(message.id, sent_at, message.body.decode())
    return signature


@pytest.fixture
async def stage(tmp_path: Path, database_url: str | None) -> AsyncIterator[Stage]:
    settings = settings_for(tmp_path, database_url, allow_insecure_providers="true", public_url=BASE)
    async with receiving() as receiver:
        made = Stage(receiver)
        async with world(settings, made.now) as keyrack:
            await made.make(keyrack)
            yield made


async def test_each_secret_ends_a_day_after_it_was_rotated_itself(stage: Stage) -> None:
    await stage.rotate("second")
    assert await stage.signing() == ["second", "first"]
    stage.ahead = timedelta(hours=23)
    await stage.rotate("third")
    assert await stage.signing() == ["third", "second", "first"]
    stage.ahead = timedelta(hours=24, minutes=1)
    assert await stage.signing() == ["third", "second"], "another rotation does not lengthen the first one's day"
    stage.ahead = timedelta(hours=46, minutes=55)
    assert await stage.signing() == ["third", "second"]
    stage.ahead = timedelta(hours=47, minutes=1)
    assert await stage.signing() == ["third"]
    stage.ahead = timedelta(days=400)
    assert await stage.signing() == ["third"], "the newest never ends"


async def test_of_many_rotations_in_a_day_the_four_newest_secrets_sign(stage: Stage) -> None:
    for name in ("second", "third", "fourth"):
        await stage.rotate(name)
    assert await stage.signing() == ["fourth", "third", "second", "first"]
    await stage.rotate("fifth")
    assert await stage.signing() == ["fifth", "fourth", "third", "second"]


async def test_a_secret_that_has_ended_takes_no_place(stage: Stage) -> None:
    for name in ("second", "third", "fourth"):
        await stage.rotate(name)
    stage.ahead = timedelta(hours=25)
    await stage.rotate("fifth")
    assert await stage.signing() == ["fifth", "fourth"]
    assert await stage.kept() == 2, "nor is it kept"
