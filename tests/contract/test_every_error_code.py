"""Every error code of the contract (section 3), and of ours, is the answer to at least one real request."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from keyrack.api.core.errors import STATUS_AND_CODE
from keyrack.model.containment import FreezeKind
from keyrack.service.identity.users import Users
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import World, relationship, settings_for, world
from support.consent import add_oauth_client
from support.flows import flow_body
from support.grants import add_auth_client, add_secret, connect, mint
from support.postgres import PostgresServer

# fmt: off
CONTRACT = [
    "unauthorized", "forbidden", "not_found", "related_not_found", "method_not_allowed", "not_acceptable",
    "bad_request", "validation_error", "type_conflict", "id_conflict", "already_exists", "in_use",
    "contract_suspended", "oauth_client_missing", "not_refreshable", "provider_error", "provider_unavailable",
    "rate_limited", "internal_error",
]
# fmt: on
TIMER = {"title": "Timer", "triggers": {"run": {"title": "Run"}}}
WRONG = "0" * 24
Request = Callable[[World, RunningSimulator], Awaitable[httpx2.Response]]
REQUESTS: dict[str, Request] = {}
SERVER = {"request_timeout", "headers_too_large", "too_many_connections"}
"""Codes of what the server layer refuses, over real connections; each has a test in `fairness/test_connections.py`."""
FAULTS = {"internal_error", "database_unavailable", "disk_full", "unreadable"}
KEYS = {"key_service_unavailable", "data_key_retired"}
"""Codes of keys that cannot be had; each has a test in `keys/`."""
APART = {"rate_limited", "quota_exceeded"} | FAULTS | SERVER | KEYS
"""Codes that need settings or a fault of their own; each has a test below, there, in `fairness` or in `chaos`."""


def code(name: str) -> Callable[[Request], Request]:
    """Register the request that is answered with a code."""

    def register(request: Request) -> Request:
        assert name not in REQUESTS
        REQUESTS[name] = request
        return request

    return register


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@code("unauthorized")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.http.get("/v2/users/me")


@code("forbidden")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    return await acme.integrator.get(f"/v2/tenants/{acme.id}/oauth-clients")


@code("contract_suspended")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/suspend")).status_code == 202
    return await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/timer:run"))


@code("not_found")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.get(f"/v2/flows/{WRONG}")


@code("related_not_found")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    data = {
        "type": "oauth-client",
        "attributes": {"client_id": "id", "client_secret": "secret"},
        "relationships": {"component": relationship("component", WRONG)},
    }
    return await acme.admin.post(f"/v2/tenants/{acme.id}/oauth-clients", {"data": data})


@code("method_not_allowed")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.put("/v2/flows")


@code("not_acceptable")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.get("/v2/users/me", headers={"accept": "text/html"})


@code("bad_request")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.post("/v2/contracts", content=b"{")


@code("validation_error")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {}}})


@code("type_conflict")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.post("/v2/contracts", {"data": {"type": "flow", "attributes": {}}})


@code("id_conflict")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    other = {"data": {"type": "contract", "id": WRONG, "attributes": {"name": "Other name"}}}
    return await acme.admin.patch(f"/v2/contracts/{acme.contract_id}", other)


@code("already_exists")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    member = {"data": {"type": "contract-member", "id": acme.guest.id, "attributes": {"roles": ["member"]}}}
    return await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", member)


@code("in_use")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "timer", TIMER)
    made = await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/timer:run"))
    assert made.status_code == 201, made.text
    client = await add_oauth_client(keyrack, "Acme", component, "id", "secret")
    return await acme.admin.delete(f"/v2/tenants/{acme.id}/oauth-clients/{client}")


@code("state_conflict")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    return await acme.admin.delete(f"/v2/contracts/{acme.contract_id}/members/{acme.admin.id}")


@code("oauth_client_missing")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    oauth2 = {"client_id": "{{A}}", "client_secret": "{{B}}", "auth_uri": "https://a.example", "token_uri": "https://t"}
    fields = {"oauth": {"label": "Account", "viewClass": "OAuthFieldView"}}
    asks = TIMER | {"useOAuthClient": True, "credentials": {"fields": fields, "oauth2": oauth2}}
    component = await keyrack.add_component(acme, "asks", asks, access="global")
    consent = {"type": "oauth-consent", "attributes": {}}
    consent["relationships"] = {"component": relationship("component", component)}
    return await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/oauth-consents", {"data": consent})


@code("not_refreshable")
async def _(keyrack: World, simulator: RunningSimulator) -> httpx2.Response:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
    secret = await add_secret(keyrack.store, acme, client, mint(simulator) | {"refresh_token": None})
    return await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}/refresh")


@code("frozen")
async def _(keyrack: World, simulator: RunningSimulator) -> httpx2.Response:
    acme, connected = keyrack.tenants["Acme"], await connect(keyrack, simulator)
    await keyrack.services.containment.freeze(FreezeKind.tenant, acme.id, "")
    return await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}")


@code("token_not_valid")
async def _(keyrack: World, simulator: RunningSimulator) -> httpx2.Response:
    acme, connected = keyrack.tenants["Acme"], await connect(keyrack, simulator, {"fail": "invalid_grant"})
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}?min_validity=60"
    return await acme.integrator.get(path)


@code("provider_error")
async def _(keyrack: World, simulator: RunningSimulator) -> httpx2.Response:
    acme, connected = keyrack.tenants["Acme"], await connect(keyrack, simulator, {"fail": "invalid_grant"})
    return await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}/refresh")


@code("provider_unavailable")
async def _(keyrack: World, simulator: RunningSimulator) -> httpx2.Response:
    acme, connected = keyrack.tenants["Acme"], await connect(keyrack, simulator, {"status": 503})
    return await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}/refresh")


@code("payload_too_large")
async def _(keyrack: World, _: RunningSimulator) -> httpx2.Response:
    return await keyrack.tenants["Acme"].admin.post("/v2/contracts", content=b" " * ((1 << 20) + 1))


def answered(answer: httpx2.Response, name: str) -> None:
    """Check the code of an answer, and that its status is the one of the code."""
    document = answer.json()
    assert {error["code"] for error in document["errors"]} == {name}, document
    (status,) = {status for status, listed in STATUS_AND_CODE.values() if listed == name}
    assert answer.status_code == status


@pytest.mark.parametrize("name", sorted(REQUESTS))
async def test_a_request_is_answered_with(keyrack: World, simulator: RunningSimulator, name: str) -> None:
    answered(await REQUESTS[name](keyrack, simulator), name)


async def test_too_many_requests_are_answered_with_rate_limited(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, rate_limit="1")) as limited:
        admin = limited.tenants["Acme"].admin
        await admin.get("/v2/users/me")
        answered(await admin.get("/v2/users/me"), "rate_limited")


async def test_a_fault_is_answered_with_internal_error(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Users, "me", broken)
    answered(await keyrack.tenants["Acme"].admin.get("/v2/users/me"), "internal_error")


async def test_a_lost_database_is_answered_with_database_unavailable(
    tmp_path: Path, postgres_server_durable: PostgresServer
) -> None:
    async with world(settings_for(tmp_path, postgres_server_durable.url("postgres"))) as outage:
        await asyncio.to_thread(postgres_server_durable.stop)
        answered(await outage.tenants["Acme"].admin.get("/v2/users/me"), "database_unavailable")


def test_no_code_is_left_out() -> None:
    assert set(REQUESTS) | APART == {name for _, name in STATUS_AND_CODE.values()}
    assert set(CONTRACT) <= set(REQUESTS) | APART


def test_the_page_of_errors_has_cause_and_cure_of_each_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert {(int(status), name) for status, name, *_ in rows} == set(STATUS_AND_CODE.values())
    assert all(len(cause) > 10 and len(cure) > 5 for *_, cause, cure in rows)
