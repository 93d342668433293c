"""What a victim gets, alone and while other tenants attack (invariant 7; issue 9.12)."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.attacks import ATTACKS, Attack, Ground, Tally
from bench.scenario import Row, Scenario
from bench.secrets_stored import Stored, add_client, add_secrets, set_up
from bench.stage import Caller, Stage
from bench.tenants_stored import LATER, add_events, delivered, make_due, refreshed, remove_tenants
from bench.victim import Order, Probe, Seen, seen
from keyrack.model.clients import AuthClient
from keyrack.store.core.store import Store
from keyrack.wiring.storage import open_store
from support.keyrack_processes import Installation
from support.loopback_peers import NameServer
from support.process import free_port, guarded, wait_for

_ROOT = Path(__file__).parents[2]
_PROVIDER_NAME = "idp.victim.example"
_LEAST_SECONDS = 0.2
_WARM_UPS = 4
"""As many times the plan's warm-up, since each Keyrack is new."""
_EVERY = 0.25  # seconds between two secrets, and two events, that fall due
_READ_PATIENCE = 10.0
_PATIENCE = 15.0  # seconds that are waited for what fell due last
_IN_PLACE_SECONDS = 15.0
_LEAST_MS = 0.1
_USUAL_FILES, _OUR_FILES = 1_024, 8_192
"""How many files Keyrack may open, as processes usually may, and we, for all the connections of attackers."""

_HOT, _ORDINARY, _REFRESH, _EVENT = "hot read", "ordinary read", "refresh", "webhook event"


@dataclass(frozen=True, slots=True)
class _Victim:
    """What the victim has.

    Attributes:
        stored: the victim's tenant, which is the installation's first.
        client: its auth client.
        fresh: path of a secret that is not due.
        webhook: id of its webhook.
    """

    stored: Stored
    client: AuthClient
    fresh: str
    webhook: str


def run(stage: Stage) -> Sequence[Row]:
    # PostgreSQL is what counts; SQLite, if it was asked for alone.
    database = stage.plan.database
    port = free_port()
    with _open_files(_OUR_FILES), _token_endpoint(port):
        return asyncio.run(_measure(stage, database, port))


async def _measure(stage: Stage, database: str, provider_port: int) -> Sequence[Row]:
    loop = asyncio.get_running_loop()
    answering, names = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    names.knows[_PROVIDER_NAME] = "127.0.0.1"
    provider = f"http://{_PROVIDER_NAME}:{provider_port}"
    stored = set_up(stage, database, "fairness", dns_servers=names.address, drain_timeout="1")
    store = open_store(stored.settings)
    rows: list[Row] = []
    try:
        victim: _Victim | None = None
        for attack in ATTACKS:
            with _served(stored) as served:
                victim = victim or await _prepare(store, stored, served, provider)
                ground = Ground(store, served, stored, provider, names)
                try:
                    found = await _alone_and_attacked(stage, ground, victim, attack)
                finally:
                    await ground.servers.stop()
            rows += [{"database": database, **row} for row in found]
            await remove_tenants(store, stored)
    finally:
        await store.close()
        answering.close()
    return rows


async def _prepare(store: Store, stored: Stored, served: Installation, provider: str) -> _Victim:
    """Give the victim a fresh secret and a webhook."""
    client = await add_client(store, stored, f"{provider}/token")
    (fresh,) = await add_secrets(store, stored, client, [None])
    path = f"/v2/tenants/{stored.first['tenant_id']}/webhooks"
    webhook = await asyncio.to_thread(Caller(served).create, path, "webhook", {"url": f"{provider}/hook"})
    return _Victim(stored, client, f"/v2/workspaces/{stored.first['workspace_id']}/secrets/{fresh}", webhook)


async def _alone_and_attacked(stage: Stage, ground: Ground, victim: _Victim, attack: Attack) -> Sequence[Row]:
    go = await attack.prepare(ground)
    alone = await _seen(stage, ground, victim)
    task = asyncio.ensure_future(go())
    try:
        await _until_in_place(attack, ground.tally, task)
        attacked = await _seen(stage, ground, victim)
        if task.done():
            raise RuntimeError(f"{attack.name}: the attack ended early: {task.exception()!r}")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
    tally = ground.tally
    answers = ", ".join(f"{count} of {status or 'no answer'}" for status, count in sorted(tally.answers.items()))
    stage.say(
        f"{attack.name}: {tally.requests} requests (ended: {answers or 'none'}), {tally.calls} calls to the attackers'"
        f" servers, {tally.most_held} connections held at most; {_in_words(alone, attacked)}"
    )
    return [_row(attack, name, alone[name], attacked[name], tally) for name in alone]


async def _until_in_place(attack: Attack, tally: Tally, task: "asyncio.Future[None]") -> None:
    deadline = time.monotonic() + _IN_PLACE_SECONDS
    while not attack.in_place(tally):
        if task.done() or time.monotonic() > deadline:
            why = task.exception() if task.done() else "it does not show"
            raise RuntimeError(f"{attack.name}: the attack is not in place ({why!r}): {tally}")
        await asyncio.sleep(0.02)


async def _seen(stage: Stage, ground: Ground, victim: _Victim) -> Mapping[str, Seen]:
    """Return what the victim got, for as long as the plan's runs take together."""
    seconds = max(_LEAST_SECONDS, stage.plan.runs * stage.plan.seconds)
    warm_up = _WARM_UPS * stage.plan.warm_up
    store, stored = ground.store, victim.stored
    starts = datetime.now(UTC) + LATER
    due = [starts + timedelta(seconds=warm_up + n * _EVERY) for n in range(max(1, round(seconds / _EVERY)))]
    secret_ids = await add_secrets(store, stored, victim.client, due)
    event_ids = await add_events(store, stored, victim.webhook, due)
    sooner = starts - datetime.now(UTC)
    await make_due(store, [stored], sooner)
    reading = await _start_reading(ground, victim, warm_up, seconds)
    moments = [moment - sooner for moment in due]
    try:
        late = _until_done(ground, victim, secret_ids, event_ids, moments)
        (output, _), (refreshes, events) = await asyncio.gather(reading.communicate(), late)
    finally:
        if reading.returncode is None:
            reading.kill()
            await reading.wait()
    if reading.returncode != 0:
        raise RuntimeError(f"the victim's process ended with {reading.returncode}")
    reads = {name: Seen(**each) for name, each in json.loads(output).items()}
    return {**reads, _REFRESH: refreshes, _EVENT: events}


async def _start_reading(ground: Ground, victim: _Victim, warm_up: float, seconds: float) -> asyncio.subprocess.Process:
    head = f"host: bench\r\nauthorization: {victim.stored.authorization}"
    probes = {
        _HOT: Probe(f"GET {victim.fresh} HTTP/1.1\r\n{head}\r\n\r\n", every=0.08, connections=4, keeps=True),
        _ORDINARY: Probe(
            f"GET /v2/users/me HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n", every=0.2, connections=4, keeps=False
        ),
    }
    order = Order("127.0.0.1", ground.port, probes, warm_up, seconds, _READ_PATIENCE)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.victim", json.dumps(asdict(order)), stdout=subprocess.PIPE, cwd=_ROOT
    )


async def _until_done(
    ground: Ground, victim: _Victim, secret_ids: Sequence[str], event_ids: Sequence[str], due: Sequence[datetime]
) -> tuple[Seen, Seen]:
    """Wait until all is refreshed and delivered, or patience is over; return how late each was."""
    refreshes: Mapping[str, datetime] = {}
    events: Mapping[str, datetime] = {}
    gives_up = due[-1] + timedelta(seconds=_PATIENCE)
    await asyncio.sleep((due[-1] - datetime.now(UTC)).total_seconds())
    while len(refreshes) < len(secret_ids) or len(events) < len(event_ids):
        if datetime.now(UTC) > gives_up:
            break
        await asyncio.sleep(0.1)
        refreshes = await refreshed(ground.store, victim.stored, secret_ids)
        events = await delivered(ground.store, victim.stored, event_ids)
    return _lateness(secret_ids, due, refreshes, gives_up), _lateness(event_ids, due, events, gives_up)


def _lateness(ids: Sequence[str], due: Sequence[datetime], done: Mapping[str, datetime], gives_up: datetime) -> Seen:
    """Sum up how late work was; what is not done counts as done when patience was over."""
    lates = (done.get(each, gives_up) - moment for each, moment in zip(ids, due, strict=True))
    times = [max(0, late // timedelta(microseconds=1) * 1_000) for late in lates]
    failed = sum(each not in done for each in ids)
    last = max([*done.values(), due[-1]] if not failed else [gives_up])
    return seen(times, failed, (last - due[0]).total_seconds() + _EVERY)


def _row(attack: Attack, name: str, alone: Seen, attacked: Seen, tally: Tally) -> Row:
    return {
        "attack": attack.name,
        "victim's": name,
        "alone p50 ms": round(alone.p50_ms, 1),
        "alone p99 ms": round(alone.p99_ms, 1),
        "alone 1/s": round(alone.rate, 1),
        "p50 ms": round(attacked.p50_ms, 1),
        "p99 ms": round(attacked.p99_ms, 1),
        "longest ms": round(attacked.longest_ms, 1),
        "1/s": round(attacked.rate, 1),
        "failed": attacked.failed,
        "p50 ratio": round(attacked.p50_ms / max(alone.p50_ms, _LEAST_MS), 2),
        "p99 later ms": round(attacked.p99_ms - alone.p99_ms, 1),
        "attack requests": tally.requests,
        "attack calls": tally.calls,
        "attack held": tally.most_held,
    }


def _in_words(alone: Mapping[str, Seen], attacked: Mapping[str, Seen]) -> str:
    return ", ".join(f"{name} {alone[name].p99_ms:.0f} -> {attacked[name].p99_ms:.0f} ms (p99)" for name in alone)


@contextmanager
def _token_endpoint(port: int) -> Iterator[None]:
    with guarded([sys.executable, "-m", "bench.token_endpoint", str(port), "0"], {"PYTHONPATH": str(_ROOT)}) as server:
        wait_for(f"http://127.0.0.1:{port}/", server)
        yield


@contextmanager
def _served(stored: Stored) -> Iterator[Installation]:
    """Serve with one process, which is new for each attack, so that nothing is left of the last one."""
    port = free_port()
    argv = [sys.executable, "-m", "keyrack", "serve", "--port", str(port)]
    with ExitStack() as running:
        with _open_files(_USUAL_FILES):
            server = running.enter_context(guarded(argv, stored.environment))
        wait_for(f"http://127.0.0.1:{port}/healthz", server)
        try:
            yield Installation(f"http://127.0.0.1:{port}", stored.first, stored.environment, server)
        finally:
            if not server.is_running():
                raise RuntimeError(f"Keyrack has ended:\n{server.log()}")
            os.kill(server.ready["pid"], signal.SIGKILL)  # it has calls under way that hang


@contextmanager
def _open_files(most: int) -> Iterator[None]:
    """Let processes that are started, and this one, have so many open files, if that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SCENARIO = Scenario("fairness", "a victim's reads, refreshes and events, alone and under each attack of others", run)
