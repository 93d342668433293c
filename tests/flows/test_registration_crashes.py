"""What a crash leaves of registrations and of their renewals is cleaned up, or taken up (decision 42)."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack.errors import IdConflict
from keyrack.model.clients import AuthClient
from keyrack.service.discovery.registration_renewal import RegistrationRenewals
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.attempts import AttemptResult, Attempts
from keyrack.store.auth_clients import AuthClientRows
from support.app import error_of
from support.registration_desk import Desk, registration_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with registration_desk(tmp_path) as made:
        yield made


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        running.state.set_defaults({"approval": "auto"})
        yield running


class Killed(BaseException):
    """What stands for a process that dies: nobody handles it."""


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[None]]:
    """Makes this process die before it stores a client, by the name of the method that would."""

    @contextmanager
    def before(method: str) -> Iterator[None]:
        async def die(*_: object, **__: object) -> None:
            raise Killed

        with monkeypatch.context() as patched, suppress(Killed):
            patched.setattr(AuthClientRows, method, die)
            yield
            pytest.fail("it lives")

    return before


async def test_what_a_crash_has_registered_for_nobody_is_deleted_again(
    desk: Desk, simulator: RunningSimulator, dies: Callable[[str], AbstractContextManager[None]]
) -> None:
    with dies("add"):
        await desk.create(issuer=simulator.base_url, registration={})
    (client_id,) = simulator.state.registered
    assert await desk.keyrack.services.refreshing.recovery.tick() == 1
    await desk.work()
    assert simulator.state.registered == {}
    assert client_id not in simulator.state.clients
    assert await desk.keyrack.services.refreshing.recovery.tick() == 0
    await desk.made(issuer=simulator.base_url, registration={})
    assert await desk.keyrack.services.refreshing.recovery.tick() == 0, "what is stored is nobody's to clean up"
    await desk.work()
    assert len(simulator.state.registered) == 1


async def test_a_registration_that_cannot_be_taken_back_now_is_deleted_later(
    desk: Desk, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(*_: object) -> None:
        simulator.state.enqueue(Queued("register", 1, {"status": 503}))
        raise IdConflict

    with monkeypatch.context() as patched:
        patched.setattr(AuthClientRows, "add", taken)
        assert (await desk.create(issuer=simulator.base_url, registration={})).status_code == 409
    assert len(simulator.state.registered) == 1, "the server was away"
    assert await desk.keyrack.services.refreshing.recovery.tick() == 1
    await desk.work()
    assert simulator.state.registered == {}


async def test_a_registration_that_was_given_up_meanwhile_makes_no_client(
    desk: Desk, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = AuthClientRows.add

    async def late(rows: AuthClientRows, client: AuthClient, origin: str | None) -> None:
        (attempt,) = await Attempts(rows.unit).open_of([client.id])
        await Attempts(rows.unit).settle(attempt.id, AttemptResult.superseded)  # as another process would have
        await add(rows, client, origin)

    monkeypatch.setattr(AuthClientRows, "add", late)
    refused = await desk.create(issuer=simulator.base_url, registration={})
    assert error_of(refused)[:2] == (409, "state_conflict")
    assert simulator.state.registered == {}


async def test_what_a_renewal_brought_survives_a_crash(
    desk: Desk, simulator: RunningSimulator, dies: Callable[[str], AbstractContextManager[None]]
) -> None:
    lifetime = int(timedelta(days=20).total_seconds())
    simulator.state.set_defaults({"approval": "auto", "registered_secret_lifetime": lifetime})
    made = await desk.made(issuer=simulator.base_url, registration={})
    before = made["attributes"]["credentials"]
    recovery = desk.keyrack.services.refreshing.recovery
    desk.time.ahead = timedelta(days=14)
    with dies("replace"):  # once the registration was read, for which the server gives another access token
        await desk.renewals.tick()
    assert await recovery.tick() == 1
    read = (await desk.read(made["id"]))["credentials"]
    assert read["registration_access_token"] != before["registration_access_token"]
    assert read["client_secret"] == before["client_secret"], "it had only been read"

    updated = AuthClientRows.replace
    desk.renewals = RegistrationRenewals(desk.keyrack.store, desk.registrations, timedelta(seconds=30))
    calls = 0

    async def second(rows: AuthClientRows, *args: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Killed
        await updated(rows, *args, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AuthClientRows, "replace", second)
        with pytest.raises(Killed):
            await desk.renewals.tick()
    assert (await desk.read(made["id"]))["credentials"]["client_secret"] == before["client_secret"]
    assert await recovery.tick() == 1
    after = (await desk.read(made["id"]))["credentials"]
    assert after["client_secret"] == simulator.state.clients[before["client_id"]].client_secret.reveal()
    assert after["client_secret"] != before["client_secret"]
    assert after["registration_access_token"] == (simulator.state.registered[before["client_id"]].access_token.reveal())
    assert await desk.audited("auth-client.renew-secret") == [(made["id"], "allowed")]
    assert (await desk.connect(made["id"]))["attributes"]["state"] == "ready"
