"""Links for first API keys: who may have one made for whom, and what ends it (extension, decision 24)."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from keyrack import clock
from keyrack.model.tenancy import Role
from keyrack.service.operator.accounts import Accounts
from keyrack.service.tenancy.setup_links import SetupLinkMaker
from keyrack.store.contracts import ContractMembers
from keyrack.store.setup_links import SetupLinks
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import RolePolicy
from support.app import BASE, Caller, TenantInTest, World, error_of, settings_for, world
from support.documents import ID, TIME
from support.setup_links import give_roles, invited, is_refused, key_from, link_for, newcomer, use

NEW = "new.person@acme.example"


async def creator(keyrack: World, acme: TenantInTest, *more: str) -> Caller:
    """Somebody who may create users and nothing else."""
    permissions = frozenset({"tenants.user.create", *more})
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        policy = [*await RolePolicy(unit).list(), Role("tenants", "creator", permissions, {"en": "Creator"})]
        await RolePolicy(unit).replace(policy)
    return await keyrack.add_user(acme.id, "creator@acme.example", ["creator"])


async def actions(acme: TenantInTest) -> list[tuple[str, str, str]]:
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events")).json()["data"]
    told = [each["attributes"] for each in events]
    return [(each["actor"], each["action"], each["outcome"]) for each in told]


async def test_a_link_gives_the_first_key_once(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    user_id = await newcomer(acme.admin, NEW)
    answer = await acme.admin.post(f"/v2/users/{user_id}/setup-links")
    document = answer.json()
    made = document["data"]
    assert (answer.status_code, document) == (201, {"data": made, "meta": {}})
    assert (made["type"], set(made), set(made["attributes"])) == (
        "setup-link", {"id", "type", "attributes"}, {"url", "expires_at"},
    )  # fmt: skip
    assert ID.fullmatch(made["id"])
    assert TIME.fullmatch(made["attributes"]["expires_at"])
    lives = datetime.fromisoformat(made["attributes"]["expires_at"]) - clock.now()
    assert timedelta(hours=23, minutes=58) < lives <= timedelta(days=1)
    assert answer.headers["cache-control"] == "no-store"
    url = made["attributes"]["url"]
    base, _, token = url.partition("/setup?link=")
    assert base == BASE
    assert len(token) == 43, "256 bits"
    looked = await keyrack_on_each.http.get(url)
    assert looked.status_code == 200
    assert NEW in looked.text
    person = await key_from(keyrack_on_each, url, NEW)
    assert (await person.get("/v2/users/me")).json()["data"]["id"] == user_id
    assert await is_refused(keyrack_on_each, url)
    keys = (await person.get("/v2/users/me/api-keys")).json()["data"]
    assert [each["attributes"]["name"] for each in keys] == ["setup link"]


async def test_making_and_using_are_in_the_audit_log(keyrack: World, acme: TenantInTest) -> None:
    user_id = await newcomer(acme.admin, NEW)
    await key_from(keyrack, await link_for(acme.admin, user_id), NEW)
    said = await actions(acme)
    assert said[-4:] == [
        (acme.admin.name, "setup-link.create", "allowed"),
        (acme.admin.name, "setup-link.create", "allowed"),
        (NEW, "setup-link.use", "allowed"),
        (NEW, "api-key.create", "allowed"),
    ]
    about = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?target={user_id}")).json()["data"]
    assert [each["attributes"]["action"] for each in about] == ["user.create", "setup-link.create", "setup-link.use"]
    assert about[-1]["attributes"]["address"] == "127.0.0.1"


async def test_only_a_hash_of_it_is_stored(keyrack: World, acme: TenantInTest) -> None:
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    token = url.partition("link=")[2].encode()
    for path in keyrack.settings.home.iterdir():
        if path.is_file():
            assert token not in path.read_bytes(), path


async def test_of_two_who_use_it_at_once_one_gets_a_key(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    answers = await asyncio.gather(*(use(keyrack_on_each, url) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [400] * 7
    (won,) = [each for each in answers if each.status_code == 200]
    assert won.text.count("kr_") == 1


async def test_of_two_links_made_at_once_one_is_good(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    user_id = await newcomer(acme.admin, NEW)
    urls = await asyncio.gather(*(link_for(acme.admin, user_id) for _ in range(5)))
    looks = [(await keyrack_on_each.http.get(url)).status_code for url in urls]
    assert sorted(looks) == [200, 400, 400, 400, 400]


async def test_a_newer_link_ends_an_earlier_one(keyrack: World, acme: TenantInTest) -> None:
    user_id = await newcomer(acme.admin, NEW)
    first, second = await link_for(acme.admin, user_id), await link_for(acme.admin, user_id)
    assert first != second
    assert await is_refused(keyrack, first)
    await key_from(keyrack, second, NEW)


async def test_a_link_is_good_for_a_day(tmp_path: Path) -> None:
    ahead = timedelta()
    settings = settings_for(tmp_path, public_url=BASE)
    async with world(settings, lambda: clock.now() + ahead) as made:
        acme = made.tenants["Acme"]
        url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
        ahead = timedelta(hours=23, minutes=59)
        assert (await made.http.get(url)).status_code == 200
        ahead = timedelta(hours=24, minutes=1)
        assert await is_refused(made, url)
        await made.services.retention.reap()
        async with made.store.unit(acme.id) as unit:
            assert (await unit.connection.execute(SetupLinks(unit).select())).all(), "kept as long as events are"
        ahead = timedelta(days=32)
        await made.services.retention.reap()
        async with made.store.unit(acme.id) as unit:
            assert not (await unit.connection.execute(SetupLinks(unit).select())).all()


async def test_a_deleted_user_has_no_link(keyrack: World, acme: TenantInTest) -> None:
    user_id = await newcomer(acme.admin, NEW)
    url = await link_for(acme.admin, user_id)
    assert (await acme.admin.delete(f"/v2/users/{user_id}")).status_code == 204
    assert await is_refused(keyrack, url)
    async with keyrack.store.unit(acme.id) as unit:
        assert not (await unit.connection.execute(SetupLinks(unit).select())).all()
    assert error_of(await acme.admin.post(f"/v2/users/{user_id}/setup-links"))[:2] == (404, "not_found")


async def test_an_account_that_is_in_use_has_no_link(acme: TenantInTest) -> None:
    for user in (acme.stranger, acme.guest, acme.admin):
        refused = await acme.admin.post(f"/v2/users/{user.id}/setup-links")
        assert error_of(refused)[:2] == (409, "state_conflict")


async def test_an_account_whose_keys_are_gone_counts_as_in_use(keyrack: World, acme: TenantInTest) -> None:
    for key in (await acme.stranger.get("/v2/users/me/api-keys")).json()["data"]:
        await Accounts(keyrack.store).revoke_key(acme.stranger.name, key["id"])
    refused = await acme.admin.post(f"/v2/users/{acme.stranger.id}/setup-links")
    assert error_of(refused)[:2] == (409, "state_conflict")


async def test_a_key_that_comes_another_way_ends_the_link(keyrack: World, acme: TenantInTest) -> None:
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    await Accounts(keyrack.store).create_key(NEW, "by hand", None)
    assert await is_refused(keyrack, url)


async def test_the_password_that_somebody_else_chose_ends_with_it(keyrack: World, acme: TenantInTest) -> None:
    from sqlalchemy import select  # noqa: PLC0415 - only used here

    from keyrack.store.schema import users  # noqa: PLC0415 - only used here

    user_id = await newcomer(acme.admin, NEW)
    url = await link_for(acme.admin, user_id)
    hashes = select(users.c.password_hash).where(users.c.id == user_id)
    async with keyrack.store.unit(acme.id) as unit:
        assert (await unit.connection.execute(hashes)).scalar() is not None
    await key_from(keyrack, url, NEW)
    async with keyrack.store.unit(acme.id) as unit:
        assert (await unit.connection.execute(hashes)).scalar() is None


async def test_who_may_create_users_makes_links_for_who_holds_nothing(keyrack: World, acme: TenantInTest) -> None:
    maker = await creator(keyrack, acme)
    user_id = await newcomer(maker, NEW)
    person = await key_from(keyrack, await link_for(maker, user_id), NEW)
    assert (await person.get("/v2/users/me")).status_code == 200


async def test_a_service_account_may_too(keyrack: World, acme: TenantInTest) -> None:
    user_id = await newcomer(acme.admin, NEW)
    service = await keyrack.add_service_account("tenants.user.create")
    await key_from(keyrack, await link_for(service, user_id), NEW)


async def test_others_may_not(keyrack: World, acme: TenantInTest) -> None:
    user_id = await newcomer(acme.admin, NEW)
    path = f"/v2/users/{user_id}/setup-links"
    reader = await keyrack.add_service_account("tenants.user.get")
    assert error_of(await reader.post(path))[:2] == (403, "forbidden")
    for who in (acme.stranger, acme.integrator, keyrack.tenants["Globex"].admin):
        assert error_of(await who.post(path))[:2] == (404, "not_found")
    body = {"data": {"type": "contract-member", "id": user_id, "attributes": {"roles": ["member"]}}}
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", body)).status_code == 200
    assert error_of(await acme.integrator.post(path))[:2] == (403, "forbidden"), "in a contract with the user"


@pytest.mark.parametrize("held", ["tenant role", "membership", "workspace", "team", "invite"])
async def test_nobody_gains_by_a_link(keyrack: World, acme: TenantInTest, held: str) -> None:
    maker = await creator(keyrack, acme, "tenants.user.get")
    user_id = await newcomer(maker, NEW)
    earlier = await link_for(maker, user_id)
    member = {"data": {"type": "contract-member", "id": user_id, "attributes": {"roles": ["owner"]}}}
    if held == "tenant role":
        await give_roles(acme, user_id, "tenant-admin")
    elif held == "invite":
        await invited(acme.admin, acme.contract_id, NEW, "owner")
    else:
        assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", member)).status_code == 200
        async with keyrack.store.unit(acme.id, writes=True) as unit:  # what it gains is more than the membership
            await ContractMembers(unit).add(acme.contract_id, maker.id, ["owner"])
    if held == "workspace":
        inside = {"data": {"type": "member", "id": user_id, "attributes": {"roles": ["guest"]}}}
        assert (await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/members", inside)).status_code == 200
    elif held == "team":
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await TeamRows(unit).add_member(acme.team_id, user_id)
    path = f"/v2/users/{user_id}/setup-links"
    if held == "membership":  # the maker holds the same
        await key_from(keyrack, earlier, NEW)
        return
    assert error_of(await maker.post(path))[:2] == (403, "forbidden")
    assert await is_refused(keyrack, earlier), "nor by one that was made before"
    assert (maker.name, "setup-link.create", "denied") in await actions(acme)
    await key_from(keyrack, await link_for(acme.admin, user_id), NEW)


async def test_a_link_ends_with_its_makers_rights(keyrack: World, acme: TenantInTest) -> None:
    maker = await creator(keyrack, acme)
    first, second = await newcomer(maker, NEW), await newcomer(maker, "other@acme.example")
    urls = await link_for(maker, first), await link_for(maker, second)
    await give_roles(acme, maker.id)
    assert await is_refused(keyrack, urls[0])
    await give_roles(acme, maker.id, "creator")
    await key_from(keyrack, urls[0], NEW)
    assert (await acme.admin.delete(f"/v2/users/{maker.id}")).status_code == 204
    assert await is_refused(keyrack, urls[1])


async def test_an_operators_link_is_for_anybody(keyrack: World, acme: TenantInTest) -> None:
    links = SetupLinkMaker(BASE, sends_mail=False)
    made = await Accounts(keyrack.store).create_setup_link(acme.integrator.name.upper(), links)
    person = await key_from(keyrack, made.url.reveal(), acme.integrator.name)
    assert (await person.get("/v2/users/me")).json()["data"]["id"] == acme.integrator.id
    assert (await acme.integrator.get("/v2/users/me")).status_code == 200, "the keys there were stay"
    assert ("command line", "setup-link.create", "allowed") in await actions(acme)
