"""A refresh is one trace from its reader to the provider to the commit, and holds nothing that is secret."""

import asyncio
from pathlib import Path

import pytest

from keyrack import tracing
from keyrack.logs import log
from keyrack.model.secrets import AuthSecret
from keyrack.simulator.testing import RunningSimulator
from keyrack.worker.refreshing import RefreshWorker
from support.app import BASE, Caller, World, settings_for, world
from support.collector import Collector, traced
from support.grants import Connected, connect, stored
from support.raw_provider import RawProvider, connect_raw, json_answer

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{PARENT}-00f067aa0ba902b7-01"
READ = "GET /v2/workspaces/{workspace_id}/secrets/{secret_id}"
STEPS = {"take the lease", "wait for a turn at the provider", "call the provider", "commit the outcome"}


def path_of(who: World, secret: AuthSecret) -> str:
    return f"/v2/workspaces/{who.tenants['Acme'].workspace_id}/secrets/{secret.id}"


async def read(who: World, connected: Connected, **headers: str) -> None:
    asked = {**who.tenants["Acme"].admin.headers, **headers}
    answer = await who.http.get(path_of(who, connected.secret) + "?canary=querystring", headers=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["attributes"]["state"] == "ready"


async def test_a_refresh_is_one_trace_from_its_reader_to_the_commit(
    keyrack_on_each: World, simulator: RunningSimulator, collector: Collector
) -> None:
    who, connected = keyrack_on_each, await connect(keyrack_on_each, simulator)
    async with traced():
        await read(who, connected)
    request, refresh = collector.one(READ), collector.one("refresh")
    assert request.parent_id == ""
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    assert refresh.parent_id == request.span_id
    assert collector.children(refresh) == STEPS | {"store the sealed answer"}
    call = collector.one("call the provider")
    assert collector.children(call) == {"write the intent"}
    assert (call.kind, request.kind) == (3, 2)  # CLIENT, SERVER
    assert call.attributes["server.address"] == "127.0.0.1"
    assert call.attributes["http.response.status_code"] == 200
    assert request.attributes["http.response.status_code"] == 200
    assert refresh.attributes == {
        "keyrack.tenant.id": connected.secret.tenant_id,
        "keyrack.secret.id": connected.secret.id,
        "keyrack.refresh.trigger": "reader",
    }
    assert collector.one("commit the outcome").attributes["keyrack.refresh.outcome"] == "landed"
    assert not any(span.error for span in collector.spans)
    assert collector.resources[0]["service.name"] == "keyrack"
    assert collector.resources[0]["service.instance.id"] == "this-test"
    assert collector.requests[0][0] == "/v1/traces"


async def test_who_waits_for_anothers_refresh_is_linked_to_it(
    keyrack: World, simulator: RunningSimulator, collector: Collector
) -> None:
    connected = await connect(keyrack, simulator, {"latency": 300})
    async with traced():
        await asyncio.gather(*(read(keyrack, connected) for _ in range(3)))
    assert simulator.state.calls(grant_type="refresh_token") == 1
    refresh, waiting = collector.one("refresh"), collector.named("wait for a refresh")
    assert len(waiting) == 2
    assert {span.links for span in waiting} == {(refresh.span_id,)}
    assert len({span.trace_id for span in waiting} | {refresh.trace_id}) == 3


async def test_the_worker_begins_a_trace_for_each_refresh(
    keyrack: World, simulator: RunningSimulator, collector: Collector
) -> None:
    await connect(keyrack, simulator)
    await connect(keyrack, simulator)
    async with traced():
        worker = RefreshWorker(keyrack.services.refreshing.refresher, 10)
        assert await worker.tick() == 2
        await worker.stop(30)
    refreshes = collector.named("refresh")
    assert [span.attributes["keyrack.refresh.trigger"] for span in refreshes] == ["worker"] * 2
    assert [span.parent_id for span in refreshes] == [""] * 2
    for refresh in refreshes:
        steps = collector.children(refresh)
        assert steps == STEPS - {"take the lease"} | {"store the sealed answer"}


async def test_nothing_that_is_secret_or_written_by_somebody_is_in_a_trace(
    keyrack: World, simulator: RunningSimulator, collector: Collector
) -> None:
    good, bad = await connect(keyrack, simulator), await connect(keyrack, simulator)
    simulator.state.book.revoke(lambda token: token.value == bad.secret.credentials["refresh_token"])
    acme = keyrack.tenants["Acme"]
    async with traced():
        await read(
            keyrack, good, **{"x-request-id": "canary-request", "traceparent": TRACEPARENT, "user-agent": "canary"}
        )
        await acme.admin.post(f"{path_of(keyrack, bad.secret)}/refresh")
        await keyrack.http.get("/callback/oauth2?code=canary-code&state=canary-state&error_description=canary")
        await keyrack.http.get("/canary-path/canary")
        await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets", json={"data": {"name": "canary"}})
    told = b"".join(collector.bodies)
    fresh = await stored(keyrack.store, good.secret)
    assert collector.one(f"POST {READ.removeprefix('GET ')}/refresh").attributes["http.response.status_code"] == 400
    for secret in (good.secret, bad.secret, fresh):
        assert secret.id.encode() in told
        for name in ("access_token", "refresh_token"):
            assert secret.credentials[name].encode() not in told
    for client in (good.client, bad.client):
        assert client.credentials["client_secret"].encode() not in told
        assert client.credentials["client_id"].encode() not in told
    for text in (b"canary", b"querystring", PARENT.encode(), bytes.fromhex(PARENT), good.secret.name.encode()):
        assert text not in told
    assert acme.admin.name.encode() not in told


async def test_a_trace_is_taken_from_those_who_are_trusted_with_it_and_sent_to_no_provider(
    tmp_path: Path, raw_provider: RawProvider, collector: Collector
) -> None:
    raw_provider.answers = [json_answer('{"access_token": "other", "token_type": "bearer", "expires_in": 3600}')]
    settings = settings_for(tmp_path, public_url=BASE, allow_insecure_providers="true", trace_parents="127.0.0.0/8")
    async with world(settings) as keyrack:
        connected = await connect_raw(keyrack, raw_provider)
        async with traced():
            await read(keyrack, connected, traceparent=TRACEPARENT, tracestate="canary=1", baggage="canary=1")
    assert {span.trace_id for span in collector.spans} == {PARENT}
    assert collector.one(READ).parent_id == "00f067aa0ba902b7"
    assert b"canary" not in b"".join(collector.bodies)
    (sent,) = raw_provider.requests
    for header in (b"traceparent", b"tracestate", b"baggage", PARENT.encode()):
        assert header not in sent.lower()


NO_TRACEPARENTS = (
    "",
    "00",
    TRACEPARENT.upper(),
    TRACEPARENT.replace("00-", "ff-", 1),
    TRACEPARENT + "-x",
    TRACEPARENT.replace(PARENT, "0" * 32),
    TRACEPARENT.replace("00f067aa0ba902b7", "0" * 16),
    "\xff" * 500,
)


@pytest.mark.parametrize("given", NO_TRACEPARENTS)
async def test_a_traceparent_that_is_none_begins_a_trace(given: str, collector: Collector) -> None:
    async with traced():
        tracing.served(tracing.request(given, 0.0), "GET", "/x", 200)
    assert collector.one("GET /x").parent_id == ""


async def test_a_refused_caller_leaves_no_trace(keyrack: World, collector: Collector) -> None:
    stranger = Caller(keyrack.http, "who", "wrong")
    async with traced():
        assert (await stranger.get("/v2/users/me")).status_code == 401
        for path in ("/healthz", "/readyz"):
            await keyrack.http.get(path)
    assert collector.spans == []


async def test_the_environment_samples(
    keyrack: World, simulator: RunningSimulator, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    connected = await connect(keyrack, simulator)
    async with traced():
        await read(keyrack, connected)
    assert collector.spans == []
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with traced():
        tracing.served(tracing.request(TRACEPARENT, 0.0), "GET", "/asked-for", 200)
        tracing.served(tracing.request(TRACEPARENT.removesuffix("01") + "00", 0.0), "GET", "/not-asked-for", 200)
        tracing.served(tracing.request(None, 0.0), "GET", "/of-nobody", 200)
    assert [span.name for span in collector.spans] == ["GET /asked-for"]


async def test_a_line_of_the_log_names_its_trace(collector: Collector) -> None:
    async with traced():
        with tracing.span("work"):
            inside = tracing.trace_id()
        assert tracing.trace_id() is None
    assert inside == collector.one("work").trace_id
    assert tracing.trace_id() is None
    log.debug("outside of a trace, and with tracing off")


async def test_an_error_is_told_by_its_type(collector: Collector) -> None:
    async with traced():
        with pytest.raises(ValueError, match="canary"), tracing.span("work"):
            raise ValueError("canary")
    assert collector.one("work").error
    assert collector.one("work").attributes == {"error.type": "ValueError"}
    assert b"canary" not in b"".join(collector.bodies)
