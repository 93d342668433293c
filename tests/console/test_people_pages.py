"""People, their accounts and API keys in the console; over HTTP."""

import hashlib
import re

import pytest

from keyrack.errors import AlreadyExists
from keyrack.model.identity import PrincipalKind
from keyrack.store.accounts import ApiKeys
from support.app import Caller, World
from support.console import PASSWORD, ConsoleBrowser, give_password, signed_in
from support.setup_links import newcomer
from support.two_step import Phone, Time, secret_on

ONCE = re.compile(r'name="once" value="([^"]+)"')
KEY = re.compile(r"kr_[A-Za-z0-9_-]{43}")
LINK = re.compile(r"https?://[^<\"]+/setup\?link=[A-Za-z0-9_-]+")


async def at(world: World, who: Caller | None = None, name: str = "Acme") -> ConsoleBrowser:
    return await signed_in(world, who or world.tenants[name].admin, world.tenants[name].id)


async def once_at(browser: ConsoleBrowser, path: str) -> str:
    found = ONCE.search((await browser.get(path)).text)
    assert found is not None
    return found[1]


async def test_people_are_found_by_the_beginning_of_their_email_and_in_pages(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    for n in range(30):
        await keyrack.add_user(acme.id, f"zoe{n:02}@acme.example")
    browser = await at(keyrack)
    page = (await browser.get("/console/people?email=ZOE")).text
    assert "zoe00@acme.example" in page
    assert "zoe24@acme.example" in page
    assert "zoe25@acme.example" not in page
    assert acme.guest.name not in page
    following = page.partition('" rel="next"')[0].rpartition('href="')[2].replace("&amp;", "&")
    last = (await browser.get(following)).text
    assert "zoe29@acme.example" in last
    assert 'rel="next"' not in last
    assert "Nobody&#39;s email begins like this" in (await browser.get("/console/people?email=nobody")).text
    assert "globex.example" not in (await browser.get("/console/people")).text


async def test_an_account_is_created_once_and_a_link_lets_the_person_in(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await at(keyrack_on_each)
    fields = {"once": await once_at(browser, "/console/people/new"), "email": "nora@acme.example"}
    fields |= {"first_name": "Nora", "last_name": "<b>New</b>", "company": ""}
    answers = [await browser.post("/console/people/new", **fields) for _ in range(2)]
    assert len({answer.headers["location"] for answer in answers}) == 1
    path = answers[0].headers["location"].partition("?")[0]
    page = (await browser.get(path)).text
    assert "Nobody has used this account yet" in page
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    shown = await browser.post(f"{path}/setup-link")
    (link,) = set(LINK.findall(shown.text))
    await browser.get(path)
    again = await browser.post(f"{path}/setup-link")
    assert set(LINK.findall(again.text)) != {link}
    wrong = await browser.post(
        "/console/people/new", **{**fields, "once": await once_at(browser, "/console/people/new")}
    )
    assert wrong.status_code == 400
    assert "a user with this email already exists" in wrong.text
    assert 'value="Nora"' in wrong.text
    fields["once"] = await once_at(browser, "/console/people/new")
    empty = await browser.post("/console/people/new", **{**fields, "email": "no email", "first_name": ""})
    assert empty.text.count('class="wrong"') >= 2
    assert (await acme.admin.get("/v2/users?email=nora@acme.example")).json()["meta"]["total"] == 1


async def test_no_link_for_an_account_in_use(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    path = f"/console/people/{acme.guest.id}"
    assert "Make a setup link" not in (await browser.get(path)).text
    refused = await browser.post(f"{path}/setup-link")
    assert refused.status_code == 409
    assert "in use already" in refused.text


async def test_tenant_roles_are_given_and_count_at_once(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    path = f"/console/people/{acme.guest.id}"
    guest = await at(keyrack, acme.guest)
    assert (await guest.get("/console/audit")).status_code == 403
    await browser.get(path)
    assert (await browser.post(f"{path}/tenant-roles", roles="tenant-admin")).headers[
        "location"
    ] == f"{path}?done=roles"
    assert (await guest.get("/console/audit")).status_code == 200
    await browser.get(path)
    wrong = await browser.post(f"{path}/tenant-roles", roles="emperor")
    assert wrong.status_code == 400
    assert "no such role" in wrong.text
    assert (await browser.post(f"{path}/tenant-roles")).status_code == 303
    assert (await guest.get("/console/audit")).status_code == 403


async def test_deleting_somebody_says_what_goes_and_who_gets_the_rest(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    alone = {"data": {"type": "contract", "attributes": {"name": "Only Inas"}}}
    made = await acme.admin.post("/v2/contracts", alone)
    assert made.status_code == 201, made.text
    contract_id = made.json()["data"]["id"]
    member = {"data": {"type": "contract-member", "id": acme.integrator.id, "attributes": {"roles": ["owner"]}}}
    assert (await acme.admin.post(f"/v2/contracts/{contract_id}/members", member)).status_code in {200, 201}
    path = f"/console/people/{acme.integrator.id}"
    page = (await browser.get(f"{path}/delete")).text
    assert "Only Inas" in page
    assert "Acme workspace" in page
    assert f"to <bdi>{acme.admin.name}</bdi>" in page
    assert f"Delete {acme.integrator.name}" in page
    assert (await browser.post(f"{path}/delete")).headers["location"] == "/console/people?done=deleted"
    assert (await browser.get(path)).status_code == 404
    assert (await acme.admin.get(f"/v2/contracts/{contract_id}")).status_code == 404


async def test_the_last_owner_and_oneself_cannot_be_deleted(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    other = await keyrack.add_user(acme.id, "other@acme.example", ["tenant-admin"])
    page = await browser.get(f"/console/people/{acme.admin.id}/delete")
    assert "cannot delete yourself" in page.text
    second = await at(keyrack, other)
    page = await second.get(f"/console/people/{acme.admin.id}/delete")
    assert "last owner" in page.text
    assert "Acme contract" in page.text
    assert '/delete"' not in page.text
    await second.get("/console/account")
    assert (await second.post(f"/console/people/{acme.admin.id}/delete")).status_code == 409


async def test_others_see_and_do_nothing_with_people(keyrack: World) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    path = f"/console/people/{acme.stranger.id}"
    for who, name in ((acme.integrator, "Acme"), (globex.admin, "Globex")):
        browser = await at(keyrack, who, name)
        for each in (path, f"{path}/delete"):
            answer = await browser.get(each)
            assert answer.status_code in {403, 404}, each
            assert acme.stranger.name not in answer.text
        await browser.get("/console/account")
        for each in ("delete", "setup-link", "tenant-roles"):
            assert (await browser.post(f"{path}/{each}", roles="tenant-admin")).status_code in {403, 404}, each
    browser = await at(keyrack, acme.integrator)
    assert [(await browser.get(each)).status_code for each in ("/console/people", "/console/people/new")] == [403, 403]
    assert (await acme.stranger.get("/v2/users/me")).status_code == 200


async def test_an_api_key_is_made_once_however_often_the_form_is_sent_and_shown(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await at(keyrack_on_each)
    before = len((await acme.admin.get("/v2/users/me/api-keys")).json()["data"])
    once = await once_at(browser, "/console/account/api-keys/new")
    answers = [
        await browser.post("/console/account/api-keys/new", once=once, name="laptop", expires_on="2090-01-31")
        for _ in range(2)
    ]
    (key,) = {found for answer in answers for found in KEY.findall(answer.text)}
    keys = (await acme.admin.get("/v2/users/me/api-keys")).json()["data"]
    assert len(keys) == before + 1
    assert keys[-1]["attributes"]["expires_at"] == "2090-02-01T00:00:00.000Z"
    fresh = Caller(keyrack_on_each.http, acme.admin.name, key)
    assert (await fresh.get("/v2/users/me")).status_code == 200
    account = (await browser.get("/console/account")).text
    assert key not in account
    path = f"/console/account/api-keys/{keys[-1]['id']}/revoke"
    assert path in account
    assert "Revoke the key “laptop”" in (await browser.get(path)).text
    assert (await browser.post(path)).headers["location"] == "/console/account?done=key"
    assert (await fresh.get("/v2/users/me")).status_code == 401
    assert (await browser.post(path)).status_code == 404
    resent = await browser.post("/console/account/api-keys/new", once=once, name="laptop", expires_on="")
    assert resent.status_code == 400  # what was revoked never comes back
    assert "which is revoked" in resent.text
    assert (await fresh.get("/v2/users/me")).status_code == 401
    stranger = await at(keyrack_on_each, acme.stranger)
    assert (await stranger.get(path)).status_code == 404


async def test_what_is_wrong_with_a_key_stands_beneath_its_field(keyrack: World) -> None:
    browser = await at(keyrack)
    once = await once_at(browser, "/console/account/api-keys/new")
    for given in ("2020-01-01", "soon", "9999-12-31"):
        answer = await browser.post("/console/account/api-keys/new", once=once, name="", expires_on=given)
        assert answer.status_code == 400, given
        assert 'id="name-wrong"' in answer.text or 'id="expires_on-wrong"' in answer.text
    answer = await browser.post("/console/account/api-keys/new", once=once, name="x", expires_on="2020-01-01")
    assert 'id="expires_on-wrong"' in answer.text
    assert 'value="x"' in answer.text


async def test_a_setup_link_is_made_by_those_alone_who_may_create_people(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    user_id = await newcomer(acme.admin, "nora@acme.example")
    browser = await at(keyrack, acme.integrator)
    await browser.get("/console/account")
    assert (await browser.post(f"/console/people/{user_id}/setup-link")).status_code in {403, 404}


async def test_who_has_lost_the_phone_is_helped(keyrack: World) -> None:
    acme, time = keyrack.tenants["Acme"], Time()
    guest, browser, path = await at(keyrack, acme.guest), await at(keyrack), f"/console/people/{acme.guest.id}"
    await give_password(keyrack, acme, acme.guest)
    assert "Two-step sign-in" not in (await browser.get(path)).text
    assert (await browser.get(f"{path}/two-step")).status_code == 404
    await guest.get("/console/account/two-step")
    assert (await guest.post("/console/account/two-step/begin")).status_code == 303
    phone = Phone(secret_on((await guest.get("/console/account/two-step")).text), time)
    on = await guest.post("/console/account/two-step/confirm", code=phone.code(), password=PASSWORD)
    assert on.status_code == 200
    assert f"{path}/two-step" in (await browser.get(path)).text
    assert f"Turn it off for {acme.guest.name}" in (await browser.get(f"{path}/two-step")).text
    other = await at(keyrack, acme.integrator)
    await other.get("/console/account")
    assert (await other.get(f"{path}/two-step")).status_code in {403, 404}
    assert (await other.post(f"{path}/two-step")).status_code in {403, 404}
    assert (await browser.post(f"{path}/two-step")).headers["location"] == f"{path}?done=two-step"
    assert "Two-step sign-in is off" in (await browser.get(f"{path}?done=two-step")).text
    assert (await browser.post(f"{path}/two-step")).status_code == 409


async def test_nobody_chooses_the_id_and_the_seed_of_a_key(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    browser = await signed_in(keyrack, acme.integrator, acme.id)
    page = "/console/account/api-keys/new"
    (cookie,) = browser.cookies.values()
    for number in range(2):  # of the same seed under another id, too
        await once_at(browser, page)
        value = f"0123456789abcdef0123456{number}.weak"
        for key, told in ((cookie.encode(), value), (b"", value), (b"", f"{cookie} {value}")):
            proof = hashlib.blake2b(told.encode(), key=key, digest_size=16, person=b"keyrack once").hexdigest()
            assert (await browser.post(page, once=f"{value}.{proof}", name="mine", expires_on="")).status_code == 403
    assert "mine" not in (await browser.get("/console/account")).text


async def test_a_key_that_there_is_already_is_a_conflict(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        keys, owner = ApiKeys(unit), (PrincipalKind.user, acme.integrator.id)
        made = await keys.add(*owner, "first", "the same hash", None)
        for given in (("the same hash", None, None), ("another hash", None, made.id)):
            with pytest.raises(AlreadyExists):
                await keys.add(*owner, "second", *given)
        found = await keys.find(*owner, made.id)
        assert found is not None
        assert found.name == "first"
