"""What docs/webhooks.md shows works: its receiver takes what Keyrack sends and refuses everything else."""

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from keyrack.model.events import TELLABLE, EventType
from support.app import World
from support.loopback_peers import Message, receiving

PAGE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8")


def receive(*given: Any) -> int:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(code, "docs/webhooks.md", "exec"), scope)
    status: int = scope["receive"](*given)
    return status


@pytest.mark.parametrize("kind", [*TELLABLE, EventType.webhook_test])
def test_every_type_is_described(kind: EventType) -> None:
    assert f"| `{kind.value}` |" in PAGE


async def test_the_example_takes_what_keyrack_sends(keyrack: World, capsys: pytest.CaptureFixture[str]) -> None:
    acme = keyrack.tenants["Acme"]
    secret = ""

    async def answer(message: Message) -> web.Response:
        return web.Response(status=receive(secret, dict(message.headers), message.body))

    async with receiving() as receiver:
        receiver.answer = answer
        sent = {"data": {"type": "webhook", "attributes": {"url": receiver.url}}}
        webhook = (await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks", sent)).json()["data"]
        secret = webhook["attributes"]["secret"]
        await acme.admin.post(f"/v2/tenants/{acme.id}/webhooks/{webhook['id']}/test")
        assert await keyrack.services.deliverer.tick() == 1
        (message,) = receiver.messages
    assert f"{message.id} webhook.test" in capsys.readouterr().out
    (delivery,) = (await acme.admin.get(f"/v2/tenants/{acme.id}/webhooks/{webhook['id']}/deliveries")).json()["data"]
    assert delivery["attributes"]["state"] == "delivered"
    assert receive(secret, dict(message.headers), message.body + b" ") == 401
