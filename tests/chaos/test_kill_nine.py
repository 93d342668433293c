"""`kill -9` at random instants: no grant is lost in silence (design, invariant 2; issue 3.8)."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.simulator.testing import running_simulator
from keyrack.store.attempts import open_attempts
from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret, mint, refreshed, stored, takes
from support.keyrack_processes import Replica, environment

SECRETS = 120
ALONE = 20
"""Secrets beside them whose grant needs no person: whatever is interrupted there is asked for again (decision 39)."""
REFRESHES = {"postgresql": 500, "sqlite": 150}
"""On SQLite fewer: one writer at a time has the database, so processes have fewer ways to come between each other."""
WORKERS = 3
LIFETIME = 4
AT_ONCE = 8
GIVEN_UP_AFTER = 480.0
SETTLED_AFTER = 180.0


async def settled(keyrack: World) -> bool:
    async with keyrack.store.installation() as unit:
        return not await open_attempts(unit)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
async def test_every_grant_is_alive_or_flagged_where_its_answer_never_reached_us(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    settings = settings_for(tmp_path / "home", url, allow_insecure_providers="true")
    rng = random.Random(20)
    async with world(settings) as keyrack, running_simulator() as simulator:
        simulator.state.set_defaults({"rotation": "strict", "latency_after": 15, "access_token_lifetime": LIFETIME})
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        secrets = [
            await add_secret(keyrack.store, acme, client, mint(simulator), lifetime=LIFETIME) for _ in range(SECRETS)
        ]
        alone = {"name": "alone", "grant": "client_credentials", "endpoints": {"token": simulator.token_endpoint}}
        service = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, provider_profile=alone)
        token = {"access_token": "at"}
        alone_before = [await add_secret(keyrack.store, acme, service, token, lifetime=LIFETIME) for _ in range(ALONE)]
        env = environment(
            settings, log_level="info", worker_interval=0.05, worker_concurrency=AT_ONCE, refresh_retry=0.2
        )
        # not forked: a start that takes a second is the time in which others can work before the next one is killed
        logs = [tmp_path / f"worker-{n}.log" for n in range(WORKERS)]
        workers = [Replica(["worker"], env, log, forked=False) for log in logs]
        kills, began = 0, time.monotonic()
        try:
            while refreshed(simulator) < REFRESHES[engine]:
                assert time.monotonic() - began < GIVEN_UP_AFTER, workers[0].log()
                await asyncio.sleep(rng.uniform(0.1, 0.6))
                at_work = [worker for worker in workers if worker.starts == worker.log().count("worker started")]
                if len(at_work) >= 2:  # one always works, however long the others take to start
                    victim = rng.choice(at_work)
                    victim.kill()
                    kills += 1
                    victim.restart()
            simulator.state.set_defaults({"rotation": "strict", "access_token_lifetime": 3600})
            deadline = time.monotonic() + SETTLED_AFTER
            while not await settled(keyrack):
                assert time.monotonic() < deadline, f"interrupted refreshes were not settled in {SETTLED_AFTER:.0f} s"
                await asyncio.sleep(0.2)
        finally:
            for worker in workers:
                worker.kill()
        await keyrack.services.refreshing.recovery.tick()
        after = [await stored(keyrack.store, secret) for secret in secrets]
        alone_after = [await stored(keyrack.store, secret) for secret in alone_before]
    found = Counter(
        "alive" if takes(simulator, secret) and secret.error_code is None else str(secret.error_code)
        for secret in after
    )
    assert all((each.error_code, each.ambiguous_since) == (None, None) for each in alone_after)
    assert all(each.credentials["access_token"] != "at" for each in alone_after)
    lost = [secret for secret in after if secret.error_code is None and not takes(simulator, secret)]
    print(f"{engine}: {refreshed(simulator)} refreshes, {kills} kills: {dict(found)}")  # noqa: T201 - the counts are asked for
    assert not lost, f"{len(lost)} grants were lost in silence"
    assert set(found) <= {"alive", str(ErrorCode.refresh_interrupted)}, found
    flagged = [secret for secret in after if secret.error_code is ErrorCode.refresh_interrupted]
    assert all(secret.state is SecretState.error and secret.error_at is not None for secret in flagged)
    assert not any(takes(simulator, secret) for secret in flagged), "only what the provider no longer takes is flagged"
    assert len(flagged) <= kills * AT_ONCE, "no more than were under way in the processes that were killed"
