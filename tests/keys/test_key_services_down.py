"""A key service that is slow, gone or back: bounded calls, one for all who wait, and nobody else is held up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.crypto.kek import local
from keyrack.crypto.kek.chain import KeyChain
from keyrack.crypto.kek.service_keys import THREADS, ServiceKeys
from keyrack.errors import ConfigurationError, KeyServiceUnavailable, WrongKey
from keyrack.service.operator.key_rotation import KeyRotation
from keyrack.store.schema import teams
from support.app import World
from support.waits_and_faults import until

CONTEXT, MATERIAL = b"context", b"m" * 32
NEW_TENANT = {
    "data": {
        "type": "tenant",
        "attributes": {
            "name": "New",
            "app_domain": "new.example",
            "code": "p {}",
            "mandrill_email_from": "a@new.example",
        },
    }
}


class Blocking:
    """A key service's client as the real ones are: it blocks, and raises what they do. It keeps what it was given."""

    kind, name = "vault", "vault:transit/keyrack"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fault: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.version = 1

    def wrap(self, material: bytes, context: bytes) -> tuple[str, bytes]:
        self._called("wrap")
        return f"{self.name}:v{self.version}", context + b"|" + material

    def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        self._called("unwrap")
        if not kek_id.startswith(self.name) or not wrapped.startswith(context + b"|"):
            raise WrongKey
        return wrapped.removeprefix(context + b"|")

    def _called(self, call: str) -> None:
        self.calls.append(call)
        assert self.go_on.wait(30)
        if self.fault is not None:
            raise self.fault


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def made() -> AsyncIterator[Callable[..., tuple[Blocking, ServiceKeys, Time]]]:
    opened: list[tuple[Blocking, ServiceKeys]] = []

    def make(timeout: float = 30.0) -> tuple[Blocking, ServiceKeys, Time]:
        service, timer = Blocking(), Time()
        keys = ServiceKeys(service, timeout, timer)
        opened.append((service, keys))
        return service, keys, timer

    yield make
    for service, keys in opened:
        service.go_on.set()
        await keys.close()


async def test_what_was_wrapped_is_unwrapped_before_anything_relies_on_it(made: Any) -> None:
    service, keys, _ = made()
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    assert (kek_id, keys.current, service.calls) == (f"{service.name}:v1", kek_id, ["wrap", "unwrap"])
    assert await keys.unwrap(kek_id, wrapped, CONTEXT) == MATERIAL
    service.version = 2
    await keys.refresh()
    assert keys.current == f"{service.name}:v2"
    with pytest.raises(WrongKey):
        await keys.unwrap(kek_id, wrapped, b"another")


async def test_a_call_that_hangs_ends_in_time_and_holds_no_event_loop(made: Any) -> None:
    service, keys, _ = made(timeout=0.05)
    service.go_on.clear()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(others())
    with pytest.raises(KeyServiceUnavailable) as raised:
        await keys.unwrap(service.name, b"x", CONTEXT)
    other.cancel()
    assert turns > 1
    assert "0.05 s" in (raised.value.cause or "")


async def test_a_service_that_fails_is_left_alone_for_longer_and_longer(made: Any) -> None:
    service, keys, timer = made()
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    service.fault, service.calls = KeyServiceUnavailable(cause="gone"), []
    for after, calls in ((0.0, 1), (0.1, 1), (0.6, 2), (1.0, 2), (1.7, 3)):
        timer.now = after
        with pytest.raises(KeyServiceUnavailable) as raised:
            await keys.unwrap(kek_id, wrapped, CONTEXT)
        assert (raised.value.cause, len(service.calls)) == ("gone", calls), after
    service.fault, timer.now = None, 100.0
    assert await keys.unwrap(kek_id, wrapped, CONTEXT) == MATERIAL


async def test_no_more_calls_run_than_there_are_threads(made: Any) -> None:
    service, keys, _ = made()
    kek_id, wrapped = await keys.wrap(MATERIAL, CONTEXT)
    service.calls = []
    service.go_on.clear()
    asked = [asyncio.ensure_future(keys.unwrap(kek_id, wrapped, CONTEXT)) for _ in range(3 * THREADS)]
    await until(lambda: len(service.calls) == THREADS)
    service.go_on.set()
    assert await asyncio.gather(*asked) == [MATERIAL] * (3 * THREADS)


async def moved(keyrack: World, keys: ServiceKeys) -> None:
    """Have a service wrap all data keys of an installation, whose processes have none of them in memory."""
    (old,) = local.read_keys(keyrack.settings.effective_key_file)
    keyring = keyrack.store.keyring
    keyring._kek = KeyChain([keys, local.LocalKeys([old])])

    class Silent:
        def section(self, *_: object) -> None: ...
        def advance(self, *_: object) -> None: ...

    await KeyRotation(keyrack.store, keyring._kek, None).rewrap(Silent())
    for tenant in keyrack.tenants.values():
        keyring.forget(tenant.id)


async def sealed_for(keyrack: World, name: str) -> bytes:
    tenant = keyrack.tenants[name]
    async with keyrack.store.unit(tenant.id, writes=True) as unit:
        sealed = await unit.seal(teams, tenant.team_id, "sealed_docker_registry", "canary")
        await unit.connection.execute(
            update(teams).where(teams.c.id == tenant.team_id).values(sealed_docker_registry=sealed)
        )
    return sealed


async def opened(keyrack: World, name: str, sealed: bytes) -> object:
    tenant = keyrack.tenants[name]
    async with keyrack.store.unit(tenant.id) as unit:
        return await unit.open(teams, tenant.team_id, "sealed_docker_registry", sealed)


async def test_who_waits_for_the_same_key_waits_for_one_call_and_holds_no_connection(
    keyrack_on_each: World, made: Any
) -> None:
    keyrack = keyrack_on_each
    service, keys, _ = made()
    sealed = await sealed_for(keyrack, "Acme")
    await moved(keyrack, keys)
    service.calls = []
    service.go_on.clear()
    waiting = [asyncio.ensure_future(opened(keyrack, "Acme", sealed)) for _ in range(40)]
    await until(lambda: service.calls)
    await until(lambda: keyrack.store.connections()[0] == 0)  # no connection waits for the service
    assert not any(each.done() for each in waiting)
    service.go_on.set()
    assert await asyncio.gather(*waiting) == ["canary"] * 40
    assert service.calls == ["unwrap"]
    service.fault = KeyServiceUnavailable(cause="gone")
    assert await opened(keyrack, "Acme", sealed) == "canary", "its key is in memory"
    assert await sealed_for(keyrack, "Acme")


async def test_without_its_service_a_tenant_is_told_so_and_nothing_counts_as_damaged(keyrack: World, made: Any) -> None:
    service, keys, timer = made()
    sealed = await sealed_for(keyrack, "Acme")
    await moved(keyrack, keys)
    service.fault = KeyServiceUnavailable(cause="gone")
    with pytest.raises(KeyServiceUnavailable):
        await opened(keyrack, "Acme", sealed)
    created = await keyrack.support.post("/v2/tenants", NEW_TENANT)
    assert (created.status_code, created.json()["errors"][0]["code"]) == (503, "key_service_unavailable")
    service.fault, timer.now = None, 100.0
    assert await opened(keyrack, "Acme", sealed) == "canary"
    created = await keyrack.support.post("/v2/tenants", NEW_TENANT)
    assert created.status_code == 201


async def test_readiness_says_when_a_service_is_gone_and_when_it_is_back(keyrack: World, made: Any) -> None:
    service, keys, timer = made()
    await moved(keyrack, keys)
    watch = keyrack.services.key_watch
    watch._timer = timer
    await watch.look()
    assert watch.fault is None
    service.fault, timer.now = KeyServiceUnavailable(cause="gone"), 40.0
    await watch.look()
    assert (await keyrack.http.get("/readyz")).json() == {"status": "degraded", "keys": "unavailable"}
    assert (await keyrack.http.get("/readyz")).status_code == 200
    service.fault, timer.now = None, 100.0
    await watch.look()
    assert (await keyrack.http.get("/readyz")).json() == {"status": "ready"}


async def test_a_service_that_has_failed_a_request_is_asked_at_the_next_look(keyrack: World, made: Any) -> None:
    service, keys, timer = made()
    sealed = await sealed_for(keyrack, "Acme")
    await moved(keyrack, keys)
    watch = keyrack.services.key_watch
    watch._timer = timer
    await watch.look()
    service.fault = KeyServiceUnavailable(cause="gone")
    await watch.look()
    assert watch.fault is None, "it was asked a moment ago"
    with pytest.raises(KeyServiceUnavailable):
        await opened(keyrack, "Acme", sealed)
    await watch.look()
    assert watch.fault is not None


async def test_a_key_file_beside_a_service_is_read_again_as_soon_as_one_alone(keyrack: World, made: Any) -> None:
    service, keys, timer = made()
    path, new = keyrack.settings.effective_key_file, local.new_key()
    file = local.FileKeys(path)
    keyrack.store.keyring._kek = KeyChain([file, keys])
    watch = keyrack.services.key_watch
    watch._timer = timer
    await watch.look()
    local.write_keys(path, [*local.read_keys(path), new])
    service.calls, timer.now = [], 2.0
    await watch.look()
    assert local.fingerprint(new) in file.ids
    assert service.calls == [], "a service that works is not asked as often"


async def test_a_command_that_has_run_for_long_wraps_with_the_key_that_is_in_front_by_now(keyrack: World) -> None:
    path = keyrack.settings.effective_key_file
    keys, new = local.FileKeys(path), local.new_key()
    local.write_keys(path, [new])
    assert (await keys.wrap(b"m" * 32, b"context"))[0] == local.fingerprint(new)
    path.write_text("damaged")
    assert (await keys.wrap(b"m" * 32, b"context"))[0] == local.fingerprint(new), "what was read stays in use"


async def test_a_damaged_key_file_is_told_and_what_was_read_stays_in_use(keyrack: World) -> None:
    sealed = await sealed_for(keyrack, "Acme")
    path = keyrack.settings.effective_key_file
    before = path.read_bytes()
    path.write_bytes(b"damaged")
    watch = keyrack.services.key_watch
    await watch.look()
    assert isinstance(watch.fault, ConfigurationError)
    keyrack.store.keyring.forget(keyrack.tenants["Acme"].id)
    assert await opened(keyrack, "Acme", sealed) == "canary"
    path.write_bytes(before)
    await watch.look()
    assert watch.fault is None
