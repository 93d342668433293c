"""What one tenant has stored, however large, holds up nobody else's requests (invariant 7)."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from keyrack import ids
from keyrack.api import body
from keyrack.api.jsonapi import Many, PageMeta
from keyrack.api.lists import SLICE_BYTES, Deferred, DocumentResponse
from keyrack.store.contracts import Contracts
from keyrack.store.schema import contracts
from keyrack.turns import Turns
from support.app import World
from support.waiting import until

LARGE = {"note": ['ü"\\' * 90_000]}  # 0.9 MB of JSON


async def add_contracts(keyrack: World, tenant_id: str, count: int, custom_data: Any) -> list[str]:
    rows = [
        {
            "id": ids.new_id(), "tenant_id": tenant_id, "name": f"C {number}", "status": "active", "attributes": {},
            "available_roles": [], "custom_data": custom_data,
        }
        for number in range(count)
    ]  # fmt: skip
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        await unit.connection.execute(insert(contracts), rows)
    return [row["id"] for row in rows]


class Watched:
    """An ASGI receiver that takes the answer slice by slice."""

    def __init__(self) -> None:
        self.status = 0
        self.slices: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.go = asyncio.Event()
        self.go.set()
        self.whole = asyncio.Event()

    async def __call__(self, message: Any) -> None:
        await self.go.wait()
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.slices.append(message["body"])
            if not message.get("more_body"):
                self.whole.set()

    async def receive(self) -> Any:
        """Be there until the whole answer is."""
        await self.whole.wait()
        return {"type": "http.disconnect"}


async def ask(keyrack: World, path: str, headers: dict[str, str], watched: Watched) -> None:
    name, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": name, "raw_path": name.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http", "server": ("keyrack.test", 80),
        "client": ("127.0.0.1", 9), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    first = True

    async def body() -> Any:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        return await watched.receive()

    await keyrack.app(scope, body, watched)


async def test_a_page_of_large_contracts_is_read_and_sent_in_slices(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    attacker, victim = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    made = await add_contracts(keyrack, attacker.id, 20, LARGE)
    read: list[int] = []
    inner = Contracts.custom_data

    async def counted(self: Contracts, contract_ids: Any) -> Any:
        read.append(len(contract_ids))
        return await inner(self, contract_ids)

    monkeypatch.setattr(Contracts, "custom_data", counted)
    watched = Watched()
    attack = asyncio.create_task(ask(keyrack, "/v2/contracts?page[size]=1000", attacker.admin.headers, watched))
    await until(lambda: read or attack.done())
    assert read
    watched.go.clear()  # the attacker reads no further, while the victim works
    got = [(await victim.admin.get(f"/v2/contracts/{victim.contract_id}")).status_code for _ in range(5)]
    assert got == [200] * 5
    assert len(read) <= 2, "what is not sent is not read"
    watched.go.set()
    await attack

    # Never more than four of them in memory, never more than one in a slice.
    assert sum(read) == len(made)
    assert max(read) <= 4
    assert max(map(len, watched.slices)) < SLICE_BYTES + 1_300_000
    assert b"content-length" not in watched.headers
    document = json.loads(b"".join(watched.slices))
    shown = {each["id"]: each["attributes"].get("custom_data") for each in document["data"]}
    assert shown == dict.fromkeys(made, LARGE) | {attacker.contract_id: None}
    assert document["meta"] == {"page": 1, "per_page": 1000, "total": 21, "total_pages": 1}


async def test_who_may_not_see_custom_data_has_none_read_and_neither_has_what_only_looks_at_a_contract(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack.tenants["Acme"]
    body = {"data": {"type": "contract", "attributes": {"custom_data": LARGE}}}
    assert (await acme.admin.patch(f"/v2/contracts/{acme.contract_id}", body)).status_code == 200

    async def refused(_self: Contracts, _ids: Any) -> Any:
        raise AssertionError("custom data was read")

    monkeypatch.setattr(Contracts, "custom_data", refused)
    for path in ("/v2/contracts", f"/v2/contracts/{acme.contract_id}", f"/v2/contracts/{acme.contract_id}/members"):
        assert (await acme.integrator.get(path)).status_code == 200


async def sent(content: Any) -> Watched:
    watched = Watched()

    response = DocumentResponse(content).to_asgi_response(None, None)  # type: ignore[arg-type]  # it asks nothing of the request
    await response({}, watched.receive, watched)  # type: ignore[arg-type]
    return watched


async def test_a_list_in_slices_is_the_same_document_as_in_one() -> None:
    resources = [{"id": str(number), "text": "ü" * 1000} for number in range(500)]
    for data in (resources[:3], resources, []):
        document: Many[Any] = Many(data, PageMeta(total=3), included=[*data], links=None)  # type: ignore[arg-type]
        watched = await sent(document)
        assert b"".join(watched.slices) == msgspec.json.encode(document)
        assert (b"content-length" in watched.headers) is (len(data) < 10)
        assert max(map(len, watched.slices)) < SLICE_BYTES + 2_100

    async def later() -> AsyncIterator[Any]:
        for each in resources:
            yield each

    watched = await sent(Deferred(later(), PageMeta()))
    assert b"".join(watched.slices) == msgspec.json.encode(Many(resources))


async def test_others_have_their_turn_whenever_a_step_took_long() -> None:
    time, turns = [0.0], 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    steps = Turns(lambda: time[0])
    for _ in range(100):
        time[0] += 0.001
        await steps.step()
    task.cancel()
    assert 15 <= turns <= 21, "one in five steps"


async def test_a_large_body_is_parsed_beside_the_event_loop(
    keyrack_to_read: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    parsed_by: list[bool] = []
    inner = body.parse_json

    def noted(content: bytes) -> Any:
        parsed_by.append(threading.current_thread() is threading.main_thread())
        return inner(content)

    monkeypatch.setattr(body, "parse_json", noted)
    path, more = f"/v2/contracts/{acme.contract_id}", {"headers": {"content-type": "application/json"}}
    for content in ("[" + "[]," * 100_000 + "[]]", "{}", "[" * 70_000):
        answer = await acme.admin.call("PATCH", path, content=content, **more)
        assert answer.status_code == 400, answer.text
    assert parsed_by == [False, True, False]
    refresh = f"/v2/contracts/{acme.contract_id}/unsuspend"
    assert (await acme.admin.call("POST", refresh, content=" " * 70_000 + "{}", **more)).status_code == 400
    assert len(parsed_by) == 3
