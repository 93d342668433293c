"""What one tenant has stored, however large, holds up nobody else's requests (invariant 7)."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from litestar.exceptions import LitestarException
from sqlalchemy import insert, update

from keyrack import ids
from keyrack.api.core import body
from keyrack.api.core.jsonapi import Many, PageMeta
from keyrack.api.core.lists import SLICE_BYTES, Deferred, DocumentResponse
from keyrack.crypto.secret import Secret
from keyrack.errors import DatabaseUnavailable
from keyrack.ids import new_revision
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractRows
from keyrack.store.core import large_columns
from keyrack.store.credentials import CredentialRows
from keyrack.store.flow_list import FlowList
from keyrack.store.flows import FlowRows, FlowVersions
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.schema import contracts, tenants
from keyrack.store.secret_list import SecretList
from keyrack.store.tenants import TenantRows
from keyrack.turns import STEP_SECONDS, Turns
from keyrack.validation import strict_json
from support.app import World
from support.grants import add_auth_client, add_secret
from support.raw_provider import RawProvider
from support.waits_and_faults import until

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
    inner = ContractRows.custom_data
    watched = Watched()

    async def counted(self: ContractRows, contract_ids: Any) -> Any:
        if not read:
            watched.go.clear()  # the attacker reads no further, while the victim works
        read.append(len(contract_ids))
        return await inner(self, contract_ids)

    monkeypatch.setattr(ContractRows, "custom_data", counted)
    attack = asyncio.create_task(ask(keyrack, "/v2/contracts?page[size]=1000", attacker.admin.headers, watched))
    await until(lambda: read or attack.done())
    assert read
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


LARGE_TEXT = 'ü"\\\\' * 60_000


async def add_flows(keyrack: World, count: int) -> dict[str, Any]:
    """Give a tenant large flows, the first with as many large versions, and one small flow; return graphs by id."""
    globex = keyrack.tenants["Globex"]
    large: dict[str, Any] = {"nodes": [{"id": "s", "note": LARGE_TEXT}], "edges": []}
    small: dict[str, Any] = {"nodes": [], "edges": []}
    graphs = {}
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        for graph in [large] * count + [small]:
            own = ("F", "ordinary", graph, {"nodes_config": {"s": LARGE_TEXT}} if graph is large else {})
            flow = await FlowRows(unit).add(globex.workspace_id, globex.admin.id, *own)
            graphs[flow.id] = graph
        for _ in range(count - 1):
            await FlowVersions(unit).add(next(iter(graphs)), new_revision(), large, globex.admin.id)
    return graphs


def watch_batches(
    monkeypatch: pytest.MonkeyPatch, owner: type, watched: Watched | None = None, *, method: str = "whole"
) -> list[int]:
    """Note how many rows are read at once of those that a list left out; `watched` reads no further after the first."""
    read: list[int] = []
    inner = getattr(owner, method)

    async def counted(self: Any, *found: Any) -> Any:
        if watched is not None and not read:
            watched.go.clear()
        read.append(len(found[-1]))
        return await inner(self, *found)

    monkeypatch.setattr(owner, method, counted)
    return read


async def test_pages_of_large_flows_are_read_in_batches_while_the_victim_is_answered(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    attacker, victim = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    graphs = await add_flows(keyrack, 8)
    watched = Watched()
    read = watch_batches(monkeypatch, FlowList, watched)
    path = f"/v2/flows?workspace_id={attacker.workspace_id}&page[size]=1000"
    attack = asyncio.create_task(ask(keyrack, path, attacker.admin.headers, watched))
    await until(lambda: read or attack.done())
    victims = f"/v2/flows?workspace_id={victim.workspace_id}"
    assert [(await victim.admin.get(victims)).status_code for _ in range(3)] == [200] * 3
    assert len(read) <= 2, "what is not sent is not read"
    watched.go.set()
    await attack

    assert (sum(read), max(read) <= 3) == (8, True)
    assert max(map(len, watched.slices)) < SLICE_BYTES + 2_000_000
    document = json.loads(b"".join(watched.slices))
    assert {each["id"]: each["attributes"]["graph"] for each in document["data"]} == graphs
    assert [each["attributes"].get("nodes_config") for each in document["data"]] == [{"s": LARGE_TEXT}] * 8 + [None]
    assert document["meta"] == {"page": 1, "per_page": 1000, "total": 9, "total_pages": 1}

    read = watch_batches(monkeypatch, FlowVersions)
    first = next(iter(graphs))
    listed = (await attacker.admin.get(f"/v2/flows/{first}/versions?page[size]=1000")).json()
    assert [each["attributes"]["graph"] for each in listed["data"]] == [graphs[first]] * 8
    assert (sum(read), max(read) <= 3) == (8, True)


async def test_a_row_that_is_deleted_while_a_list_is_sent_is_passed_over_and_a_fault_cuts_the_answer_off(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    globex = keyrack.tenants["Globex"]
    graphs = await add_flows(keyrack, 3)
    gone = list(graphs)[1]
    inner = FlowList.whole
    fault: Exception | None = None

    async def meanwhile(self: FlowList, found: Any) -> Any:
        if fault is not None and len(found) and found[0].id == list(graphs)[2]:
            raise fault
        return {flow_id: flow for flow_id, flow in (await inner(self, found)).items() if flow_id != gone}

    monkeypatch.setattr(FlowList, "whole", meanwhile)
    path = f"/v2/flows?workspace_id={globex.workspace_id}&page[size]=1000"
    listed = (await globex.admin.get(path)).json()
    assert [each["id"] for each in listed["data"]] == [each for each in graphs if each != gone]
    assert listed["meta"]["total"] == 4

    fault, watched = DatabaseUnavailable(), Watched()
    with pytest.raises(LitestarException):
        await ask(keyrack, path, globex.admin.headers, watched)
    assert watched.status == 200
    assert not watched.whole.is_set(), "the server closes the connection then"


async def test_other_lists_leave_out_what_is_large_and_read_it_in_batches(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    acme = keyrack.tenants["Acme"]
    descriptor = {"title": "C", "actions": {}, "note": LARGE_TEXT, "oauth2": {"client_secret": "literal"}}
    component_ids = [await keyrack.add_component(acme, f"c{number}", descriptor) for number in range(3)]
    client = await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint)
    tokens = {"access_token": LARGE_TEXT, "refresh_token": "rt"}
    secrets = [await add_secret(keyrack.store, acme, client, tokens) for _ in range(3)]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        keys = {"a": LARGE_TEXT}
        owner = (acme.workspace_id, component_ids[0], acme.admin.id, "N")
        credentials = [await CredentialRows(unit).add(*owner, keys) for _ in range(3)]
    read = {owner: watch_batches(monkeypatch, owner) for owner in (ComponentRows, CredentialRows, SecretList)}

    for path in (f"/v2/components?contract_id={acme.contract_id}&page[size]=1000", "/v2/components/all?page[size]=100"):
        listed = (await acme.admin.get(path)).json()
        notes = {
            each["relationships"]["version"]["links"]["self"]: each["attributes"]
            for each in listed["included"]
            if each["type"] == "descriptor" and "note" in each["attributes"]
        }
        assert [attributes["note"] for attributes in notes.values()] == [LARGE_TEXT] * 3
        assert not any("client_secret" in attributes["oauth2"] for attributes in notes.values())
        assert {each["id"] for each in listed["data"]} >= set(component_ids)
    one = (await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/components/{component_ids[0]}")).json()
    assert next(each for each in one["included"] if each["type"] == "descriptor")["attributes"]["note"] == LARGE_TEXT

    listed = (await acme.admin.get(f"/v2/credentials?workspace_id={acme.workspace_id}&page[size]=1000")).json()
    assert {each["id"]: each["attributes"].get("keys") for each in listed["data"]} == {
        each.id: keys for each in credentials
    }
    assert listed["links"] == {"self": "/v2/credentials"}
    shown = (await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/secrets?page[size]=1000")).json()["data"]
    assert {each["id"]: each["attributes"]["credentials"]["access_token"] for each in shown} == {
        each.id: LARGE_TEXT for each in secrets
    }
    assert {each["attributes"]["state"] for each in shown} == {"ready"}
    assert all(sum(batches) and max(batches) <= 3 for batches in read.values()), read


async def test_clients_with_long_credentials_are_listed_in_batches(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    acme = keyrack.tenants["Acme"]
    long = {"client_secret": LARGE_TEXT}
    owners = [acme.id, "", acme.id]
    clients = [await add_auth_client(keyrack.store, each, raw_provider.token_endpoint, **long) for each in owners]
    clients.append(await add_auth_client(keyrack.store, acme.id, raw_provider.token_endpoint))
    pairs = {}
    for number, secret in enumerate(["\N{SNOWMAN}" * 4096, "short", "\N{SNOWMAN}" * 4000]):
        component_id = await keyrack.add_component(acme, f"c{number}", {"title": "C"})
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            pairs[(await OAuthClientRows(unit).add(component_id, f"id-{number}", Secret(secret), "basic")).id] = secret
    read = [
        watch_batches(monkeypatch, AuthClientRows, method="find_many"),
        watch_batches(monkeypatch, OAuthClientRows),
    ]

    listed = (await acme.admin.get(f"/v2/tenants/{acme.id}/auth-clients?page[size]=1000")).json()
    shown = {each["id"]: each["attributes"].get("credentials", {}).get("client_secret") for each in listed["data"]}
    expected = {each.id: each.credentials["client_secret"] for each in clients if each.tenant_id}
    assert {name: secret for name, secret in shown.items() if secret} == expected, "a global client's keys are hidden"
    assert set(shown) >= {each.id for each in clients}
    assert read[0] == [1, 1], "the long ones of the tenant alone, of 0.9 MB each"

    listed = (await acme.admin.get(f"/v2/tenants/{acme.id}/oauth-clients?page[size]=1000")).json()
    got = {each["id"]: each["attributes"] for each in listed["data"] if each["id"] in pairs}
    assert {name: each["client_secret"] for name, each in got.items()} == pairs
    assert {each["client_auth"] for each in got.values()} == {"basic"}
    assert read[1] == [2]

    seen = (await keyrack.support.get("/v2/auth-clients?page[size]=1000")).json()["data"]
    secrets = {each["id"]: each["attributes"]["credentials"]["client_secret"] for each in seen}
    assert secrets[clients[1].id] == LARGE_TEXT
    assert read[0] == [1, 1, 1]


async def test_tenants_with_large_attributes_are_listed_in_batches(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keyrack.store.installation(writes=True) as unit:
        await unit.connection.execute(update(tenants).values(attributes={"code": LARGE_TEXT}))
    read = watch_batches(monkeypatch, TenantRows)
    listed = (await keyrack.support.get("/v2/tenants?page[size]=1000")).json()
    assert [each["attributes"]["code"] for each in listed["data"]] == [LARGE_TEXT] * listed["meta"]["total"]
    assert sum(read) == listed["meta"]["total"]


def test_a_batch_is_bounded_by_bytes_and_has_one_owners_rows_alone() -> None:
    def batches(*sizes: int, owners: str = "") -> list[list[int]]:
        rows = [(size, owners[number : number + 1]) for number, size in enumerate(sizes)]
        made = large_columns._batches(rows, lambda row: row[0], lambda row: row[1])
        return [[size for size, _ in batch] for batch in made]

    most = large_columns.BATCH_BYTES
    assert batches(most, 1, most - 1, 1, most * 3) == [[most], [1, most - 1], [1], [most * 3]]
    assert batches(1, 1, 1, owners="aab") == [[1, 1], [1]]
    assert [len(batch) for batch in batches(*[1] * 2500)] == [1000, 1000, 500]


async def test_who_may_not_see_custom_data_has_none_read_and_neither_has_what_only_looks_at_a_contract(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack.tenants["Acme"]
    body = {"data": {"type": "contract", "attributes": {"custom_data": LARGE}}}
    assert (await acme.admin.patch(f"/v2/contracts/{acme.contract_id}", body)).status_code == 200

    async def refused(_self: ContractRows, _ids: Any) -> Any:
        raise AssertionError("custom data was read")

    monkeypatch.setattr(ContractRows, "custom_data", refused)
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
        time[0] += STEP_SECONDS / 5
        await steps.step()
    task.cancel()
    assert 15 <= turns <= 21, "one in five steps"


async def test_a_large_body_is_parsed_beside_the_event_loop(
    keyrack_to_read: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    parsed_by: list[bool] = []
    inner = strict_json.parse_json

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
