"""Lists that return everything (contract section 4) take little memory however long they are, and hold up nobody."""

import asyncio
import base64
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete, insert

from keyrack.api.core.jsonapi import Page
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id, new_revision
from keyrack.settings import load_settings
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractMembers
from keyrack.store.core.paging import After
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.credentials import CredentialRows
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.schema import credentials, workspace_members
from keyrack.store.workspaces import WorkspaceMembers
from keyrack.wiring.storage import open_store
from support.app import World, relationship
from support.crowd import Home, crowd
from support.grants import add_auth_client
from support.keyrack_processes import Installation, installation
from support.parts import require_part
from support.postgres import PostgresServer
from support.raw_provider import RawProvider
from support.waits_and_faults import until

ROWS, KEYS = 4_000, {"token": "t" * 8_000}
MIB = 1 << 20
WHOLE_MIB = ROWS * 8_000 / MIB
"""Less than what a process grows by that holds the list once: its first long list makes it grow by up to 18 MiB."""


@dataclass(frozen=True)
class Filled:
    """A serving process whose first admin has `ROWS` credentials, 32 MB of JSON."""

    served: Installation
    store: Store
    ids: list[str]

    @property
    def first(self) -> Mapping[str, Any]:
        return self.served.first

    @property
    def path(self) -> str:
        return f"/v2/credentials?workspace_id={self.first['workspace_id']}"

    @property
    def auth(self) -> tuple[str, str]:
        return self.first["admin"]["email"], self.first["admin"]["api_key"]

    def http(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.served.base, auth=httpx2.BasicAuth(*self.auth), timeout=60)

    def memory(self, what: str) -> int:
        """Return MiB of the serving process: `VmRSS` now, `VmHWM` at most."""
        status = Path(f"/proc/{self.served.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) // 1024

    def forget_peak(self) -> int:
        """Let the greatest memory begin anew; return what there is now."""
        Path(f"/proc/{self.served.pid}/clear_refs").write_text("5")
        return self.memory("VmRSS")


async def row(unit: Unit, first: Mapping[str, Any], credential_id: str) -> dict[str, Any]:
    return {
        "id": credential_id, "tenant_id": first["tenant_id"], "workspace_id": first["workspace_id"],
        "component_id": "c" * 24, "user_id": first["admin"]["user_id"], "name": "N",
        "sealed_keys": await unit.seal(credentials, credential_id, "sealed_keys", KEYS),
        "created_at": unit.clock(), "updated_at": unit.clock(),
    }  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    if sys.platform != "linux":
        require_part("the greatest memory of a process", "only Linux tells it")
    more: dict[str, Any] = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.sql("CREATE DATABASE whole_lists")
        more = {"database_url": server.url("whole_lists")}
    with installation(tmp_path_factory.mktemp("whole-lists"), **more) as served:
        store = open_store(load_settings({**os.environ, **served.environment}))
        made = [new_id() for _ in range(ROWS)]
        for start in range(0, ROWS, 500):
            async with store.unit(served.first["tenant_id"], writes=True) as unit:
                rows = [await row(unit, served.first, each) for each in made[start : start + 500]]
                await unit.connection.execute(insert(credentials), rows)
        yield Filled(served, store, made)
        await store.close()
    if more:
        server.sql("DROP DATABASE whole_lists WITH (FORCE)")


def reading(filled: Filled) -> socket.socket:
    """Ask for the list, take its beginning, and then nothing more."""
    connection = socket.create_connection(("127.0.0.1", int(filled.served.base.rpartition(":")[2])), timeout=60)
    token = base64.b64encode(":".join(filled.auth).encode()).decode()
    head = f"GET {filled.path} HTTP/1.1\r\nhost: keyrack.test\r\nauthorization: Basic {token}\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(1 << 10).startswith(b"HTTP/1.1 200")
    return connection


def rest(connection: socket.socket) -> tuple[bytes, bool]:
    """Take the rest of an answer; return it without the frames of its chunks, and whether its end came."""
    received = bytearray()
    while not received.endswith(b"\r\n0\r\n\r\n"):
        some = connection.recv(1 << 20)
        if not some:
            return bytes(received), False
        received += some
    return bytes(received), True


def listed_ids(received: bytes) -> list[str]:
    """Return the ids of what an answer lists; one that a chunk's frame cuts in two is put together."""
    return re.findall(r'"id":"([0-9a-f]{24})","links"', re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received).decode())


def test_a_long_list_takes_little_memory_while_others_are_answered(filled: Filled) -> None:
    with filled.http() as http, filled.http() as other:
        http.get("/v2/users/me").raise_for_status()
        before = filled.forget_peak()
        content, answered = bytearray(), list[int]()
        with http.stream("GET", filled.path) as answer:
            for some in answer.iter_raw(MIB):
                content += some
                answered.append(other.get("/v2/users/me").status_code)
        assert (answer.status_code, set(answered)) == (200, {200})
        assert len(answered) > WHOLE_MIB, "others are answered between any two parts of the list"
        assert filled.memory("VmHWM") - before < WHOLE_MIB
        document = json.loads(content)
        assert [each["id"] for each in document["data"]] == filled.ids
        assert all(each["attributes"]["keys"] == KEYS for each in document["data"])
        assert (document["meta"], document["links"]) == ({}, {"self": "/v2/credentials"})
        head = http.head(filled.path)
        assert (head.status_code, head.content) == (200, b"")


async def test_what_is_not_taken_is_not_read_and_what_comes_and_goes_meanwhile_is_told_or_not(filled: Filled) -> None:
    before = filled.forget_peak()
    with reading(filled) as stalled, filled.http() as other:
        assert [other.get("/v2/users/me").status_code for _ in range(20)] == [200] * 20
        gone, come = filled.ids[-1], new_id()
        async with filled.store.unit(filled.first["tenant_id"], writes=True) as unit:
            await CredentialRows(unit).remove(gone)
            await unit.connection.execute(insert(credentials), [await row(unit, filled.first, come)])
        filled.ids[-1] = come
        assert filled.memory("VmHWM") - before < WHOLE_MIB
        received, whole = rest(stalled)
    assert whole
    assert listed_ids(received)[-len(filled.ids) + 1 :] == filled.ids[1:], "each of those that are there, once"


def test_a_list_whose_reader_is_gone_is_made_no_further(filled: Filled) -> None:
    before = filled.forget_peak()
    for _ in range(10):
        reading(filled).close()
    with filled.http() as http:
        assert len(http.get(filled.path).json()["data"]) == ROWS
    assert filled.memory("VmHWM") - before < WHOLE_MIB


async def test_who_loses_the_permission_in_the_midst_gets_no_end(filled: Filled) -> None:
    first = filled.first
    mine = workspace_members.c.user_id == first["admin"]["user_id"]
    here = workspace_members.c.workspace_id == first["workspace_id"]
    with reading(filled) as connection:
        async with filled.store.unit(first["tenant_id"], writes=True) as unit:
            await unit.connection.execute(delete(workspace_members).where(mine, here))
        received, whole = rest(connection)
    async with filled.store.unit(first["tenant_id"], writes=True) as unit:
        await WorkspaceMembers(unit).add(first["workspace_id"], first["admin"]["user_id"], ["owner"])
    assert not whole
    assert len(listed_ids(received)) < ROWS
    with filled.http() as http:
        assert len(http.get(filled.path).json()["data"]) == ROWS


async def test_lists_of_one_tenant_leave_room_for_those_of_another(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    globex, acme = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    for owner in (globex, acme):
        async with keyrack.store.unit(owner.id, writes=True) as unit:
            for _ in range(3):
                await CredentialRows(unit).add(owner.workspace_id, "c" * 24, owner.admin.id, "N", {"a": "b"})
    monkeypatch.setattr(Page, "STRETCH", 1)
    inner, held, go = CredentialRows.page, list[str](), asyncio.Event()

    async def slow(self: CredentialRows, *given: Any, **named: Any) -> Any:
        if self.unit.tenant_id == globex.id and named["offset"] != After():
            held.append(self.unit.tenant_id)
            await go.wait()
        return await inner(self, *given, **named)

    monkeypatch.setattr(CredentialRows, "page", slow)
    path = f"/v2/credentials?workspace_id={globex.workspace_id}"
    attack = [asyncio.create_task(globex.admin.get(path)) for _ in range(8)]
    await until(lambda: len(held) == 3)
    answer = await acme.admin.get(f"/v2/credentials?workspace_id={acme.workspace_id}")
    assert len(answer.json()["data"]) == 3
    assert len(held) == 3, "the others of the eight wait"
    go.set()
    assert [len(each.json()["data"]) for each in await asyncio.gather(*attack)] == [3] * 8


async def test_every_list_is_the_same_in_stretches_as_at_once(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    acme = keyrack.tenants["Acme"]
    made = [await add_auth_client(keyrack.store, each, raw_provider.token_endpoint) for each in (acme.id, "", acme.id)]
    home = Home(acme.id, acme.contract_id, acme.workspace_id, acme.admin.id, acme.team_id, made[0].id, acme.admin.id)
    for kind in ("secrets", "credentials", "components"):
        await crowd(keyrack.store, home, kind, 3)
    component_id = await keyrack.add_component(acme, "built", {"title": "B"})
    users = [await keyrack.add_user(acme.id, f"u{number}@acme.example") for number in range(3)]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        found, _ = await ComponentRows(unit).matching([ComponentRows(unit).seen], limit=None, offset=0)
        for component in found[:3]:
            await OAuthClientRows(unit).add(component.id, "id", Secret("secret"), None)
        for _ in range(3):
            await ComponentVersions(unit).add(component_id, new_revision(), {"title": "B"})
        for user in users:
            await ContractMembers(unit).add(acme.contract_id, user.id, ["member"])
            await WorkspaceMembers(unit).add(acme.workspace_id, user.id, ["guest"])
    invited = f"u0@{acme.id}.example"
    guest = await keyrack.add_user(acme.id, invited)

    async def make(path: str, kind: str, attributes: dict[str, Any], **more: Any) -> str:
        answer = await acme.admin.post(path, {"data": {"type": kind, "attributes": attributes, **more}})
        assert answer.is_success, answer.text
        return str(answer.json()["data"]["id"])

    for number in range(3):
        related = {"contract": relationship("contract", acme.contract_id)}
        await make("/v2/teams", "team", {"name": f"team-{number}"}, relationships=related)
        await make("/v2/users/me/api-keys", "api-key", {"name": f"Key {number}"})
        contract_id = await make("/v2/contracts", "contract", {"name": f"Contract {number}"})
        for place, email in ((acme.contract_id, f"u{number}@else.example"), (contract_id, invited)):
            offer = {"email": email, "roles": ["member"]}
            await make(f"/v2/contracts/{place}/invites", "contract-invite", offer)

    paths = [
        f"/v2/workspaces/{acme.workspace_id}/secrets",
        f"/v2/workspaces/{acme.workspace_id}/secrets?filter[state]=ready",
        f"/v2/credentials?workspace_id={acme.workspace_id}",
        f"/v2/components?contract_id={acme.contract_id}",
        f"/v2/components?contract_id={acme.contract_id}&filter[access]=private",
        "/v2/components/all",
        f"/v2/workspaces/{acme.workspace_id}/components",
        f"/v2/components/{component_id}/versions",
        f"/v2/tenants/{acme.id}/oauth-clients",
        f"/v2/tenants/{acme.id}/auth-clients",
        f"/v2/auth-clients?workspace_id={acme.workspace_id}",
        f"/v2/contracts/{acme.contract_id}/members",
        f"/v2/workspaces/{acme.workspace_id}/members",
        f"/v2/contracts/{acme.contract_id}/invites",
        f"/v2/teams?contract_id={acme.contract_id}",
        "/v2/users/me/api-keys",
    ]

    async def told() -> dict[str, Any]:
        answers = {path: await acme.admin.get(path) for path in paths}
        answers["/v2/tenants"] = await keyrack.support.get("/v2/tenants")
        answers["/v2/users/me/invites"] = await guest.get("/v2/users/me/invites")
        assert {answer.status_code for answer in answers.values()} == {200}
        return {path: answer.json() for path, answer in answers.items()}

    at_once = await told()
    assert [path for path, document in at_once.items() if len(document["data"]) == 1] == []
    for rows in (1, 2):
        monkeypatch.setattr(Page, "STRETCH", rows)
        assert await told() == at_once


async def test_a_build_that_a_list_does_not_link_to_is_not_included(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack.tenants["Acme"]
    component_ids = [await keyrack.add_component(acme, f"c{number}", {"title": "C"}) for number in range(3)]
    monkeypatch.setattr(Page, "STRETCH", 1)
    inner, asked = ComponentRows.matching, 0

    async def meanwhile(self: ComponentRows, *given: Any, **named: Any) -> Any:
        nonlocal asked
        asked += named["offset"] == After()
        if asked == 2 and named["offset"] == After():  # what is included is about to be read
            await keyrack.add_component(acme, "new", {"title": "New"})
            async with keyrack.store.unit(acme.id, writes=True) as unit:
                await ComponentRows(unit).remove(component_ids[0])
        return await inner(self, *given, **named)

    monkeypatch.setattr(ComponentRows, "matching", meanwhile)
    listed = (await acme.admin.get(f"/v2/components?contract_id={acme.contract_id}")).json()
    assert {each["id"] for each in listed["data"]} >= set(component_ids)
    builds = [each for each in listed["included"] if each["type"] == "version"]
    included = {each["relationships"]["component"]["data"]["id"] for each in builds}
    assert included == {each["id"] for each in listed["data"]} - {component_ids[0]}
