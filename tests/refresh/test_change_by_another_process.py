"""A secret that another process changes while it is refreshed here: the fence is in the database (contract 0.20)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.model.secrets import AuthSecret
from keyrack.store.attempts import open_attempts
from support.app import World, error_of
from support.grants import is_leased, stored
from support.keyrack_processes import Server, environment
from support.raw_provider import RawProvider, connect_raw, json_answer


def tokens(number: int) -> bytes:
    return json_answer(f'{{"access_token":"at-{number}","refresh_token":"rt-{number}","expires_in":3600}}')


class Two:
    """This process, which refreshes, and `keyrack serve`, which changes."""

    def __init__(self, world: World, provider: RawProvider, other: httpx2.AsyncClient) -> None:
        self.world, self.provider, self.other = world, provider, other
        self.who = world.tenants["Acme"].admin

    async def refresh_while(self, secret: AuthSecret, method: str, attributes: Any = None) -> httpx2.Response:
        """Refresh a secret here; while the provider thinks about it, change or delete it over there."""
        path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"
        body = None if attributes is None else {"data": {"type": "auth-secret", "attributes": attributes}}
        self.provider.asked.clear()
        self.provider.go_on.clear()
        running = asyncio.create_task(self.who.post(f"{path}/refresh"))
        await asyncio.wait_for(self.provider.asked.wait(), 60)
        answer = await self.other.request(method, path, json=body, headers=self.who.headers)
        assert answer.is_success, answer.text
        self.provider.go_on.set()
        return await running

    async def left_open(self) -> int:
        await self.world.services.refreshing.recovery.tick()
        async with self.world.store.installation() as unit:
            return len(await open_attempts(unit))


@pytest.fixture
async def two(keyrack_on_each: World, raw_provider: RawProvider, tmp_path: Path) -> AsyncIterator[Two]:
    server = Server(environment(keyrack_on_each.settings), tmp_path / "server.log", "--no-worker")
    try:
        await asyncio.to_thread(server.wait_until_ready)
        async with httpx2.AsyncClient(base_url=server.base, timeout=60) as other:
            yield Two(keyrack_on_each, raw_provider, other)
    finally:
        server.kill()


async def test_another_refresh_token_set_by_another_process_wins(two: Two, raw_provider: RawProvider) -> None:
    secret = (await connect_raw(two.world, raw_provider)).secret
    raw_provider.answers = [tokens(2), tokens(3)]
    set_by_hand = {"credentials": {"access_token": "at-person", "refresh_token": "rt-person"}}
    answer = await two.refresh_while(secret, "PATCH", set_by_hand)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["attributes"]["credentials"]["access_token"] == "at-3", "one of the new grant"
    assert [form["refresh_token"] for form in raw_provider.forms] == ["rt-1", "rt-person"]
    assert (await stored(two.world.store, secret)).credentials["refresh_token"] == "rt-3"

    removed = (await connect_raw(two.world, raw_provider)).secret
    raw_provider.answers = [tokens(4)]
    answer = await two.refresh_while(removed, "PATCH", {"credentials": {"refresh_token": None}})
    assert error_of(answer)[:2] == (400, "not_refreshable")
    after = await stored(two.world.store, removed)
    assert (after.credentials["access_token"], after.refreshable) == ("at-1", False)
    assert not await is_leased(two.world.store, removed)
    assert await two.left_open() == 0


async def test_what_else_another_process_changes_and_the_answer_are_both_kept(
    two: Two, raw_provider: RawProvider
) -> None:
    changes: list[dict[str, Any]] = [
        {"name": "Renamed"},
        {"credentials": {"fields": {"region": "eu"}}},
        {"credentials": {"access_token": "at-person", "expires_in": 60}},
    ]
    for attributes in changes:
        secret = (await connect_raw(two.world, raw_provider)).secret
        raw_provider.answers = [tokens(2)]
        answer = await two.refresh_while(secret, "PATCH", attributes)
        assert answer.status_code == 200, answer.text
        shown = answer.json()["data"]["attributes"]
        assert (shown["credentials"]["access_token"], shown["credentials"]["refresh_token"]) == ("at-2", "rt-2")
        after = await stored(two.world.store, secret)
        assert after.credentials["refresh_token"] == "rt-2"
        assert after.name == attributes.get("name", secret.name)
        assert after.credentials.get("fields") == attributes.get("credentials", {}).get("fields")
        assert not await is_leased(two.world.store, secret)
    assert await two.left_open() == 0


async def test_a_secret_that_another_process_deletes_is_not_written_again(two: Two, raw_provider: RawProvider) -> None:
    secret = (await connect_raw(two.world, raw_provider)).secret
    raw_provider.answers = [tokens(2)]
    assert (await two.refresh_while(secret, "DELETE")).status_code == 404
    path = f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"
    assert (await two.who.get(path)).status_code == 404
    assert await two.left_open() == 0
