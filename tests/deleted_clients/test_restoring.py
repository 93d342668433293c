"""A deleted client is gone for every route of the contract, and can be restored whole for a time (decision 53)."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from keyrack.errors import NotFound
from keyrack.model.tenancy import Role
from keyrack.service.clients import deletion_window
from keyrack.service.deleted_clients.operator_desk import DeletedClientDesk
from keyrack.service.operator.crypto_shredding import CryptoShredding
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.quota_usage import Quota
from keyrack.store.resealing import Resealing
from keyrack.store.schema import deleted_clients
from keyrack.store.tenants import RolePolicy
from support import forked_commands
from support.app import BASE, World, error_of, settings_for, world
from support.auth_clients import change
from support.consent import add_oauth_client
from support.deleted_clients import AUTH, KINDS, OAUTH, SECRET, Deleting
from support.grants import add_auth_client, add_secret, mint
from support.keyrack_processes import environment
from support.registration_desk import Time
from support.rotation import NEW, OLD, accepts, rotation_body

WINDOW = timedelta(days=7)


@pytest.fixture
async def deleting(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[Deleting]:
    time = Time()
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, time) as made:
        yield Deleting(made, time)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_gone_for_the_contract_and_comes_back_whole(deleting: Deleting, kind: str) -> None:
    client_id = await deleting.client(kind)
    path, listed = deleting.own_path(kind, client_id), deleting.listed(kind)
    if kind == AUTH:
        assert (await deleting.admin.post(f"{path}/secret-rotation", rotation_body())).status_code == 201
    document, rows = (await deleting.admin.get(path)).json(), await deleting.rows(client_id)
    assert rows
    assert (await deleting.admin.delete(path)).status_code == 204

    assert await deleting.rows(client_id) == []
    for answer in (
        await deleting.admin.get(path),
        await deleting.admin.get(f"{path}/usage"),
        await deleting.admin.patch(path, change({})),
        await deleting.admin.delete(path),
        await deleting.admin.post(f"{path}/secret-rotation", rotation_body("another")),
    ):
        assert error_of(answer)[:2] == (404, "not_found")
    assert client_id not in (await deleting.admin.get(listed)).text
    (told,) = await deleting.restorable()
    assert (told["id"], told["type"]) == (client_id, "deleted-client")
    assert told["attributes"]["client_type"] == kind
    async with deleting.world.store.installation() as unit:
        (kept,) = (await unit.connection.execute(deleted_clients.select())).all()
    assert SECRET.encode() not in kept.sealed_client

    answer = await deleting.restore(client_id)
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    assert await deleting.rows(client_id) == rows
    assert (await deleting.admin.get(path)).json() == document
    assert client_id in (await deleting.admin.get(listed)).text
    assert await deleting.restorable() == []
    assert error_of(await deleting.restore(client_id))[:2] == (404, "not_found")
    assert await deleting.audited(f"{kind}.restore") == [(client_id, "allowed")]
    assert (await deleting.admin.delete(path)).status_code == 204, "and so again"
    assert (await deleting.restore(client_id)).status_code == 200


async def test_what_is_used_cannot_be_deleted_and_a_rotation_rests_meanwhile(
    deleting: Deleting, simulator: RunningSimulator
) -> None:
    acme, store, admin = deleting.acme, deleting.world.store, deleting.admin
    client = await add_auth_client(store, acme.id, simulator.token_endpoint)
    secret = await add_secret(store, acme, client, mint(simulator))
    path = f"/v2/auth-clients/{client.id}"
    assert error_of(await admin.delete(path))[:2] == (409, "in_use")
    assert await deleting.restorable() == []
    assert (await admin.delete(f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}")).status_code == 204
    accepts(simulator, OLD, NEW)
    assert (await admin.post(f"{path}/secret-rotation", rotation_body())).status_code == 201
    assert (await admin.delete(path)).status_code == 204
    assert await deleting.world.services.rotation_trials.tick() == 0
    body = {"data": {"type": "auth-secret", "attributes": {"name": "n", "type": "oauth2", "credentials": {}}}}
    body["data"]["relationships"] = {"auth_client": {"data": {"id": client.id, "type": "auth-client"}}}
    refused = await admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets", body)
    assert error_of(refused)[:2] == (404, "related_not_found"), "nothing is connected with it"
    assert (await deleting.restore(client.id)).status_code == 200
    assert await deleting.world.services.rotation_trials.tick() == 1
    assert (await admin.get(f"{path}/secret-rotation")).json()["data"]["attributes"]["state"] == "promoted"


async def test_where_another_client_has_its_place_it_waits_until_that_is_gone(deleting: Deleting) -> None:
    client_id = await deleting.client(OAUTH)
    path = deleting.own_path(OAUTH, client_id)
    component = (await deleting.admin.get(path)).json()["data"]["relationships"]["component"]["data"]["id"]
    assert (await deleting.admin.delete(path)).status_code == 204
    other = await add_oauth_client(deleting.world, "Acme", component, "another", "other")
    refused = await deleting.restore(client_id)
    assert error_of(refused) == (409, "already_exists", "/data/relationships/component")
    assert [each["id"] for each in await deleting.restorable()] == [client_id]
    assert (await deleting.admin.delete(deleting.own_path(OAUTH, other))).status_code == 204
    assert [each["id"] for each in await deleting.restorable()] == [other, client_id], "the last one first"
    assert (await deleting.restore(client_id)).status_code == 200
    assert error_of(await deleting.restore(other)) == (409, "already_exists", "/data/relationships/component")


async def test_components_that_are_gone_drop_out(deleting: Deleting) -> None:
    client_id = await deleting.client(AUTH)
    (component,) = [row["component_id"] for row in await deleting.rows(client_id) if "component_id" in row]
    assert (await deleting.admin.delete(f"/v2/auth-clients/{client_id}")).status_code == 204
    assert (await deleting.admin.delete(f"/v2/components/{component}")).status_code == 204
    assert (await deleting.restore(client_id)).status_code == 200
    told = (await deleting.admin.get(f"/v2/auth-clients/{client_id}")).json()["data"]
    assert told["relationships"]["components"]["data"] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_when_the_time_is_over_it_is_deleted_for_good(deleting: Deleting, kind: str) -> None:
    client_id, purge = await deleting.deleted(kind), deleting.world.services.client_purge
    deleting.time.ahead = WINDOW - timedelta(minutes=1)
    assert await purge.tick() == 0
    assert len(await deleting.restorable()) == 1
    deleting.time.ahead = WINDOW + timedelta(minutes=1)
    assert error_of(await deleting.restore(client_id))[:2] == (404, "not_found"), "though it is still there"
    assert error_of(await deleting.admin.delete(f"{deleting.path}/{client_id}"))[:2] == (404, "not_found")
    assert await deleting.restorable() == []
    assert sum(await asyncio.gather(*[purge.tick() for _ in range(3)])) == 1
    assert await deleting.audited(f"{kind}.purge") == [(client_id, "allowed")]
    async with deleting.world.store.installation() as unit:
        assert (await unit.connection.execute(deleted_clients.select())).all() == []


async def test_it_can_be_deleted_for_good_before(deleting: Deleting) -> None:
    client_id = await deleting.deleted()
    gone = await deleting.admin.delete(f"{deleting.path}/{client_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert error_of(await deleting.restore(client_id))[:2] == (404, "not_found")
    assert error_of(await deleting.admin.delete(f"{deleting.path}/{client_id}"))[:2] == (404, "not_found")
    assert await deleting.audited("auth-client.purge") == [(client_id, "allowed")]


async def test_others_neither_see_nor_restore_it(deleting: Deleting) -> None:
    acme, globex = deleting.acme, deleting.world.tenants["Globex"]
    of_tenant, of_place = await deleting.deleted(OAUTH), await deleting.deleted(AUTH, ("workspace", acme.workspace_id))
    theirs = f"/v2/tenants/{globex.id}/deleted-clients"
    assert (await globex.admin.get(theirs)).json()["data"] == []
    for client_id in (of_tenant, of_place, "f" * 24):
        for answer in (
            await globex.admin.post(f"{theirs}/{client_id}/restore"),
            await globex.admin.delete(f"{theirs}/{client_id}"),
            await deleting.restore("f" * 24),
        ):
            assert error_of(answer)[:2] == (404, "not_found")
        assert error_of(await deleting.restore(client_id, globex.admin))[:2] == (403, "forbidden")
        assert error_of(await deleting.restore(client_id, acme.guest))[:2] == (403, "forbidden")
        assert error_of(await deleting.restore(client_id, acme.stranger))[:2] == (403, "forbidden")
    assert error_of(await globex.admin.get(deleting.path))[:2] == (403, "forbidden")
    assert [each["id"] for each in await deleting.restorable(acme.integrator)] == [of_place], "of its own workspace"
    assert error_of(await deleting.restore(of_tenant, acme.integrator))[:2] == (404, "not_found")
    assert error_of(await acme.integrator.delete(f"{deleting.path}/{of_tenant}"))[:2] == (404, "not_found")
    assert (await deleting.restore(of_place, acme.integrator)).status_code == 200
    assert (await deleting.restore(of_tenant)).status_code == 200


@pytest.mark.parametrize(
    ("permission", "may"),
    [
        ("tenants.oauth_clients.delete", {OAUTH}),
        ("tenants.auth_clients.delete", {AUTH}),
        ("global.auth_clients.delete", {AUTH}),
        ("tenants.oauth_clients.create", set[str]()),
        ("global.auth_clients.edit", set[str]()),
    ],
)
async def test_the_permission_to_delete_it_alone_lets_it_be_restored(
    keyrack: World, permission: str, may: set[str]
) -> None:
    deleting = Deleting(keyrack, Time())
    async with keyrack.store.unit(deleting.acme.id, writes=True) as unit:
        roles = [*await RolePolicy(unit).list(), Role("tenants", "one", frozenset({permission}), {"en": "One"})]
        await RolePolicy(unit).replace(roles)
    who = await keyrack.add_user(deleting.acme.id, "one@acme.example", tenant_roles=["one"])
    for kind in KINDS:
        client_id = await deleting.deleted(kind)
        refusal = 404 if may else 403
        restored = await deleting.restore(client_id, who)
        assert restored.status_code == (200 if kind in may else refusal)
        if kind in may:
            assert (await deleting.admin.delete(deleting.own_path(kind, client_id))).status_code == 204
            assert [each["id"] for each in await deleting.restorable(who)] == [client_id]
        purged = await who.delete(f"{deleting.path}/{client_id}")
        assert purged.status_code == (204 if kind in may else refusal)


async def test_in_a_suspended_contract_nothing_is_restored(deleting: Deleting) -> None:
    acme = deleting.acme
    client_id = await deleting.deleted(AUTH, ("workspace", acme.workspace_id))
    assert (await deleting.admin.post(f"/v2/contracts/{acme.contract_id}/suspend")).status_code < 300
    assert error_of(await deleting.restore(client_id))[:2] == (403, "contract_suspended")
    assert error_of(await deleting.admin.delete(f"{deleting.path}/{client_id}"))[:2] == (403, "contract_suspended")
    assert (await deleting.admin.post(f"/v2/contracts/{acme.contract_id}/unsuspend")).status_code < 300
    assert (await deleting.restore(client_id)).status_code == 200


@pytest.mark.parametrize("place", ["workspace", "contract"])
async def test_with_its_place_it_is_deleted_for_good(deleting: Deleting, place: str) -> None:
    acme = deleting.acme
    inside = await deleting.deleted(AUTH, (place, getattr(acme, f"{place}_id")))
    beside = await deleting.deleted(AUTH)
    assert (await deleting.world.support.delete(f"/v2/{place}s/{getattr(acme, f'{place}_id')}")).status_code == 204
    assert [each["id"] for each in await deleting.restorable()] == [beside]
    assert error_of(await deleting.restore(inside))[:2] == (404, "not_found")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", ["deleting", "restoring", "writing it down"])
async def test_what_ends_between_two_steps_has_changed_nothing(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
) -> None:
    async def ends(*_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    client_id, rows = await deleting.client(kind), AuthClientRows if kind == AUTH else OAuthClientRows
    whole = await deleting.rows(client_id)
    if step != "deleting":
        assert (await deleting.admin.delete(deleting.own_path(kind, client_id))).status_code == 204
    with monkeypatch.context() as patched:
        if step == "deleting":
            patched.setattr(rows, "remove", ends)
            failed = await deleting.admin.delete(deleting.own_path(kind, client_id))
        else:
            owner, name = (rows, "insert") if step == "restoring" else (AuditLog, "append")
            patched.setattr(owner, name, ends)
            failed = await deleting.restore(client_id)
        assert failed.status_code == 500
    if step == "deleting":
        assert await deleting.rows(client_id) == whole
        assert await deleting.restorable() == []
    else:
        assert await deleting.rows(client_id) == []
        assert [each["id"] for each in await deleting.restorable()] == [client_id]
        assert (await deleting.restore(client_id)).status_code == 200
        assert await deleting.rows(client_id) == whole


@pytest.mark.parametrize("how", ["deleted", "shredded"])
async def test_with_its_tenant_or_the_tenants_keys_it_is_gone(deleting: Deleting, how: str) -> None:
    acme, store = deleting.acme, deleting.world.store
    ids = [await deleting.deleted(kind) for kind in KINDS]
    kept = await _global(deleting)
    if how == "shredded":
        await CryptoShredding(store).shred(acme.id)
    else:
        assert (await deleting.admin.delete(f"/v2/contracts/{acme.contract_id}")).status_code == 204
        assert (await deleting.world.support.delete(f"/v2/tenants/{acme.id}")).status_code == 204
    assert [each.id for each in await DeletedClientDesk(store).list()] == [kept]
    for client_id in ids:
        with pytest.raises(NotFound):
            await DeletedClientDesk(store).restore(client_id)


async def test_damaged_it_cannot_be_restored_and_goes_all_the_same(deleting: Deleting) -> None:
    client_id = await deleting.deleted()
    async with deleting.world.store.installation(writes=True) as unit:
        (kept,) = (await unit.connection.execute(deleted_clients.select())).all()
        damaged = kept.sealed_client[:-1] + bytes([kept.sealed_client[-1] ^ 1])
        await unit.connection.execute(update(deleted_clients).values(sealed_client=damaged))
    assert error_of(await deleting.restore(client_id))[:2] == (409, "unreadable")
    assert len(await deleting.restorable()) == 1
    deleting.time.ahead = WINDOW
    assert await deleting.world.services.client_purge.tick() == 1


async def test_keys_are_exchanged_for_it_as_for_others(deleting: Deleting) -> None:
    client_id, store = await deleting.client(), deleting.world.store
    whole = await deleting.rows(client_id)
    assert (await deleting.admin.delete(f"/v2/auth-clients/{client_id}")).status_code == 204
    async with store.unit(deleting.acme.id, writes=True) as unit:
        key = await unit.keyring.make_key(deleting.acme.id)
        await unit.keyring.add_key(unit.connection, key)
        assert (await Resealing(unit).batch(deleted_clients, key.id, None, 10)).resealed == 1
    assert (await deleting.restore(client_id)).status_code == 200
    assert await deleting.rows(client_id) == whole


async def test_what_the_tenant_may_have_bounds_what_is_restored_and_kept(
    deleting: Deleting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion_window, "MOST_KEPT", 2)
    ids = [await deleting.deleted() for _ in range(4)]
    assert [each["id"] for each in await deleting.restorable()] == [ids[3], ids[2]]
    quotas = deleting.world.services.auth_clients._access._quotas
    assert quotas is not None
    monkeypatch.setattr(quotas, "limits", {Quota.other_rows: 1})
    assert error_of(await deleting.restore(ids[3]))[:2] == (409, "quota_exceeded")
    monkeypatch.setattr(quotas, "limits", {})
    assert (await deleting.restore(ids[3])).status_code == 200


async def test_without_a_window_nothing_is_kept(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, deleted_client_days="0"), Time()) as made:
        deleting = Deleting(made, Time())
        client_id = await deleting.deleted()
        assert await deleting.restorable() == []
        assert error_of(await deleting.restore(client_id))[:2] == (404, "not_found")


@pytest.mark.parametrize("kind", KINDS)
async def test_of_all_who_come_at_once_one_has_his_way(deleting: Deleting, kind: str) -> None:
    client_id = await deleting.client(kind)
    path, listed = deleting.own_path(kind, client_id), f"{deleting.path}/{client_id}"
    for _ in range(4):
        assert (await deleting.admin.delete(path)).status_code == 204
        answers = await asyncio.gather(*[deleting.restore(client_id) for _ in range(4)])
        assert sorted(each.status_code for each in answers) == [200, 404, 404, 404]
    assert (await deleting.admin.delete(path)).status_code == 204
    restored, purged = await asyncio.gather(deleting.restore(client_id), deleting.admin.delete(listed))
    assert (restored.status_code, purged.status_code) in {(200, 404), (404, 204)}
    assert bool(await deleting.rows(client_id)) is (restored.status_code == 200)
    assert await deleting.restorable() == []


async def test_the_worker_and_whoever_restores_do_not_both_win(deleting: Deleting) -> None:
    purge, ids = deleting.world.services.client_purge, [await deleting.deleted() for _ in range(4)]
    deleting.time.ahead = WINDOW - timedelta(milliseconds=40)  # the window ends while they are at it
    answers, _ = await asyncio.gather(
        asyncio.gather(*[deleting.restore(each) for each in ids]),
        asyncio.gather(*[purge.tick() for _ in range(20)]),
    )
    deleting.time.ahead = WINDOW + timedelta(minutes=1)
    await purge.tick()
    there = [each for each in ids if await deleting.rows(each)]
    assert there == [each for each, answer in zip(ids, answers, strict=True) if answer.status_code == 200]
    assert len(await deleting.audited("auth-client.purge")) == len(ids) - len(there)


async def test_the_commands_list_restore_and_purge_clients_of_all_owners(keyrack: World) -> None:
    deleting = Deleting(keyrack, Time())

    async def run(*words: str, code: int = 0) -> Any:
        env = environment(deleting.world.settings)
        done = await asyncio.to_thread(lambda: forked_commands.run(["clients", *words, "--json"], env, 60))
        assert done.returncode == code, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    assert await run("deleted") == []
    of_tenant, support = await deleting.deleted(OAUTH), deleting.world.support
    everyones = await _global(deleting)
    assert {(each["client_id"], each["type"], each["tenant_id"]) for each in await run("deleted")} == {
        (of_tenant, OAUTH, deleting.acme.id),
        (everyones, AUTH, None),
    }
    assert (await run("restore", everyones))["restored"] is True
    assert (await support.get(f"/v2/auth-clients/{everyones}")).status_code == 200
    assert (await run("purge", of_tenant))["purged"] is True
    assert await run("deleted") == []
    assert "no such client" in await run("restore", of_tenant, code=1)
    assert await deleting.audited("oauth-client.purge") == [(of_tenant, "allowed")]


async def _global(deleting: Deleting) -> str:
    client = await add_auth_client(deleting.world.store, "", "https://idp.example/t")
    assert (await deleting.world.support.delete(f"/v2/auth-clients/{client.id}")).status_code == 204
    return client.id
