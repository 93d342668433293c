"""What a client that works again does to the secrets behind it, in all tenants, and what it leaves alone (0.13)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.schema import auth_secrets
from support.app import World
from support.grants import add_auth_client, add_secret, change

HOUR = 3600
LEAD = timedelta(seconds=30)
TOKENS = {"access_token": "at", "refresh_token": "rt"}
AT = datetime(2026, 1, 1, tzinfo=UTC)
FAILED: Mapping[str, Any] = {
    "failure": Failure("client_rejected", "no", error="invalid_client", status=401),
    "failure_count": 3,
    "failed_at": AT,
    "backoff_count": 2,
    "retry_at": AT,
}
FORGOTTEN = {"failure": None, "failure_count": 0, "failed_at": None, "backoff_count": 0, "retry_at": None}
Rows = dict[str, Mapping[str, Any]]


async def rows(world: World) -> Rows:
    async with world.store.installation() as unit:
        return {row.id: dict(row._asdict()) for row in await unit.connection.execute(select(auth_secrets))}


def changed(before: Rows, after: Rows, secret: AuthSecret) -> dict[str, Any]:
    """Return which columns of a secret's row are others than before, with their new values."""
    old, new = before[secret.id], after[secret.id]
    return {name: new[name] for name in new if new[name] != old[name]}


async def revive(world: World, client: AuthClient) -> tuple[Rows, Rows, datetime, datetime]:
    """Revive what waits for a client; return all rows before and after, and between which moments that was."""
    before, began = await rows(world), world.store.clock()
    async with world.store.unit(client.tenant_id, writes=True) as unit:
        await AuthClientHealth(unit).revive(client.id, LEAD)
    return before, await rows(world), began, world.store.clock()


@pytest.mark.parametrize("tenant", ["Acme", "Globex"])
async def test_paused_secrets_of_every_tenant_are_due_again_and_nothing_else_of_them_changes(
    keyrack_on_each: World, tenant: str
) -> None:
    world, owner = keyrack_on_each, keyrack_on_each.tenants[tenant]
    client = await add_auth_client(world.store, INSTALLATION, "https://provider.example/token")

    async def paused(age: int, lifetime: int = HOUR) -> AuthSecret:
        made = await add_secret(world.store, owner, client, TOKENS, age=age, lifetime=lifetime)
        return await change(world.store, made, due_at=None, **FAILED)

    expired, valid, short = await paused(4000), await paused(0), await paused(0, 100)
    before, after, began, ended = await revive(world, client)
    for secret in (expired, valid, short):
        now = changed(before, after, secret)
        due_at = now.pop("due_at")
        assert now == FORGOTTEN, "and not its tokens, state, fence or times of change"
        assert secret.expires_at is not None
        if secret is expired:
            assert began - timedelta(milliseconds=1) <= due_at <= ended
        else:
            ahead = LEAD if secret is valid else timedelta(seconds=10)
            assert abs(secret.expires_at - ahead - due_at) <= timedelta(milliseconds=1)


@pytest.mark.parametrize("of_all", [True, False], ids=["a global client", "a tenant's own client"])
async def test_what_does_not_wait_for_the_client_is_left_as_it_is(keyrack_on_each: World, of_all: bool) -> None:
    world = keyrack_on_each
    acme, globex = world.tenants["Acme"], world.tenants["Globex"]
    client = await add_auth_client(world.store, INSTALLATION if of_all else acme.id, "https://provider.example/token")
    others = {
        owner.id: await add_auth_client(world.store, INSTALLATION if of_all else owner.id, "https://provider.example/t")
        for owner in (acme, globex)
    }
    dead = {"state": SecretState.error, "error": "dead", "error_at": AT, "due_at": None, **FAILED}
    waiting, left = [], []
    for owner in (acme, globex) if of_all else (acme,):
        waiting.append(await add_secret(world.store, owner, client, TOKENS, age=4000))
        await change(world.store, waiting[-1], due_at=None, **FAILED)
        for code in (
            ErrorCode.reauthorization_required,
            ErrorCode.refresh_interrupted,
            ErrorCode.unsupported_token_type,
        ):
            ended = await add_secret(world.store, owner, client, TOKENS, age=4000)
            left.append(await change(world.store, ended, error_code=code, **dead))
        planned = await add_secret(world.store, owner, client, TOKENS, age=4000)
        left.append(await change(world.store, planned, **{**FAILED, "due_at": AT}))
        without = await add_secret(world.store, owner, client, {"access_token": "at"}, age=4000)
        left.append(await change(world.store, without, due_at=None, **FAILED))
    for owner in (acme, globex):
        of_another = await add_secret(world.store, owner, others[owner.id], TOKENS, age=4000)
        left.append(await change(world.store, of_another, due_at=None, **FAILED))

    before, after, _, _ = await revive(world, client)
    assert [changed(before, after, secret) for secret in left] == [{}] * len(left)
    assert all("due_at" in changed(before, after, secret) for secret in waiting)
    assert len(after) == len(waiting) + len(left)
