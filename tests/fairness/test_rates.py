"""Rates by caller, tenant and address, and wrong keys: who goes too far is told so, and nobody else is (0.25)."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from keyrack.api.core.rate_limits import Rates, Throttle
from keyrack.errors import RateLimited
from keyrack.wiring.http import rates
from support.app import BASE, Caller, World, error_of, settings_for, world


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[World]:
    """A Keyrack for whose rates no time goes by."""
    rates = Rates(caller=4, tenant=6, address=40, wrong_keys=3)
    async with world(settings_for(tmp_path)) as keyrack:
        keyrack.front._throttle = Throttle(rates, lambda: 0.0)
        yield keyrack


def from_address(keyrack: World, who: Caller, address: str, api_key: str | None = None) -> Caller:
    """Return somebody as he calls from an address, with another key if that is given."""
    transport = httpx2.ASGITransport(keyrack.app, client=(address, 1))
    http = httpx2.AsyncClient(transport=transport, base_url=BASE)
    return Caller(http, who.name, api_key or who.api_key)


async def statuses(who: Caller, times: int) -> list[int]:
    return [(await who.get("/v2/users/me")).status_code for _ in range(times)]


async def test_a_tenant_has_a_rate_and_another_its_own(limited: World) -> None:
    acme, globex = limited.tenants["Acme"], limited.tenants["Globex"]
    assert await statuses(acme.admin, 4) == [200] * 4
    assert await statuses(acme.admin, 1) == [429], "the caller's own rate"
    assert await statuses(acme.integrator, 3) == [200, 200, 429], "four of the tenant's six were used before"
    refused = await acme.guest.get("/v2/users/me")
    assert error_of(refused) == (429, "rate_limited", None)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert await statuses(globex.admin, 4) == [200] * 4


async def test_an_address_has_a_rate_and_health_has_none(limited: World) -> None:
    acme, globex = limited.tenants["Acme"], limited.tenants["Globex"]
    attacker = from_address(limited, acme.admin, "192.0.2.1", "wrong")
    await statuses(attacker, 40)
    assert error_of(await attacker.get("/v2/users/me")) == (429, "rate_limited", None)
    assert (await attacker.get("/healthz")).status_code == 200
    assert await statuses(from_address(limited, globex.admin, "192.0.2.2"), 1) == [200]


async def test_wrong_keys_are_throttled_logged_and_counted_and_the_owner_gets_in(limited: World) -> None:
    admin = limited.tenants["Acme"].admin
    attacker = from_address(limited, admin, "192.0.2.1", "kr_wrong")
    with capture_logs() as logs:
        assert await statuses(attacker, 5) == [401] * 3 + [429] * 2
    told = [entry for entry in logs if entry["event"] == "wrong API key"]
    assert [(entry["name"], entry["address"]) for entry in told] == [(admin.name, "192.0.2.1")] * 3
    assert "kr_wrong" not in str(logs)
    assert await statuses(from_address(limited, admin, "192.0.2.1"), 1) == [200], "from the attacker's address"
    assert await statuses(from_address(limited, admin, "192.0.2.2"), 1) == [200]
    other = from_address(limited, limited.tenants["Globex"].admin, "192.0.2.1", "kr_wrong")
    assert await statuses(other, 1) == [401], "another name has a measure of its own"
    text = (await limited.http.get("/metrics", headers=limited.support.headers)).text
    assert 'keyrack_wrong_keys_total{outcome="throttled"}' in text


async def test_a_key_in_the_place_of_the_name_is_not_logged(limited: World) -> None:
    admin = limited.tenants["Acme"].admin
    misplaced = Caller(limited.http, admin.api_key, "x")
    with capture_logs() as logs:
        assert await statuses(misplaced, 1) == [401]
    assert admin.api_key not in str(logs)
    assert [entry["event"] for entry in logs if entry["event"] == "wrong API key"] == ["wrong API key"]


def test_the_settings_are_the_rates(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, rate_limit="1", rate_limit_tenant="2", rate_limit_address="3", wrong_keys_limit="4"
    )
    assert rates(settings) == Rates(caller=1, tenant=2, address=3, wrong_keys=4, wrong_passwords=10)


async def test_many_names_from_one_address_are_throttled_too(limited: World) -> None:
    transport = httpx2.ASGITransport(limited.app, client=("192.0.2.9", 1))
    http = httpx2.AsyncClient(transport=transport, base_url=BASE)
    answers = [(await Caller(http, f"user{n}@acme.example", "x").get("/v2/users/me")).status_code for n in range(32)]
    assert answers == [401] * 30 + [429] * 2


async def test_one_name_is_throttled_from_many_addresses_and_its_owner_gets_in(limited: World) -> None:
    admin = limited.tenants["Acme"].admin
    limited.front._throttle = Throttle(Rates(wrong_keys=3), lambda: 0.0)
    attempts = [
        await statuses(from_address(limited, admin, f"198.51.100.{number // 2}", "kr_wrong"), 1) for number in range(40)
    ]
    assert [each[0] for each in attempts] == [401] * 30 + [429] * 10, "two from each address, 30 in all"
    assert await statuses(from_address(limited, admin, "203.0.113.1"), 1) == [200], "whoever guesses locks nobody out"
    assert await statuses(from_address(limited, admin, "198.51.100.1"), 1) == [200]
    other = from_address(limited, limited.tenants["Globex"].admin, "198.51.100.200", "kr_wrong")
    assert await statuses(other, 1) == [401]


def test_a_network_of_ipv6_is_one_address() -> None:
    throttle = Throttle(Rates(address=2, wrong_keys=2), lambda: 0.0)
    for last in (1, 2):
        throttle.arrived(f"2001:db8::{last}")
        throttle.wrong_key("somebody", f"2001:db8::{last}")
    throttle.arrived("2001:db8:0:1::3")
    with pytest.raises(RateLimited):
        throttle.arrived("2001:db8::3")
    with pytest.raises(RateLimited):
        throttle.wrong_key("somebody", "2001:db8::3")
