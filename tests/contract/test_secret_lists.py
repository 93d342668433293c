"""Lists of auth secrets: filters, paging, and a filter by state that says what readers are told (contract 15.2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.clock import iso
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.keyring import INSTALLATION
from support.app import TenantInTest, World, error_of
from support.secrets import add_client, make


async def listed(tenant: TenantInTest, query: str = "") -> list[str]:
    answer = await tenant.integrator.get(f"/v2/workspaces/{tenant.workspace_id}/secrets{query}")
    assert answer.status_code == 200, answer.text
    return [entry["attributes"]["name"] for entry in answer.json()["data"]]


async def test_filters_and_their_spellings(keyrack: World) -> None:  # 15.2
    globex = keyrack.tenants["Globex"]
    one, other = [await add_client(keyrack, globex) for _ in range(2)]
    await make(globex.integrator, globex.workspace_id, one, name="a")
    await make(globex.integrator, globex.workspace_id, other, name="b")
    await make(globex.admin, globex.workspace_id, one, name="c")
    answer = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/secrets")
    assert answer.json()["meta"] == {}
    assert await listed(globex) == ["a", "b", "c"], "by id, which is the order of creation"
    assert await listed(globex, f"?filter[user]={globex.admin.id}") == ["c"]
    for key in ("filter[auth_client]", "filter[auth-client]", "filter%5Bauth_client%5D"):
        assert await listed(globex, f"/?{key}={one}") == ["a", "c"]
    assert await listed(globex, f"?filter[auth_client]={one}&filter[user]={globex.integrator.id}") == ["a"]
    assert await listed(globex, f"?filter[auth_client]={'0' * 24}") == []
    path = f"/v2/workspaces/{globex.workspace_id}/secrets"
    different = await globex.integrator.get(f"{path}?filter[auth_client]={one}&filter[auth-client]={other}")
    assert error_of(different)[:2] == (400, "validation_error")
    acme = keyrack.tenants["Acme"]
    assert await listed(acme) == []


async def test_pages_on_request(keyrack: World) -> None:  # 4
    globex = keyrack.tenants["Globex"]
    client = await add_client(keyrack, globex)
    for name in "abcde":
        await make(globex.integrator, globex.workspace_id, client, name=name)
    path = f"/v2/workspaces/{globex.workspace_id}/secrets"
    page = (await globex.integrator.get(f"{path}?page[size]=2&page[number]=2")).json()
    assert [entry["attributes"]["name"] for entry in page["data"]] == ["c", "d"]
    assert page["meta"] == {"page": 2, "per_page": 2, "total": 5, "total_pages": 3}
    past = (await globex.integrator.get(f"{path}?page[size]=2&page[number]=9&filter[user]={'0' * 24}")).json()
    assert (past["data"], past["meta"]["total"]) == ([], 0)


@pytest.mark.parametrize("query", ["filter[state]=broken", "filter[expires_before]=soon", "page[size]=0"])
async def test_wrong_parameters_are_named(keyrack: World, query: str) -> None:  # 3
    globex = keyrack.tenants["Globex"]
    answer = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/secrets?{query}")
    assert error_of(answer)[:2] == (400, "validation_error")
    assert answer.json()["errors"][0]["source"]["parameter"] == query.partition("=")[0]


FAILURE = Failure("unavailable", "It did not answer.", status=503)


def variants(secret: AuthSecret, now: datetime) -> dict[str, AuthSecret]:
    """One secret in every situation that decides about its state."""
    past, future, hour = now - timedelta(minutes=5), now + timedelta(minutes=5), timedelta(hours=1)
    failed: dict[str, Any] = {"failure": FAILURE, "failed_at": past, "failure_count": 3}
    broken: dict[str, Any] = {
        "state": SecretState.error,
        "error": "Connect again.",
        "error_code": ErrorCode.reauthorization_required,
        "error_at": past,
    }
    base = replace(secret, issued_at=past - hour, refreshable=True)
    return {
        "good": replace(base, expires_at=future),
        "good, failing": replace(base, expires_at=future, **failed),
        "expired": replace(base, expires_at=past),
        "expired, failing": replace(base, expires_at=past, **failed),
        "expired, never renewed": replace(base, expires_at=past, refreshable=False, **failed),
        "expired by a guess, not renewed": replace(base, expires_at=past, refreshable=False, lifetime_guessed=True),
        "expired, awaiting cutover": replace(base, expires_at=past, cutover_batch_id="b" * 24),
        "good and awaiting its cutover": replace(base, expires_at=future, cutover_batch_id="b" * 24),
        "no expiry": replace(base, expires_at=None, refreshable=False),
        "broken": replace(base, expires_at=future, **broken),
        "broken and expired": replace(base, expires_at=past, **broken),
    }


@pytest.mark.parametrize("everyones", [False, True])
async def test_the_filter_by_state_says_what_readers_are_told(keyrack_on_each: World, everyones: bool) -> None:  # 0.13
    globex = keyrack_on_each.tenants["Globex"]
    now = datetime.now(UTC)
    owner = None if everyones else globex
    good, rejected = [await add_client(keyrack_on_each, owner) for _ in range(2)]
    whose = keyrack_on_each.store.unit(INSTALLATION if everyones else globex.id, writes=True)
    async with whose as unit:
        await AuthClientRows(unit).set_columns(rejected, {"rejected_at": now})
    for client in (good, rejected):
        made = await make(globex.integrator, globex.workspace_id, client)
        async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
            rows = AuthSecrets(unit)
            stored = await rows.find(made["id"])
            assert stored is not None
            for name, secret in variants(stored, now).items():
                suffix = "" if client == good else ", client rejected"
                await rows.add(replace(secret, id=made["id"][:12] + f"{len(name) * 7:012x}"[-12:], name=name + suffix))
            await rows.remove(made["id"])
    path = f"/v2/workspaces/{globex.workspace_id}/secrets"
    told = {e["attributes"]["name"]: e["attributes"] for e in (await globex.integrator.get(path)).json()["data"]}
    assert len(told) == 22
    for state in ("ready", "error"):
        expected = sorted(name for name, attributes in told.items() if attributes["state"] == state)
        assert sorted(await listed(globex, f"?filter[state]={state}")) == expected
        paged = (await globex.integrator.get(f"{path}?filter[state]={state}&page[size]=1")).json()
        assert paged["meta"]["total"] == len(expected)
    assert told["expired, failing"]["error_code"] == "provider_unavailable"
    assert told["expired, never renewed"]["error_code"] == "token_expired"
    assert told["expired, awaiting cutover"]["error_code"] == "awaiting_cutover"
    assert told["expired by a guess, not renewed"]["state"] == "ready"
    assert told["expired, client rejected"]["error_code"] == "client_rejected"
    assert told["good, failing"]["state"] == "ready"
    assert told["good, failing"]["last_error"] == {
        "class": "unavailable",
        "text": "It did not answer.",
        "at": iso(now - timedelta(minutes=5)),
        "count": 3,
    }
    assert told["broken"]["error_at"] == iso(now - timedelta(minutes=5))
    soon = (now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    before = {name for name in told if "expired" in name}
    assert set(await listed(globex, f"?filter[expires_before]={soon}")) == before


async def test_the_keys_of_the_auth_client_are_never_shown(keyrack: World) -> None:  # 24.17
    globex = keyrack.tenants["Globex"]
    await make(globex.integrator, globex.workspace_id, await add_client(keyrack, globex))
    answer = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/secrets")
    assert "client-shh" not in answer.text
