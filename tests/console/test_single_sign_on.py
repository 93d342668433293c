"""Signing in through one's organisation at `oidc-provider`: whose account it is, and whose never (decision 31)."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from keyrack.errors import NotFound
from keyrack.model.identity import PrincipalKind
from keyrack.service.operator.accounts import Accounts
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.core.unit import Unit
from keyrack.store.schema import authentication_requests, linked_identities, single_sign_on
from keyrack.store.single_sign_on import LinkedIdentities
from keyrack.store.users import UserRows
from support.app import BASE, TenantInTest, World
from support.authorization_servers import OidcOptions, OidcProvider, start_oidc
from support.console import ConsoleBrowser, give_password, signed_in
from support.single_sign_on import (
    SETTINGS,
    address_of,
    begin,
    begin_by_email,
    client_of,
    going_to,
    set_up,
    sign_in_by_email,
    through,
)
from support.statements_seen import statements_seen

SSO = {"sub": "s-1", "email": "integrator@acme.example", "email_verified": True}
ACCOUNTS: dict[str, dict[str, object]] = {
    "integrator@acme.example": SSO,
    "renamed@acme.example": {**SSO, "email": "guest@acme.example"},  # the same person, with another's email by now
    "second@acme.example": {**SSO, "sub": "s-2"},  # somebody else, who has got the integrator's email by now
    "unverified@acme.example": {"sub": "s-3", "email": "guest@acme.example", "email_verified": False},
    "victim@acme.example": {"sub": "s-4", "email": "integrator@globex.example", "email_verified": True},
    "root@acme.example": {"sub": "s-5", "email": "root@root.example", "email_verified": True},
    "new@acme.example": {
        "sub": "s-6", "email": "New@acme.example", "email_verified": True, "given_name": "Nora", "family_name": "New",
    },
    "person": {"sub": "s-7", "email": "guest@acme.example", "email_verified": True},
}  # fmt: skip


Providers = dict[tuple[str, ...], OidcProvider]


@pytest.fixture(scope="session")
def providers() -> Iterator[Providers]:
    """One for all tests whose tenants are the same, as on one database: their ids are in the redirect URIs."""
    started: Providers = {}
    yield started
    for each in started.values():
        each.process.stop()


@pytest.fixture
async def provider(keyrack_on_each: World, providers: Providers) -> OidcProvider:
    """Acme's and Globex's provider, and Acme set up for it."""
    tenants = keyrack_on_each.tenants
    clients = (client_of(tenants["Acme"]), client_of(tenants["Globex"]))
    of_tenants = tuple(each.client_id for each in clients)
    if of_tenants not in providers:
        providers[of_tenants] = start_oidc(OidcOptions(clients=clients, accounts=ACCOUNTS))
    made = providers[of_tenants]
    await set_up(keyrack_on_each, tenants["Acme"], made.issuer, domains=["acme.example"])
    return made


async def who_is_in(browser: ConsoleBrowser) -> str | None:
    page = await browser.get("/console/account")
    if page.status_code != 200:
        return None
    found = re.search(r"<dt>Email</dt><dd><bdi>([^<]+)</bdi>", page.text)
    assert found is not None
    return found[1]


async def actions(tenant: TenantInTest) -> list[tuple[str, str, str]]:
    events = (await tenant.admin.get(f"/v2/tenants/{tenant.id}/audit-events?page[size]=100")).json()["data"]
    told = [each["attributes"] for each in events]
    return [(each["action"], each["outcome"], each["actor"]) for each in told]


async def count(unit: Unit, table: Any) -> int:
    return int((await unit.connection.execute(select(func.count()).select_from(table))).scalar_one())


@pytest.mark.usefixtures("provider")
async def test_by_email_at_a_real_provider(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser = ConsoleBrowser(keyrack_on_each.http)
    await browser.get("/console/sign-in")
    assert "/console/sign-in/organisation" in browser.page.text
    before = dict(browser.cookies)
    callback = await through(going_to(await begin_by_email(browser, acme.integrator.name)))
    answer = await browser.get(callback)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert browser.cookies != before  # another cookie, as with a password
    assert await who_is_in(browser) == acme.integrator.name
    told = [each for each in await actions(acme) if each[2] == acme.integrator.name]
    assert told == [
        ("single-sign-on.link", "allowed", acme.integrator.name),
        ("single-sign-on.sign-in", "allowed", acme.integrator.name),
        ("console-session.create", "allowed", acme.integrator.name),
    ]
    assert (await browser.get(callback)).headers["location"] == "/console"  # reloaded: used once, and nothing happens
    other = ConsoleBrowser(keyrack_on_each.http)
    assert "finished before" in (await other.get(callback)).text
    assert await who_is_in(other) is None
    async with keyrack_on_each.store.unit(acme.id) as unit:
        day = unit.clock() - timedelta(days=1)
        sessions = await ConsoleSessions(unit).of_owner(
            PrincipalKind.user, acme.integrator.id, seen_after=day, created_after=day
        )
        assert len(sessions) == 1
        assert await UserRows(unit).is_in_use(acme.integrator.id)


async def test_signing_out_leads_to_the_provider_that_has_people_sign_out_there(
    keyrack_on_each: World, provider: OidcProvider
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser = ConsoleBrowser(keyrack_on_each.http)
    async with httpx2.AsyncClient() as there:  # keeps the provider's cookies
        await browser.get(await through(going_to(await begin_by_email(browser, acme.integrator.name)), there))
        assert await who_is_in(browser) == acme.integrator.name
        page = await browser.post("/console/sign-out")
        assert await who_is_in(browser) is None
        assert "You may still be signed in at your organisation" in page.text
        found = re.search(r'href="([^"]+)">Sign out there, too', page.text)
        assert found is not None
        way = html.unescape(found[1])
        assert way.startswith(provider.issuer)
        asked = await there.get(way)
        form = re.search(r'action="([^"]+)".*?name="xsrf" value="([^"]+)"', asked.text, re.DOTALL)
        assert form is not None, asked.text
        left = await there.post(html.unescape(form[1]), data={"xsrf": form[2], "logout": "yes"})
        assert left.headers["location"] == f"{BASE}{address_of(acme)}"
    stranger = await signed_in(keyrack_on_each, acme.stranger, acme.id)  # who is not linked
    await stranger.get("/console/account")
    assert (await stranger.post("/console/sign-out")).headers["location"] == "/console/sign-in?why=out"


@pytest.mark.usefixtures("provider")
async def test_signing_in_ends_the_session_that_the_browser_held(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser, earlier = await signed_in(keyrack_on_each, acme.integrator, acme.id), ConsoleBrowser(keyrack_on_each.http)
    earlier.cookies |= browser.cookies
    await browser.get("/console/account")
    address = going_to(await browser.post(address_of(acme)))
    assert await who_is_in(earlier) == acme.integrator.name
    await browser.get(await through(address))
    assert await who_is_in(browser) == acme.guest.name
    assert await who_is_in(earlier) is None


@pytest.mark.usefixtures("provider")
async def test_the_tenant_s_own_address_leads_where_one_wanted_to_go(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser = ConsoleBrowser(keyrack_on_each.http)
    page = await browser.get(address_of(acme))
    assert "Acme" in page.text
    assert "http-equiv" not in page.text  # nothing begins before somebody presses the button
    address = await begin(browser, acme, next="/console/account")
    assert (await browser.get(await through(address))).headers["location"] == "/console/account"
    assert await who_is_in(browser) == acme.guest.name


async def test_whose_account_it_is_stays_so_whatever_becomes_of_emails(
    keyrack_on_each: World, provider: OidcProvider
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await sign_in_by_email(keyrack_on_each, acme.integrator.name)
    renamed = await sign_in_by_email(keyrack_on_each, "renamed@acme.example")
    assert await who_is_in(renamed) == acme.integrator.name  # not the guest, whose email the provider says
    query = {"iss": provider.issuer, "sub": "s-1"}
    found = (await acme.admin.get("/v2/users", params=query)).json()["data"]
    assert [each["id"] for each in found] == [acme.integrator.id]
    assert (await keyrack_on_each.tenants["Globex"].admin.get("/v2/users", params=query)).json()["data"] == []
    second = await sign_in_by_email(keyrack_on_each, "second@acme.example")
    assert second.page.status_code == 400
    assert "belongs to somebody else" in second.page.text
    assert await who_is_in(second) is None


@pytest.mark.usefixtures("provider")
async def test_only_a_verified_email_of_an_allowed_domain_counts(keyrack_on_each: World) -> None:
    acme, nobody = keyrack_on_each.tenants["Acme"], await sign_in_by_email(keyrack_on_each, "unverified@acme.example")
    assert "verified" in nobody.page.text
    assert await who_is_in(nobody) is None
    await keyrack_on_each.add_user(acme.id, "root@elsewhere.example")
    elsewhere = await sign_in_by_email(keyrack_on_each, "root@acme.example")
    assert "Addresses of root.example may not sign in here" in elsewhere.page.text
    assert ("single-sign-on.sign-in", "denied", "single sign-on") in await actions(acme)


async def test_nobody_of_another_tenant_nor_the_operator(keyrack_on_each: World, provider: OidcProvider) -> None:
    """A hostile tenant's own provider says what it likes: it lets nobody in but that tenant's users."""
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    for creates in (False, True):
        allowed = ["acme.example", "globex.example", "root.example", keyrack_on_each.first.service_account]
        await set_up(keyrack_on_each, acme, provider.issuer, domains=allowed, creates_users=creates)
        for hint in ("victim@acme.example", "root@acme.example"):
            browser = await sign_in_by_email(keyrack_on_each, hint)
            assert browser.page.status_code == 400, hint
            assert await who_is_in(browser) is None
    async with keyrack_on_each.store.installation() as unit:
        assert await count(unit, linked_identities) == 0
    # once Globex knows that very person, by its own settings, Acme's word about the same subject still says nothing
    await set_up(keyrack_on_each, globex, provider.issuer)
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        await LinkedIdentities(unit).add(globex.integrator.id, provider.issuer, "s-4", None)
    assert await who_is_in(await sign_in_by_email(keyrack_on_each, "victim@acme.example")) is None
    browser = ConsoleBrowser(keyrack_on_each.http)
    address = await begin(browser, acme)
    moved = (await through(address)).replace(acme.id, globex.id)  # one's answer at the other's address
    assert "never begun here" in (await browser.get(moved)).text


@pytest.mark.usefixtures("provider")
async def test_unknown_people_get_an_account_only_where_that_is_wanted(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    refused = await sign_in_by_email(keyrack_on_each, "new@acme.example")
    assert "Nobody here has your email address" in refused.page.text
    admin = await signed_in(keyrack_on_each, acme.admin, acme.id)
    page = await admin.get(SETTINGS)
    issuer = re.search(r'name="issuer"[^>]* value="([^"]+)"', page.text)
    assert issuer is not None
    fields = {
        "issuer": issuer[1], "client_id": client_of(acme).client_id, "client_auth": "client_secret_basic",
        "client_secret": "", "domains": "ACME.example", "creates_users": "on", "allows_passwords": "on",
    }  # fmt: skip
    assert (await admin.post(SETTINGS, **fields)).headers["location"] == f"{SETTINGS}?done=saved"
    new = await sign_in_by_email(keyrack_on_each, "new@acme.example")
    assert await who_is_in(new) == "New@acme.example"
    assert "Nora New" in new.page.text
    async with keyrack_on_each.store.unit(acme.id) as unit:
        user = await UserRows(unit).with_email("new@acme.example")
        assert user is not None
        assert await UserRows(unit).tenant_roles(user.id) == ()
    assert "Acme contract" not in (await new.get("/console")).text
    assert ("user.create", "allowed", "New@acme.example") in await actions(acme)


async def test_a_domain_leads_alike_whoever_has_an_account(keyrack_on_each: World, provider: OidcProvider) -> None:
    seen: dict[str, list[str]] = {}
    told = {}
    known, unknown = ("integrator@acme.example", "nobody@acme.example"), ("x@nowhere.example", "guest@globex.example")
    for email in (*known, *unknown):
        browser, asked = ConsoleBrowser(keyrack_on_each.http), seen.setdefault(email.partition("@")[2], [])
        await browser.get("/console/sign-in/organisation")

        def noted(_connection: object, text: str, _values: object, asked: list[str] = asked) -> None:
            asked.append(text)

        with statements_seen(noted):
            page = await browser.post("/console/sign-in/organisation", email=email)
        told[email] = (page.status_code, provider.issuer in page.text, 'role="alert"' in page.text)
    assert {told[email] for email in known} == {(200, True, False)}
    assert {told[email] for email in unknown} == {(400, False, True)}
    half = len(seen["acme.example"]) // 2
    assert seen["acme.example"][:half] == seen["acme.example"][half:]
    assert seen["nowhere.example"] == seen["globex.example"]


async def test_a_tenant_that_claims_another_s_domain_catches_nobody(
    keyrack_on_each: World, provider: OidcProvider
) -> None:
    globex = keyrack_on_each.tenants["Globex"]
    admin = await signed_in(keyrack_on_each, globex.admin, globex.id)
    await admin.get(SETTINGS)
    fields = {
        "issuer": provider.issuer, "client_id": "c", "client_auth": "none", "domains": "acme.example",
        "allows_passwords": "on",
    }  # fmt: skip
    refused = await admin.post(SETTINGS, **fields)
    assert refused.status_code == 400
    assert "another tenant has the domain acme.example" in refused.text
    await set_up(keyrack_on_each, keyrack_on_each.tenants["Acme"], provider.issuer, domains=[])
    assert (await admin.post(SETTINGS, **fields)).status_code == 303  # nobody has it; but Acme's people have addresses
    answers = set()
    for email in ("integrator@acme.example", "nobody@acme.example", "nobody@nowhere.example"):
        page = await begin_by_email(ConsoleBrowser(keyrack_on_each.http), email)
        answers.add((page.status_code, provider.issuer in page.text))
    assert answers == {(400, False)}


async def test_without_passwords_nobody_gets_in_by_one_nor_learns_why(
    keyrack_on_each: World, provider: OidcProvider
) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    for tenant in (acme, globex):
        await give_password(keyrack_on_each, tenant, tenant.integrator)
    admin = await signed_in(keyrack_on_each, acme.admin, acme.id)
    await admin.get(SETTINGS)
    fields = {
        "issuer": provider.issuer, "client_id": client_of(acme).client_id, "client_auth": "client_secret_basic",
        "domains": "acme.example",
    }  # fmt: skip
    refused = await admin.post(SETTINGS, **fields)
    assert refused.status_code == 400
    assert "once you have signed in through this provider yourself" in refused.text
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await LinkedIdentities(unit).add(acme.admin.id, provider.issuer, "s-admin", None)
    assert (await admin.post(SETTINGS, **fields)).status_code == 303
    moved = await admin.post(SETTINGS, **fields | {"issuer": "http://127.0.0.1:9", "client_secret": "x"})
    assert moved.status_code == 400  # another issuer has let nobody in yet

    browser = ConsoleBrowser(keyrack_on_each.http)
    right = await browser.sign_in(acme.integrator.name)
    unknown = await ConsoleBrowser(keyrack_on_each.http).sign_in("nobody@acme.example")
    alerts = [next(line for line in page.text.splitlines() if 'role="alert"' in line) for page in (right, unknown)]
    assert right.status_code == unknown.status_code == 400
    assert alerts[0] == alerts[1]
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in(globex.integrator.name)).status_code == 303
    assert await who_is_in(await sign_in_by_email(keyrack_on_each, acme.integrator.name)) == acme.integrator.name


@pytest.mark.usefixtures("provider")
async def test_a_test_shows_what_came_back_and_signs_nobody_in(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    admin = await signed_in(keyrack_on_each, acme.admin, acme.id)
    page = await admin.get(SETTINGS)
    assert f"{BASE}{address_of(acme)}/callback" in page.text
    cookies = dict(admin.cookies)
    answer = await admin.get(await through(going_to(await admin.post(f"{SETTINGS}/test"))))
    result = answer.headers["location"]
    assert result.startswith(f"{SETTINGS}/tests/")
    shown = (await admin.get(result)).text
    assert "guest@acme.example would be signed in, and linked" in shown
    assert "s-7" in shown
    assert admin.cookies == cookies
    assert await who_is_in(admin) == acme.admin.name
    async with keyrack_on_each.store.installation() as unit:
        assert await count(unit, linked_identities) == 0
    for tenant in (acme, globex):  # a test is its tester's
        other = await signed_in(keyrack_on_each, tenant.admin if tenant is globex else tenant.integrator, tenant.id)
        assert (await other.get(result)).status_code in {403, 404}


@pytest.mark.usefixtures("provider")
async def test_only_who_may_set_it_up_does(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    person = await signed_in(keyrack_on_each, acme.integrator, acme.id)
    assert "single-sign-on" not in (await person.get("/console/account")).text.split("<main")[0]
    for path in (SETTINGS, f"{SETTINGS}/delete", f"{SETTINGS}/people/{acme.guest.id}/unlink"):
        assert (await person.get(path)).status_code == 403, path
    for path in (SETTINGS, f"{SETTINGS}/delete", f"{SETTINGS}/test", f"{SETTINGS}/people/{acme.guest.id}/unlink"):
        await person.get("/console/account")
        fields = {"issuer": "https://x.example", "client_id": "c", "client_auth": "none", "allows_passwords": "on"}
        assert (await person.post(path, **fields)).status_code == 403, path
    role = {"scope": "tenants", "role": "half", "permissions": ["tenants.tenant.edit", "tenants.tenant.get"]}
    policy = (await acme.admin.get(f"/v2/tenants/{acme.id}/roles")).json()["data"]["attributes"]["roles"]
    body = {"data": {"type": "tenant-policy", "attributes": {"roles": [*policy, role]}}}
    changed = await keyrack_on_each.support.patch(f"/v2/tenants/{acme.id}/roles", body)
    assert changed.status_code == 200, changed.text
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await UserRows(unit).set_tenant_roles(acme.integrator.id, ["half"])
    linked = ConsoleBrowser(keyrack_on_each.http)
    await linked.get(await through(await begin(linked, acme)))
    assert await who_is_in(linked) == acme.guest.name
    page = await person.get(SETTINGS)  # sees it; but who could set it up could be anybody
    assert page.status_code == 200
    assert "Save" not in page.text
    for action in ("delete", f"people/{acme.guest.id}/unlink"):
        assert action not in page.text
        assert (await person.get(f"{SETTINGS}/{action}")).status_code == 403, action
        assert (await person.post(f"{SETTINGS}/{action}")).status_code == 403, action
    assert (
        await person.post(SETTINGS, issuer="https://x.example", client_id="c", client_auth="none")
    ).status_code == 403


@pytest.mark.usefixtures("provider")
async def test_deleting_and_unlinking(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await sign_in_by_email(keyrack_on_each, acme.integrator.name)
    admin = await signed_in(keyrack_on_each, acme.admin, acme.id)
    assert acme.integrator.name in (await admin.get(SETTINGS)).text
    found = (await admin.get(f"{SETTINGS}?person={acme.integrator.name[:5].upper()}")).text
    assert f"people/{acme.integrator.id}/unlink" in found
    nobody = (await admin.get(f"{SETTINGS}?person={acme.guest.name}")).text
    assert "Nobody of this name or email is linked." in nobody
    assert f"people/{acme.integrator.id}/unlink" not in nobody
    unlink = f"{SETTINGS}/people/{acme.integrator.id}/unlink"
    assert acme.integrator.name in (await admin.get(unlink)).text
    assert (await admin.post(unlink)).headers["location"] == f"{SETTINGS}?done=unlinked"
    assert (await admin.post(unlink)).status_code == 404
    assert await who_is_in(await sign_in_by_email(keyrack_on_each, "second@acme.example")) == acme.integrator.name
    begun = ConsoleBrowser(keyrack_on_each.http)
    address = await begin(begun, acme)
    assert "1 account" in (await admin.get(f"{SETTINGS}/delete")).text
    assert (await admin.post(f"{SETTINGS}/delete")).headers["location"] == f"{SETTINGS}?done=deleted"
    assert (await admin.post(f"{SETTINGS}/delete")).status_code == 404
    assert "set up anew" in (await begun.get(await through(address))).text
    for tenant_id in (acme.id, "0" * 24, "x"):
        gone = await ConsoleBrowser(keyrack_on_each.http).get(f"/console/sign-in/{tenant_id}")
        assert gone.status_code == 404
    told = [action for action, _, _ in await actions(acme)]
    assert "single-sign-on.delete" in told
    assert "single-sign-on.unlink" in told
    async with keyrack_on_each.store.installation() as unit:
        assert [await count(unit, table) for table in (single_sign_on, linked_identities)] == [0, 0]


@pytest.mark.usefixtures("provider")
async def test_an_answer_counts_in_the_browser_that_asked_and_for_ten_minutes(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser, other = ConsoleBrowser(keyrack_on_each.http), ConsoleBrowser(keyrack_on_each.http)
    callback = await through(await begin(browser, acme))
    await other.get("/console/sign-in")
    for stranger in (other, ConsoleBrowser(keyrack_on_each.http)):
        assert "another browser" in (await stranger.get(callback)).text
    assert (await browser.get(callback)).status_code == 303  # nothing was used up by the others
    late = ConsoleBrowser(keyrack_on_each.http)
    callback = await through(await begin(late, acme))
    store = keyrack_on_each.store
    real = store.clock
    monkeypatch.setattr(store, "_clock", lambda: real() + timedelta(minutes=11))
    assert "longer than ten minutes" in (await late.get(callback)).text
    async with store.unit(acme.id) as unit:
        assert await count(unit, authentication_requests) == 2
    await begin(ConsoleBrowser(keyrack_on_each.http), acme)
    async with store.unit(acme.id) as unit:
        assert await count(unit, authentication_requests) == 1  # those that are over are forgotten


async def test_a_form_of_another_site_begins_nothing(keyrack_on_each: World, provider: OidcProvider) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    for path in (address_of(acme), "/console/sign-in/organisation"):
        browser = ConsoleBrowser(keyrack_on_each.http)
        await browser.get(path)
        for headers, fields in (({"sec-fetch-site": "cross-site"}, {}), ({}, {"form_token": "0" * 64})):
            page = await browser.post(path, headers, email=acme.integrator.name, **fields)
            assert page.status_code == 403
            assert f"{provider.issuer}/auth" not in page.text


async def test_the_client_secret_is_shown_to_nobody_and_sent_to_no_other_provider(
    keyrack_on_each: World, provider: OidcProvider
) -> None:
    acme, secret = keyrack_on_each.tenants["Acme"], client_of(keyrack_on_each.tenants["Acme"]).client_secret
    admin = await signed_in(keyrack_on_each, acme.admin, acme.id)
    assert secret not in (await admin.get(SETTINGS)).text
    fields = {
        "issuer": "http://127.0.0.1:9", "client_id": client_of(acme).client_id, "client_auth": "client_secret_post",
        "domains": "", "allows_passwords": "on",
    }  # fmt: skip
    refused = await admin.post(SETTINGS, **fields)
    assert refused.status_code == 400
    assert "of another provider or client" in refused.text
    async with keyrack_on_each.store.installation() as unit:
        rows = (await unit.connection.execute(select(single_sign_on))).all()
    assert secret not in repr(rows)
    assert provider.issuer in repr(rows)


async def test_the_operator_lets_passwords_in_again(keyrack_on_each: World, provider: OidcProvider) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await give_password(keyrack_on_each, acme, acme.admin)
    await set_up(keyrack_on_each, acme, provider.issuer, allows_passwords=False)
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in(acme.admin.name)).status_code == 400
    accounts = Accounts(keyrack_on_each.store)
    await accounts.allow_passwords(acme.id)
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in(acme.admin.name)).status_code == 303
    assert ("single-sign-on.allow-passwords", "allowed", "command line") in await actions(acme)
    for unknown in (keyrack_on_each.tenants["Globex"].id, "0" * 24):
        with pytest.raises(NotFound):
            await accounts.allow_passwords(unknown)
