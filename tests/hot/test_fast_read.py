"""The hot read of a secret answers what the framework answers, byte for byte, or leaves it to the framework."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from keyrack import metrics
from keyrack.api.core.rate_limits import Rates, Throttle
from keyrack.model.identity import PrincipalKind
from keyrack.model.secrets import ErrorCode, Failure, SecretState
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.store.accounts import ApiKeys
from support.app import Caller, TenantInTest, World, error_of
from support.grants import add_auth_client, add_secret, change
from support.hot import Pair, hot
from support.secrets import add_client, make

NOBODY_LISTENS = "http://127.0.0.1:8/token"
NOW = datetime.now(UTC).replace(microsecond=0)
GET = "workspaces.auth_secret.get"
GET_CREDENTIALS = "workspaces.auth_secret.get_credentials"


@pytest.fixture
async def pair(keyrack_on_each: World) -> AsyncIterator[Pair]:
    async with hot(keyrack_on_each) as made:
        yield made


def acme(pair: Pair) -> TenantInTest:
    return pair.world.tenants["Acme"]


async def oauth2_secret(pair: Pair, *, age: int = 0, **values: Any) -> str:
    """Store a secret of Acme with values of the row as given; return its path."""
    world = pair.world
    client = await add_auth_client(world.store, acme(pair).id, NOBODY_LISTENS)
    tokens = {"access_token": "at-" + "a" * 300, "refresh_token": "rt-1", "scope": "a b"}
    secret = await add_secret(world.store, acme(pair), client, tokens, age=age)
    if values:
        await change(world.store, secret, **values)
    return f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"


FRESH: dict[str, dict[str, Any]] = {
    "new": {},
    "refreshed before": {"refreshed_at": NOW, "generation": 7},
    "failed before": {
        "failure": Failure("provider_unavailable", "timeout"), "failure_count": 3, "failed_at": NOW,
        "retry_at": NOW + timedelta(minutes=5),
    },
    "with a name of all kinds": {"name": "Zoë's \"Konto\" \\ <b> \u2028 🔑"},
    "with a cause long gone": {"error": "was so", "error_code": ErrorCode.client_rejected, "error_at": NOW},
    "granted less than was asked for": {"requested_scopes": ("a", "b", "c"), "missing_scopes": ("c",)},
    "without expiry": {"expires_at": None, "due_at": None},
    "awaiting its cutover": {"cutover_batch_id": "b" * 24},
    "awaiting its cutover and expired": {"cutover_batch_id": "b" * 24, "expires_at": NOW - timedelta(days=1)},
    "without refresh token": {"refreshable": False, "due_at": None},
    "without refresh token and expired": {"refreshable": False, "due_at": None, "expires_at": NOW - timedelta(days=1)},
}  # fmt: skip
OTHER: dict[str, dict[str, Any]] = {
    "in error": {
        "state": SecretState.error, "error": "The user took the access away.",
        "error_code": ErrorCode.reauthorization_required, "error_at": NOW,
    },
    "expired and waiting": {
        "issued_at": NOW - timedelta(hours=2), "expires_at": NOW - timedelta(hours=1), "failure_count": 1,
        "retry_at": NOW + timedelta(hours=1), "failed_at": NOW, "failure": Failure("provider_unavailable", "timeout"),
    },
    "due and waiting": {
        "issued_at": NOW - timedelta(hours=1), "expires_at": NOW + timedelta(seconds=20),
        "retry_at": NOW + timedelta(hours=1),
    },
}  # fmt: skip


@pytest.mark.parametrize("state", FRESH)
async def test_a_fresh_secret_is_answered_the_same_without_the_framework(pair: Pair, state: str) -> None:
    path = await oauth2_secret(pair, **FRESH[state])
    await pair.seen(acme(pair).integrator, path)  # fetches the tenant's data key, if nobody has
    with_it, without = await pair.both(acme(pair).integrator, path)
    assert (with_it.by_framework, without.by_framework) == (False, True)
    assert with_it.status == 200
    assert replace(with_it, by_framework=True) == without
    assert b"access_token" in with_it.body


@pytest.mark.parametrize("state", OTHER)
async def test_any_other_is_left_to_the_framework(pair: Pair, state: str) -> None:
    path = await oauth2_secret(pair, **OTHER[state])
    with_it, without = await pair.both(acme(pair).integrator, path)
    assert with_it.by_framework
    assert with_it == without


async def test_a_secret_that_is_no_oauth2_is_answered_the_same(pair: Pair) -> None:
    client = await add_client(pair.world, acme(pair), "basic")
    given = {"username": "ü", "password": "p", "nested": {"list": [1, 2.5, None, True], "empty": {}}}
    made = await make(acme(pair).integrator, acme(pair).workspace_id, client, given)
    path = f"/v2/workspaces/{acme(pair).workspace_id}/secrets/{made['id']}"
    with_it, without = await pair.both(acme(pair).integrator, path)
    assert not with_it.by_framework
    assert replace(with_it, by_framework=True) == without


async def test_every_caller_gets_the_same_with_and_without_it(pair: Pair) -> None:
    world, path = pair.world, await oauth2_secret(pair)
    key = new_api_key()
    async with world.store.unit(acme(pair).id, writes=True) as unit:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await ApiKeys(unit).add(PrincipalKind.user, acme(pair).integrator.id, "old", key_hash(key), past)
    member = acme(pair).integrator
    callers = {
        "integrator": (member, 200),
        "integrator, in capitals": (Caller(member._http, member.name.upper(), member.api_key), 200),
        "owner": (acme(pair).admin, 200),
        "guest, without credentials": (acme(pair).guest, 200),
        "stranger": (acme(pair).stranger, 403),
        "other tenant": (world.tenants["Globex"].admin, 403),
        "service account": (await world.add_service_account(GET, GET_CREDENTIALS), 200),
        "service account without credentials": (await world.add_service_account(GET), 200),
        "service account without this": (await world.add_service_account("workspaces.flow.get"), 403),
        "wrong key": (Caller(member._http, member.name, "kr_wrong"), 401),
        "another's key": (Caller(member._http, member.name, acme(pair).admin.api_key), 401),
        "expired key": (Caller(member._http, member.name, key.reveal()), 401),
    }
    hot_ones = set()
    for _ in range(2):  # the second time, callers are remembered
        for name, (who, status) in callers.items():
            with_it, without = await pair.both(who, path)
            assert (with_it.status, name) == (status, name)
            assert replace(with_it, by_framework=False) == replace(without, by_framework=False), name
            if with_it.status == 200 and not with_it.by_framework:
                hot_ones.add(name)
    assert hot_ones == {"integrator", "integrator, in capitals", "owner", "service account"}


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "min_validity": ("{path}?min_validity=0", {}),
    "an unknown parameter": ("{path}?x=1", {}),
    "the singular": ("{singular}", {}),
    "a slash at the end": ("{path}/", {}),
    "an unknown secret": ("{secrets}/" + "0" * 24, {}),
    "a malformed secret": ("{secrets}/nobody", {}),
    "an id in capitals": ("{secrets}/{capitals}", {}),
    "an unknown workspace": ("/v2/workspaces/" + "0" * 24 + "/secrets/" + "0" * 24, {}),
    "another method": ("{path}", {"method": "DELETE"}),
    "no such method": ("{path}", {"method": "PUT"}),
    "a body": ("{path}", {"content": b"{}"}),
    "another accept": ("{path}", {"headers": {"accept": "text/html"}}),
    "json refused": ("{path}", {"headers": {"accept": "application/json;q=0, */*"}}),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_request_that_is_not_plain_is_left_to_the_framework(pair: Pair, case: str) -> None:
    path = await oauth2_secret(pair)
    secrets, _, secret_id = path.rpartition("/")
    who = acme(pair).integrator  # may not delete
    await pair.seen(who, path)  # from here on the caller is remembered
    template, more = REQUESTS[case]
    singular = path.replace("/workspaces/", "/workspace/")
    address = template.format(path=path, secrets=secrets, singular=singular, capitals=secret_id.upper())
    if more.get("method") == "DELETE":
        who = acme(pair).guest
    asked: list[object] = []
    really = pair.world.services.fast_reads.find

    async def find(*given: object) -> Any:
        asked.append(given)
        return await really(*given)  # type: ignore[arg-type] # handed on as they came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.world.services.fast_reads, "find", find)
        with_it, without = await pair.both(who, address, **more)
    assert with_it == without
    assert len(asked) == (1 if case in {"an unknown secret", "an unknown workspace"} else 0)


async def test_head_is_answered_as_get_is_without_the_body(pair: Pair) -> None:  # contract 0.22
    path = await oauth2_secret(pair)
    got = await pair.seen(acme(pair).integrator, path)  # from here on the caller is remembered
    with_it, without = await pair.both(acme(pair).integrator, path, method="HEAD")
    assert not with_it.by_framework
    assert replace(with_it, by_framework=True) == without
    assert replace(with_it, body=got.body) == got
    assert (without.status, without.body) == (200, b"")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/vnd.api+json", "text/html, */*;q=0.1"])
async def test_whatever_accepts_json_is_plain(pair: Pair, accept: str) -> None:
    path = await oauth2_secret(pair)
    headers = {"accept": accept}
    await pair.seen(acme(pair).integrator, path)
    with_it, without = await pair.both(acme(pair).integrator, path, headers=headers)
    assert not with_it.by_framework
    assert replace(with_it, by_framework=True) == without


async def test_the_request_id_is_echoed_and_the_log_line_is_the_same(pair: Pair) -> None:
    path = await oauth2_secret(pair)
    await pair.seen(acme(pair).integrator, path)
    lines: list[list[dict[str, Any]]] = []
    for by_framework in (False, True):
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as log:
            given = {"x-request-id": "mine-1"}
            if by_framework:
                async with pair.framework_only():
                    answer = await acme(pair).integrator.get(path, headers=given)
            else:
                answer = await acme(pair).integrator.get(path, headers=given)
        assert answer.headers["x-request-id"] == "mine-1"
        assert answer.headers["cache-control"] == "no-store"
        lines.append([{name: value for name, value in line.items() if name != "ms"} for line in log])
    assert lines[0] == lines[1]
    assert [line["event"] for line in lines[0]] == ["request"]


async def test_it_counts_among_the_metrics_and_as_a_use_as_the_frameworks_answer_does(pair: Pair) -> None:
    path = await oauth2_secret(pair)
    who, last_use = acme(pair).integrator, pair.world.services.last_use
    await pair.seen(who, path)
    counted: list[tuple[Any, ...]] = []
    used: list[set[Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "request", lambda *given: counted.append(given[:3]))
        for by_framework in (False, True):
            last_use._noted.clear()
            if by_framework:
                async with pair.framework_only():
                    await pair.seen(who, path)
            else:
                assert not (await pair.seen(who, path)).by_framework
            used.append(set(last_use._noted))
    assert counted[0] == counted[1]
    assert used[0] == used[1] == {(acme(pair).id, path.rpartition("/")[2])}


async def test_requests_are_limited_and_counted_once(keyrack: World) -> None:  # 0.18
    keyrack.front._throttle = Throttle(Rates(caller=10), lambda: 0.0)
    async with hot(keyrack) as pair:
        fresh = await oauth2_secret(pair)
        other = await oauth2_secret(pair, **OTHER["in error"])
        who = acme(pair).integrator
        seen = [await pair.seen(who, path) for path in (fresh, other) * 5]
        assert {each.status for each in seen} == {200}
        assert len({each.by_framework for each in seen}) == 2
        assert [(await pair.seen(who, path)).status for path in (fresh, other)] == [429, 429]


async def test_a_change_is_seen_by_the_next_read(pair: Pair) -> None:
    path = await oauth2_secret(pair)
    who = acme(pair).admin
    for number in range(5):
        await who.patch(path, {"data": {"type": "auth-secret", "attributes": {"name": f"Number {number}"}}})
        answers = await asyncio.gather(*(who.get(path) for _ in range(20)))
        assert {answer.json()["data"]["attributes"]["name"] for answer in answers} == {f"Number {number}"}
    assert (await who.delete(path)).status_code == 204
    assert error_of(await who.get(path))[0] == 404
