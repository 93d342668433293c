"""Contracts, workspaces, their members and invites, and roles in the console; over HTTP."""

import re

import pytest

from keyrack.model.tenancy import Role
from keyrack.store.tenants import RolePolicy
from support.app import Caller, World
from support.console import ConsoleBrowser, signed_in
from support.setup_links import invited

ONCE = re.compile(r'name="once" value="([^"]+)"')
LINK = re.compile(r"https?://[^<\"]+/setup\?link=[A-Za-z0-9_-]+")


async def at(world: World, who: Caller | None = None, name: str = "Acme") -> ConsoleBrowser:
    return await signed_in(world, who or world.tenants[name].admin, world.tenants[name].id)


async def filled(browser: ConsoleBrowser, path: str, **fields: str) -> str:
    """Open a form, send it twice as it was shown and filled in, and return where the second leads or what it shows."""
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    once = ONCE.search(page.text)
    if once is not None:
        await browser.post(path, once=once[1], **fields)
        fields["once"] = once[1]
    answer = await browser.post(path, **fields)
    return answer.headers.get("location", "") or answer.text


async def test_a_contract_from_its_creation_to_its_deletion(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await at(keyrack_on_each)
    wrong = await filled(browser, "/console/contracts/new", name="Fresh <i>")
    assert 'id="name-wrong"' in wrong
    assert 'value="Fresh &lt;i&gt;"' in wrong
    where = await filled(browser, "/console/contracts/new", name="Fresh")
    path = where.partition("?")[0]
    names = [each["attributes"]["name"] for each in (await acme.admin.get("/v2/contracts")).json()["data"]]
    assert names.count("Fresh") == 1
    assert "Fresh" in (await browser.get("/console/contracts")).text
    assert "The first member must be an owner" in (await browser.get(path)).text
    refused = await filled(browser, f"{path}/members/new", email=acme.admin.name, roles="member")
    assert "must be an owner" in refused
    assert await filled(browser, f"{path}/members/new", email=acme.admin.name, roles="owner") == f"{path}?done=member"
    assert await filled(browser, f"{path}/name", name="Renamed") == f"{path}?done=renamed"
    assert "done=workspace" in await filled(browser, f"{path}/workspaces/new", name="Inside")
    page = (await browser.get(path)).text
    assert page.count("Inside") == 1
    assert "Suspend the contract “Renamed”" in (await browser.get(f"{path}/suspend")).text
    assert (await browser.post(f"{path}/suspend")).status_code == 303
    page = (await browser.get(path)).text
    assert "Open it again" in page
    assert "/members/new" not in page
    assert (await browser.post(f"{path}/unsuspend")).status_code == 303
    confirmation = (await browser.get(f"{path}/delete")).text
    for text in ("Delete the contract “Renamed” with all that is in it", "Inside", "Workspaces</dt><dd>1"):
        assert text in confirmation, text
    assert (await browser.post(f"{path}/delete")).headers["location"] == "/console/contracts?done=deleted"
    assert (await browser.get(path)).status_code == 404


async def test_members_of_a_contract_get_roles_and_leave(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    path = f"/console/contracts/{acme.contract_id}"
    unknown = await filled(browser, f"{path}/members/new", email="nobody@acme.example")
    assert "nobody here has this email" in unknown
    assert "tick at least one role" in unknown
    assert 'value="nobody@acme.example"' in unknown
    assert "no such user" not in unknown
    assert (
        await filled(browser, f"{path}/members/new", email="Stranger@ACME.example", roles="member")
        == f"{path}?done=member"
    )
    one = f"{path}/members/{acme.stranger.id}"
    assert await filled(browser, one, roles="admin") == f"{path}?done=roles"
    members = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"]
    roles = {each["attributes"]["email"]: each["attributes"]["roles"] for each in members}
    assert roles[acme.stranger.name] == ["admin"]
    mine = f"{path}/members/{acme.admin.id}"
    assert "last owner" in await filled(browser, mine, roles="member")
    assert "last owner" in await filled(browser, f"{mine}/remove")
    assert f"Remove {acme.stranger.name}" in (await browser.get(f"{one}/remove")).text
    assert (await browser.post(f"{one}/remove")).headers["location"] == f"{path}?done=left"
    assert (await browser.get(one)).status_code == 404


async def test_invites_are_sent_once_sent_again_revoked_and_accepted(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    path = f"/console/contracts/{acme.contract_id}"
    once = ONCE.search((await browser.get(f"{path}/invites/new")).text)
    assert once is not None
    fields = {"once": once[1], "email": "new@acme.example", "roles": "member"}
    fields |= {"workspace_id": acme.workspace_id, "workspace_roles": "guest"}
    first = await browser.post(f"{path}/invites/new", **fields)
    (link,) = set(LINK.findall(first.text))
    assert (await browser.post(f"{path}/invites/new", **fields)).headers["location"] == f"{path}?done=invited"
    invites = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/invites")).json()["data"]
    (invite,) = invites
    assert invite["attributes"]["workspace_roles"] == ["guest"]
    assert "new@acme.example" in (await browser.get(f"/console/workspaces/{acme.workspace_id}/members")).text
    await browser.get(path)
    again = await browser.post(f"{path}/invites/{invite['id']}/send-again")
    assert set(LINK.findall(again.text)) - {link}
    assert (await keyrack.http.get(link)).status_code == 400  # an earlier one ends
    assert "Revoke the invite of new@acme.example" in (await browser.get(f"{path}/invites/{invite['id']}/revoke")).text
    for asked, offered in (("ACM", True), (acme.workspace_id, True), ("zebra", False)):
        page = (await browser.get(f"{path}/invites/new?workspace={asked}")).text
        assert (f'value="{acme.workspace_id}"' in page) == offered or asked == acme.workspace_id
        assert ("whose members you manage has a name" in page) != offered
    assert (await browser.post(f"{path}/invites/{invite['id']}/revoke")).headers["location"] == f"{path}?done=revoked"
    assert (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/invites")).json()["data"] == []
    wrong = await filled(browser, f"{path}/invites/new", email="not an email", workspace_id=acme.workspace_id)
    for field in ("email", "roles", "workspace_roles"):
        assert f'id="{field}-wrong"' in wrong, field
    await invited(acme.admin, acme.contract_id, acme.stranger.name)
    stranger = await at(keyrack, acme.stranger)
    page = (await stranger.get("/console/invites")).text
    accept = re.search(r"/console/invites/[0-9a-f]{24}/accept", page)
    assert accept is not None
    assert (await stranger.post(accept[0])).headers["location"] == "/console/invites?done=accepted"
    assert (await stranger.get(path)).status_code == 200


async def test_members_of_a_workspace(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    path = f"/console/workspaces/{acme.workspace_id}/members"
    form = (await browser.get(f"{path}/new")).text
    assert "Everybody in the contract is a member already" in form
    await filled(
        browser, f"/console/contracts/{acme.contract_id}/members/new", email=acme.stranger.name, roles="member"
    )
    assert acme.stranger.name in (await browser.get(f"{path}/new")).text
    assert "tick at least one role" in await filled(browser, f"{path}/new", email=acme.stranger.name)
    assert await filled(browser, f"{path}/new", email=acme.stranger.name, roles="guest") == f"{path}?done=member"
    assert await filled(browser, f"{path}/{acme.stranger.id}", roles="integrator") == f"{path}?done=roles"
    assert "there is no such role here" in await filled(browser, f"{path}/{acme.stranger.id}", roles="emperor")
    members = (await browser.get(path)).text
    assert members.count(acme.stranger.name) >= 1
    assert "pass to you" in (await browser.get(f"{path}/{acme.stranger.id}/remove")).text
    assert (await browser.post(f"{path}/{acme.stranger.id}/remove")).headers["location"] == f"{path}?done=left"
    assert acme.stranger.name not in (await browser.get(path)).text


async def test_roles_are_shown_and_changed_by_those_who_may(keyrack: World) -> None:
    acme, browser = keyrack.tenants["Acme"], await at(keyrack)
    page = (await browser.get("/console/roles")).text
    assert "Integrator" in page
    assert "workspaces.auth_secret" in page
    assert "/console/roles/edit" not in page
    assert (await browser.get("/console/roles/new")).status_code == 403
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        policy = await RolePolicy(unit).list()
        admin = next(role for role in policy if role.role == "tenant-admin")
        able = Role(admin.scope, admin.role, admin.permissions | {"tenants.tenant.edit_roles"}, admin.i18n)
        await RolePolicy(unit).replace([able, *(role for role in policy if role is not admin)])
    await browser.get("/console/roles/new")
    fields = {"is_new": "yes", "scope": "workspaces", "role": "reader", "title": "Reader"}
    saved = await browser.post("/console/roles", **fields, permissions="workspaces.logs.read_all")
    assert saved.headers["location"] == "/console/roles?done=saved"
    edit = (await browser.get("/console/roles/edit?scope=workspaces&role=reader")).text
    assert re.search(r'value="workspaces.logs.read_all" checked', edit)
    for changed, told in (({"title": ""}, 'id="title-wrong"'), ({"permissions": "no.such.thing"}, '<p class="wrong">')):
        given = {**fields, "is_new": "no", "permissions": "workspaces.logs.read_all", **changed}
        wrong = await browser.post("/console/roles", **given)
        assert (wrong.status_code, told in wrong.text) == (400, True), changed
    policy = (await acme.admin.get(f"/v2/tenants/{acme.id}/roles")).json()["data"]["attributes"]["roles"]
    assert [each for each in policy if each["role"] == "reader"]
    path = f"/console/workspaces/{acme.workspace_id}/members/{acme.guest.id}"
    await filled(browser, path, roles="reader")
    kept = await browser.post("/console/roles/delete", scope="workspaces", role="reader")
    assert kept.status_code == 409
    assert "assigned" in kept.text
    await filled(browser, path, roles="guest")
    assert (await browser.post("/console/roles/delete", scope="workspaces", role="reader")).status_code == 303
    assert (await browser.post("/console/roles/delete", scope="workspaces", role="owner")).status_code == 409


@pytest.mark.parametrize("whose", ["integrator", "other"])
async def test_others_see_and_do_nothing_in_a_contract(keyrack: World, whose: str) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    await invited(acme.admin, acme.contract_id, "new@acme.example")
    (invite,) = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/invites")).json()["data"]
    contract, workspace = f"/console/contracts/{acme.contract_id}", f"/console/workspaces/{acme.workspace_id}/members"
    browser = await at(keyrack, acme.integrator) if whose == "integrator" else await at(keyrack, globex.admin, "Globex")
    shown = [f"{contract}/{each}" for each in ("members/new", "invites/new", "name", "suspend", "delete")]
    shown += [f"{contract}/members/{acme.guest.id}", f"{contract}/members/{acme.guest.id}/remove"]
    shown += [f"{contract}/invites/{invite['id']}/revoke", f"{workspace}/new", f"{workspace}/{acme.guest.id}"]
    shown += [f"{workspace}/{acme.guest.id}/remove"]
    if whose == "other":
        shown += [contract, workspace, f"{contract}/workspaces/new"]
    for each in shown:
        answer = await browser.get(each)
        assert answer.status_code in {403, 404}, each
        assert "Acme" not in answer.text, each
    await browser.get("/console/account")
    done = [f"{contract}/{each}" for each in ("members/new", "name", "suspend", "unsuspend", "delete")]
    done += [f"{contract}/members/{acme.guest.id}", f"{contract}/members/{acme.guest.id}/remove"]
    done += [f"{contract}/invites/{invite['id']}/{each}" for each in ("revoke", "send-again")]
    done += [f"{workspace}/new", f"{workspace}/{acme.guest.id}", f"{workspace}/{acme.guest.id}/remove"]
    for each in done:
        answer = await browser.post(each, email=acme.guest.name, roles="owner", name="x")
        assert answer.status_code in {403, 404}, each
    once = ONCE.search((await browser.get("/console/account/api-keys/new")).text)
    assert once is not None
    for each in (
        f"{contract}/invites/new",
        "/console/contracts/new" if whose == "integrator" else f"{contract}/workspaces/new",
    ):
        answer = await browser.post(each, once=once[1], email="x@acme.example", roles="owner", name="x")
        assert answer.status_code in {403, 404}, each
    assert (await acme.admin.get(f"/v2/contracts/{acme.contract_id}")).json()["data"]["attributes"][
        "name"
    ] == "Acme contract"
    assert len((await acme.admin.get(f"/v2/contracts/{acme.contract_id}/members")).json()["data"]) == 3


async def test_roles_are_found_by_a_part_of_a_name_or_permission(keyrack: World) -> None:
    browser = await at(keyrack)
    page = (await browser.get("/console/roles?q=INTEGRATOR")).text
    assert page.count('rowheader"') == 1
    assert ">integrator</code>" in page
    assert "There is no role like this here." in page
    page = (await browser.get("/console/roles?q=contracts.membership.edit")).text
    assert ">owner</code>" in page
    assert ">integrator</code>" not in page


async def test_contracts_and_workspaces_are_found_by_a_word_or_an_id(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await at(keyrack_on_each)
    other = keyrack_on_each.tenants["Globex"]
    made = (await filled(browser, "/console/contracts/new", name="Northern Lights")).partition("?")[0]
    await filled(browser, f"{made}/members/new", email=acme.admin.name, roles="owner")
    await filled(browser, f"{made}/workspaces/new", name="Aurora Watch")
    for path, word, theirs in (
        ("/console/contracts", "LIGH", "Northern Lights"),
        ("/console/workspaces", "wat", "Aurora Watch"),
    ):
        everything = (await browser.get(path)).text
        found = (await browser.get(f"{path}?q={word}")).text
        assert theirs in everything
        assert theirs in found
        assert everything.count('rowheader"') > found.count('rowheader"') == 1
        for nothing in ("ight", "!", other.contract_id, other.workspace_id):
            page = (await browser.get(f"{path}?q={nothing}")).text
            assert theirs not in page
            assert "has a name with a word that begins so" in page
    assert "Northern Lights" in (await browser.get(f"/console/contracts?q={made.rpartition('/')[2]}")).text


async def test_members_are_found_by_a_word_or_an_id(keyrack_on_each: World) -> None:
    acme, browser = keyrack_on_each.tenants["Acme"], await at(keyrack_on_each)
    contract = f"/console/contracts/{acme.contract_id}"
    joined = await filled(browser, f"{contract}/members/new", email=acme.stranger.name, roles="member")
    assert joined == f"{contract}?done=member"
    word, others = acme.stranger.name[:4].upper(), acme.integrator.name
    for path, here, elsewhere in (
        (contract, acme.stranger.name, others),
        (f"/console/workspaces/{acme.workspace_id}/members", others, acme.stranger.name),
    ):
        sought = word if here == acme.stranger.name else others
        assert others in (await browser.get(path)).text
        for found in (sought, (acme.stranger if here == acme.stranger.name else acme.integrator).id):
            page = (await browser.get(f"{path}?member={found}")).text
            assert here in page
            assert elsewhere not in page
        assert "No member has" in (await browser.get(f"{path}?member=nobody-is-named-so")).text
