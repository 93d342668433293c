"""Providers change clients' secrets at any moment under load: no refresh fails, no grant is lost (decision 47).

Two serving processes take requests to refresh without a pause, and two workers try and move the rotations. Of each kind
of provider there are two clients, whose secrets are changed at moments of their own. Last come those that lose a
worker: one of the two is killed again and again. A freeze, on the same servers, holds in all of them within a second.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec

from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient
from keyrack.model.containment import FreezeKind
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.simulator.config import Client, SimulatorConfig
from keyrack.simulator.issue import issue_access, issue_refresh
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.auth_clients import AuthClientRows
from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret, is_live, stored
from support.keyrack_processes import Replica, Server, environment

OLD, NEW, MISTYPED = "the-old-secret", "the-new-secret", "the-new-secrte"
KINDS = ("takes both", "takes the old one until it is switched", "takes the new one at once", "was told another one",
         "loses a worker at every step")  # fmt: skip
LOSES_WORKERS = KINDS[4]
EACH, CONNECTIONS = 2, 3
LOAD_SECONDS = 6.0
CHANGES_WITHIN = 4.0


@dataclass
class Rotated:
    """A client whose secret is changed, and what its refreshes came to."""

    kind: str
    client: AuthClient
    client_id: str
    secrets: Sequence[AuthSecret]
    excused: bool = False
    """The provider has ended the old secret, and the new one was not added yet: nobody could refresh now."""
    excuses: int = 0
    """How often that was so."""
    failed: list[str] = field(default_factory=list)
    refreshed: Counter[str] = field(default_factory=Counter)


def accepts(simulator: RunningSimulator, client_id: str, *secrets: str) -> None:
    state = simulator.state
    further = tuple(map(Secret, secrets[1:]))
    changed = msgspec.structs.replace(
        state.client(client_id), client_secret=Secret(secrets[0]), further_secrets=further
    )
    state.put_client(changed)


def mint(simulator: RunningSimulator, client_id: str) -> dict[str, str]:
    state = simulator.state
    grant = state.book.open_grant(client_id, state.config.users[0].login, "")
    behaviour = state.behaviour("token", client_id, {})
    return {
        "access_token": issue_access(state, behaviour, grant, "").value,
        "refresh_token": issue_refresh(state, behaviour, grant, "").value,
    }


async def rotated(made: World, simulator: RunningSimulator, kind: str, number: int) -> Rotated:
    acme, client_id = made.tenants["Acme"], f"client-{KINDS.index(kind)}-{number}"
    # a process that is killed in a call loses an answer, and with that a token of one use, whatever its client's secret
    behaviour = {"rotation": "overlap" if kind == LOSES_WORKERS else "strict"}
    simulator.state.add_client(Client(client_id=client_id, client_secret=Secret(OLD), behaviour=behaviour))
    client = await add_auth_client(
        made.store, acme.id, simulator.token_endpoint, client_id=client_id, client_secret=OLD
    )
    secrets = [await add_secret(made.store, acme, client, mint(simulator, client_id)) for _ in range(CONNECTIONS)]
    return Rotated(kind, client, client_id, secrets)


async def refreshes(of: Rotated, secret: AuthSecret, http: Sequence[httpx2.AsyncClient], until_: float) -> None:
    """Refresh a connection again and again, at either server."""
    path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}/refresh"
    while time.monotonic() < until_:
        excused, excuses = of.excused, of.excuses
        answer = await random.choice(http).post(path)
        if answer.status_code == 200:
            of.refreshed[secret.id] += 1
        elif not (excused or of.excuses > excuses or _lost_with_a_worker(of, answer)):
            of.failed.append(answer.text)
        await asyncio.sleep(0.02)


def _lost_with_a_worker(of: Rotated, answer: httpx2.Response) -> bool:
    """Tell whether a refresh waits until it is sure that a process that was killed brings no answer any more."""
    return of.kind == LOSES_WORKERS and answer.json()["errors"][0]["meta"].get("reason") == "busy"


async def change(of: Rotated, simulator: RunningSimulator, http: httpx2.AsyncClient) -> None:
    """Change the client's secret at the provider, and here."""

    async def add(secret: str) -> None:
        body = {"data": {"type": "client-secret-rotation", "attributes": {"client_secret": secret, "sample": 2}}}
        answer = await http.post(f"/v2/auth-clients/{of.client.id}/secret-rotation", json=body)
        assert answer.status_code == 201, answer.text

    await asyncio.sleep(random.uniform(0.2, CHANGES_WITHIN / 2))
    if of.kind == KINDS[2]:
        of.excused, of.excuses = True, of.excuses + 1
        accepts(simulator, of.client_id, NEW)
        await add(NEW)
        of.excused = False
        return
    if of.kind in (KINDS[0], LOSES_WORKERS):
        accepts(simulator, of.client_id, OLD, NEW)
    await add(MISTYPED if of.kind == KINDS[3] else NEW)
    if of.kind == KINDS[1]:
        await asyncio.sleep(random.uniform(0.0, CHANGES_WITHIN / 2))
        accepts(simulator, of.client_id, NEW)


async def kill_again_and_again(worker: Replica, until_: float) -> int:
    while time.monotonic() < until_:
        await asyncio.sleep(random.uniform(0.6, 1.4))
        worker.kill()
        worker.restart()
    return worker.starts


@asynccontextmanager
async def served(tmp_path: Path, url: str | None) -> AsyncIterator[tuple[World, Sequence[Server], Sequence[Replica]]]:
    settings = settings_for(tmp_path / "home", url, allow_insecure_providers="true")
    async with world(settings) as made:
        env = environment(settings, worker_interval="0.1", rate_limit="0", provider_timeout="5")
        servers = [Server(env, tmp_path / f"server-{n}.log", "--no-worker") for n in range(2)]
        workers = [Replica(["worker"], env, tmp_path / f"worker-{n}.log") for n in range(2)]
        try:
            for each in servers:
                await asyncio.to_thread(each.wait_until_ready)
            yield made, servers, workers
        finally:
            for process in (*servers, *workers):
                with suppress(ProcessLookupError):
                    process.kill()


async def in_use(made: World, of: Rotated) -> str:
    async with made.store.unit(of.client.tenant_id) as unit:
        client = await AuthClientRows(unit).find(of.client.id)
    assert client is not None
    assert client.rejected_at is None, of.kind
    return str(client.credentials["client_secret"])


async def test_no_refresh_fails_while_secrets_are_changed(tmp_path: Path, url_with_tenants: str | None) -> None:
    seed = int(os.environ.get("ROTATION_SEED", time.time()))
    random.seed(seed)
    sys.stdout.write(f"ROTATION_SEED={seed}\n")  # shown when it fails
    async with (
        running_simulator(SimulatorConfig(access_log=False)) as simulator,
        served(tmp_path, url_with_tenants) as (made, servers, workers),
    ):
        acme = made.tenants["Acme"]
        all_of_them = [await rotated(made, simulator, kind, n) for kind in KINDS for n in range(EACH)]
        headers = acme.admin.headers
        async with (
            httpx2.AsyncClient(base_url=servers[0].base, headers=headers, timeout=60) as first,
            httpx2.AsyncClient(base_url=servers[1].base, headers=headers, timeout=60) as second,
        ):
            http = (first, second)
            for losing in (False, True):
                now = [of for of in all_of_them if (of.kind == LOSES_WORKERS) is losing]
                ends = time.monotonic() + LOAD_SECONDS
                async with asyncio.TaskGroup() as group:
                    for of in now:
                        for secret in of.secrets:
                            group.create_task(refreshes(of, secret, http, ends))
                        group.create_task(change(of, simulator, first))
                    if losing:
                        group.create_task(kill_again_and_again(workers[1], ends))
                assert {of.kind: of.failed for of in now if of.failed} == {}
                await settled(made, now)
            await still_alive(made, simulator, all_of_them, first)
            await frozen_everywhere(made, all_of_them[0].secrets[0], http)


async def settled(made: World, all_of_them: Sequence[Rotated]) -> None:
    """Wait until the workers have tried what there is to try."""
    wanted = {of.client.id: OLD if of.kind == KINDS[3] else NEW for of in all_of_them}
    deadline = time.monotonic() + 120
    while {of.client.id: await in_use(made, of) for of in all_of_them} != wanted:
        assert time.monotonic() < deadline, {of.kind: await in_use(made, of) for of in all_of_them}
        await asyncio.sleep(0.2)


async def still_alive(
    made: World, simulator: RunningSimulator, all_of_them: Sequence[Rotated], http: httpx2.AsyncClient
) -> None:
    """Every grant goes on, at the provider too, and was refreshed while its secret was changed."""
    for of in all_of_them:
        for secret in of.secrets:
            path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}/refresh"
            answer = await http.post(path)
            deadline = time.monotonic() + 120
            while answer.status_code != 200 and _lost_with_a_worker(of, answer) and time.monotonic() < deadline:
                await asyncio.sleep(0.5)
                answer = await http.post(path)
            assert answer.status_code == 200, f"{of.kind}: {answer.text}"
            now = await stored(made.store, secret)
            assert now.state is SecretState.ready
            assert is_live(simulator, now), of.kind
            if of.kind != LOSES_WORKERS:
                assert of.refreshed[secret.id] > 0, of.kind


async def frozen_everywhere(made: World, secret: AuthSecret, http: Sequence[httpx2.AsyncClient]) -> None:
    """Read without a pause at both servers: what is asked a second after a freeze is refused."""
    path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"
    for each in http:
        answer = await each.get(path)
        assert answer.status_code == 200
    answers: list[tuple[float, int]] = []
    frozen_at = float("inf")

    async def read(each: httpx2.AsyncClient) -> None:
        while time.monotonic() < frozen_at + 1.5:
            asked = time.monotonic()
            answers.append((asked, (await each.get(path)).status_code))

    async with asyncio.TaskGroup() as group:
        for each in http:
            group.create_task(read(each))
        await asyncio.sleep(0.3)
        desk = made.services.containment
        frozen = await desk.freeze(FreezeKind.tenant, secret.tenant_id, "test")
        frozen_at = time.monotonic()
    assert {status for asked, status in answers if asked < frozen_at - 1} <= {200}
    assert {status for asked, status in answers if asked > frozen_at + 1} == {423}
    await desk.lift(frozen.id)
