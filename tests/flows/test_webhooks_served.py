"""A serving process delivers by itself, nothing but `keyrack serve` runs; and what a delivery leaves in the log."""

import asyncio
from pathlib import Path

import httpx2
from structlog.testing import capture_logs

from support.app import World
from support.keyrack_processes import bootstrapped, serving
from support.loopback_peers import receiving

INSECURE = {"KEYRACK_ALLOW_INSECURE_PROVIDERS": "true"}


async def test_a_test_event_arrives(tmp_path: Path) -> None:
    first = await asyncio.to_thread(bootstrapped, tmp_path)
    async with receiving() as receiver:
        running = serving(tmp_path, first, **INSECURE)
        served = await asyncio.to_thread(running.__enter__)
        try:
            where = f"{served.base}/v2/tenants/{first['tenant_id']}/webhooks"
            async with httpx2.AsyncClient(auth=served.admin) as http:
                sent = {"data": {"type": "webhook", "attributes": {"url": receiver.url}}}
                webhook = (await http.post(where, json=sent)).json()["data"]
                assert (await http.post(f"{where}/{webhook['id']}/test")).status_code == 202
            await asyncio.wait_for(receiver.arrived.wait(), 30)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
        (message,) = receiver.messages
        assert message.verified(webhook["attributes"]["secret"])["data"] == {"webhook_id": webhook["id"]}


async def test_a_delivery_is_one_line_in_the_log_and_no_fault(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    where = f"/v2/tenants/{acme.id}/webhooks"
    async with receiving() as receiver:
        sent = {"data": {"type": "webhook", "attributes": {"url": receiver.url}}}
        webhook = (await acme.admin.post(where, sent)).json()["data"]
        assert (await acme.admin.post(f"{where}/{webhook['id']}/test")).status_code == 202
        with capture_logs() as log:
            assert await keyrack.services.deliverer.tick() == 1
        (message,) = receiver.messages
    told = {"webhook": webhook["id"], "event_id": message.id, "attempt": 1, "status": 204, "error": None}
    assert log == [{"event": "webhook", "log_level": "info", **told}]
