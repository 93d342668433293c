"""Many passwords to hash hold up nobody but who sent them (issue 9.7)."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher, extract_parameters

from keyrack.crypto.secret import Secret
from keyrack.errors import RateLimited
from keyrack.service.identity.password_hashing import MOST, MOST_OF_A_TENANT, PasswordHashing
from support.app import Caller, World
from support.waits_and_faults import until

PARALLEL = 40


@dataclass
class Hashing:
    """What the hashing under test does, held at its first password."""

    go_on: threading.Event = field(default_factory=threading.Event)
    done: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    hashes: list[str] = field(default_factory=list)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hashing]:
    held, lock, quick = Hashing(), threading.Lock(), PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

    def slow(_: PasswordHasher, password: str) -> str:
        with lock:
            held.running += 1
            held.most = max(held.most, held.running)
        held.go_on.wait(60)
        with lock:
            held.running -= 1
            held.done.append(password)
        return by_itself(quick, password)

    by_itself = PasswordHasher.hash
    monkeypatch.setattr(PasswordHasher, "hash", slow)
    yield held
    held.go_on.set()


def create(who: Caller, name: str) -> Any:
    attributes = {"first_name": "A", "last_name": "B", "email": f"{name}@a.example", "password": f"h0rse {name}"}
    return who.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})


async def test_others_are_answered_while_one_creates_forty_users(keyrack: World, hashing: Hashing) -> None:
    attacker, victim = keyrack.tenants["Acme"].admin, keyrack.tenants["Globex"].admin
    attack = [asyncio.create_task(create(attacker, f"crowd{number}")) for number in range(PARALLEL)]
    await until(lambda: hashing.running)
    assert (await victim.get("/v2/users/me")).status_code == 200
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 60) == "free"
    victims = asyncio.create_task(create(victim, "victim"))
    waiting = keyrack.services.users._passwords._waiting
    await until(lambda: len(waiting) == 2 and sum(map(len, waiting.values())) == PARALLEL)
    hashing.go_on.set()
    assert (await victims).status_code == 201
    answers = await asyncio.gather(*attack)
    assert [answer.status_code for answer in answers] == [201] * PARALLEL
    assert hashing.most == 1
    assert hashing.done.index("h0rse victim") <= 2


async def test_a_tenant_may_have_so_many_waiting_and_is_told_so(keyrack: World, hashing: Hashing) -> None:
    attacker, victim = keyrack.tenants["Acme"].admin, keyrack.tenants["Globex"].admin
    attack = [asyncio.create_task(create(attacker, f"crowd{number}")) for number in range(MOST_OF_A_TENANT + 11)]
    await until(lambda: sum(task.done() for task in attack) == 10)
    refused: list[httpx2.Response] = [task.result() for task in attack if task.done()]
    assert {(answer.status_code, answer.json()["errors"][0]["code"]) for answer in refused} == {(429, "rate_limited")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    victims = asyncio.create_task(create(victim, "victim"))
    hashing.go_on.set()
    assert (await victims).status_code == 201
    assert [answer.status_code for answer in await asyncio.gather(*attack)].count(201) == MOST_OF_A_TENANT + 1


async def test_who_gives_up_waiting_holds_up_nobody(hashing: Hashing) -> None:
    passwords = PasswordHashing()
    attack = [asyncio.create_task(passwords.hash("one", Secret(f"gone{number}"))) for number in range(3)]
    await until(lambda: sum(map(len, passwords._waiting.values())) == 2)
    for task in attack:
        task.cancel()
    await asyncio.gather(*attack, return_exceptions=True)
    hashing.go_on.set()
    assert await passwords.hash("other", Secret("after"))
    assert not passwords._busy
    passwords.close()


async def test_tenants_that_take_all_places_together_make_room_for_another(hashing: Hashing) -> None:
    passwords, attackers = PasswordHashing(), MOST // MOST_OF_A_TENANT
    attack = [
        asyncio.create_task(passwords.hash(f"attacker {number % attackers}", Secret(f"crowd{number}")))
        for number in range(MOST + 1)
    ]
    await until(lambda: sum(map(len, passwords._waiting.values())) == MOST)
    victims = asyncio.create_task(passwords.hash("victim", Secret("victim")))
    await until(lambda: sum(task.done() for task in attack) == 1)
    hashing.go_on.set()
    assert await victims
    assert hashing.done.index("victim") <= attackers + 1
    answers = await asyncio.gather(*attack, return_exceptions=True)
    assert [type(answer) for answer in answers if not isinstance(answer, str)] == [RateLimited]
    passwords.close()


async def test_the_hash_uses_one_thread() -> None:
    passwords = PasswordHashing()
    found = extract_parameters(await passwords.hash("one", Secret("correct h0rse")))
    passwords.close()
    assert (found.parallelism, found.time_cost, found.memory_cost) == (1, 3, 65536)
