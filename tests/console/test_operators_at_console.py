"""Operators at the console: service accounts sign in, above all tenants; over HTTP (decision 30)."""

import asyncio

import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import select, update

from keyrack.errors import NotFound
from keyrack.model.identity import Principal, PrincipalKind, ServiceAccount
from keyrack.service.identity.password_rules import normal_password
from keyrack.service.operator.accounts import Accounts
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.schema import console_sessions, service_accounts
from support.app import World
from support.console import HASHED, PASSWORD, ConsoleBrowser, give_password
from support.running import replica
from support.two_step import Phone, Time, secret_on

ACCOUNT = "/console/account"
NEW = "a wholly other phrase"


async def operator(keyrack: World, name: str = "operator", *permissions: str) -> ServiceAccount:
    """Add a service account that can sign in with `PASSWORD`."""
    async with keyrack.store.installation(writes=True) as unit:
        made = await ServiceAccounts(unit).add(name, permissions or ["global.service_accounts.get"])
        await ServiceAccounts(unit).set_password(made.id, HASHED)
    return made


async def at_console(keyrack: World, name: str = "operator") -> ConsoleBrowser:
    browser = ConsoleBrowser(keyrack.http)
    assert (await browser.sign_in(name)).status_code == 303
    return browser


async def is_signed_in(browser: ConsoleBrowser) -> bool:
    return (await browser.get(ACCOUNT)).status_code == 200


async def actions(keyrack: World) -> list[tuple[str, str]]:
    async with keyrack.store.installation() as unit:
        events, _ = await AuditLog(unit).page({}, None, None, limit=None)
    return [(each.actor, each.action) for each in events]


async def test_signing_in_and_out_with_a_name(keyrack_on_each: World) -> None:
    await operator(keyrack_on_each)
    browser = await at_console(keyrack_on_each)
    began = await browser.get("/console")
    assert began.status_code == 303  # to where operators begin
    assert (await browser.get(began.headers["location"])).status_code == 200
    page = (await browser.get(ACCOUNT)).text
    assert "global.service_accounts.get" in page
    assert "Firefox on Linux" in page
    assert "API keys <span" not in page
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in("Operator")).status_code == 400
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in("operator", "wrong")).status_code == 400
    await browser.post("/console/sign-out")
    assert not await is_signed_in(browser)
    told = await actions(keyrack_on_each)
    assert ("operator", "console-session.create") in told
    assert ("operator", "console-session.end") in told
    for tenant in keyrack_on_each.tenants.values():
        events = (await tenant.admin.get(f"/v2/tenants/{tenant.id}/audit-events")).json()["data"]
        assert "operator" not in {each["attributes"]["actor"] for each in events}


async def test_sessions_are_listed_ended_and_go_with_a_changed_password(keyrack_on_each: World) -> None:
    await operator(keyrack_on_each)
    mine, other = await at_console(keyrack_on_each), await at_console(keyrack_on_each)
    page = await mine.get(ACCOUNT)
    (session,) = [part.partition('"')[0] for part in page.text.split('name="session" value="')[1:]]
    assert (await mine.post(f"{ACCOUNT}/sessions/end", session=session)).status_code == 303
    assert not await is_signed_in(other)
    other = await at_console(keyrack_on_each)
    await mine.get(ACCOUNT)
    assert (await mine.post(f"{ACCOUNT}/sessions/end-others")).status_code == 303
    assert not await is_signed_in(other)
    other = await at_console(keyrack_on_each)
    await mine.get(ACCOUNT)
    wrong = await mine.post(f"{ACCOUNT}/password", current_password="wrong", new_password=NEW)
    assert wrong.status_code == 400
    changed = await mine.post(f"{ACCOUNT}/password", current_password=PASSWORD, new_password=NEW)
    assert changed.headers["location"] == f"{ACCOUNT}?done=password"
    assert not await is_signed_in(other)
    assert await is_signed_in(mine)
    await Accounts(keyrack_on_each.store).set_password(
        "operator", normal_password(PASSWORD), PrincipalKind.service_account
    )
    assert not await is_signed_in(mine)
    assert await is_signed_in(await at_console(keyrack_on_each))


async def test_permissions_and_the_account_itself_count_as_they_are_now(keyrack_on_each: World) -> None:
    account = await operator(keyrack_on_each)
    async with replica(keyrack_on_each) as elsewhere:
        browser = await at_console(keyrack_on_each)
        there = ConsoleBrowser(elsewhere)
        there.cookies |= browser.cookies
        assert "global.service_accounts.get" in (await there.get(ACCOUNT)).text
        async with keyrack_on_each.store.installation(writes=True) as unit:
            change = update(service_accounts).where(service_accounts.c.id == account.id)
            await unit.connection.execute(change.values(permissions=["global.metrics.get"]))
        page = (await there.get(ACCOUNT)).text
        assert "global.service_accounts.get" not in page
        assert "global.metrics.get" in page
        await Accounts(keyrack_on_each.store).delete_service_account("operator")
        assert not await is_signed_in(there)
        assert not await is_signed_in(browser)
        async with keyrack_on_each.store.installation() as unit:
            assert (await unit.connection.execute(select(console_sessions))).all() == []


async def test_the_second_step_is_for_operators_too(keyrack_on_each: World) -> None:
    account = await operator(keyrack_on_each)
    browser = await at_console(keyrack_on_each)
    await browser.get(f"{ACCOUNT}/two-step")
    await browser.post(f"{ACCOUNT}/two-step/begin")
    signed_in = (await browser.get(f"{ACCOUNT}/two-step")).text
    assert "otpauth://totp/Keyrack" in signed_in
    assert ":operator?secret=" in signed_in
    phone = Phone(secret_on(signed_in), Time())
    made = await browser.post(f"{ACCOUNT}/two-step/confirm", code=phone.code(), password=PASSWORD)
    assert made.status_code == 200
    waiting = ConsoleBrowser(keyrack_on_each.http)
    assert (await waiting.sign_in("operator")).headers["location"] == "/console/sign-in/code"
    assert not await is_signed_in(waiting)
    await waiting.get("/console/sign-in/code")
    assert (await waiting.post("/console/sign-in/code", code=phone.wrong_code())).status_code == 400
    assert (await waiting.post("/console/sign-in/code", code=phone.code(1))).status_code == 303
    assert await is_signed_in(waiting)
    await Accounts(keyrack_on_each.store).disable_totp("operator", PrincipalKind.service_account)
    assert await is_signed_in(await at_console(keyrack_on_each))
    admin = keyrack_on_each.tenants["Acme"].admin
    who = Principal(PrincipalKind.user, admin.id, admin.name, keyrack_on_each.tenants["Acme"].id)
    with pytest.raises(NotFound):  # an admin of a tenant has no say about it
        await keyrack_on_each.services.two_step.disable_for_user(who, account.id)


async def test_every_page_is_shown_or_refused_in_words(keyrack: World) -> None:
    await operator(keyrack)
    browser = await at_console(keyrack)
    paths = {
        route.path
        for route in keyrack.litestar.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/console") and "GET" in route.methods
    }
    for path in sorted(each for each in paths if "{" not in each and each != "/console/sign-out"):
        answer = await browser.get(path)
        assert answer.status_code in (200, 303, 403, 404), path
        if answer.status_code in (403, 404):  # a page of a tenant
            assert "You may not do this" in answer.text or "There is no such page" in answer.text, path


async def test_a_password_of_one_kind_is_not_one_of_the_other(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    await operator(keyrack)
    await give_password(keyrack, acme, acme.integrator)
    accounts = Accounts(keyrack.store)
    for name, kind in ((acme.integrator.name, PrincipalKind.service_account), ("operator", PrincipalKind.user)):
        with pytest.raises(NotFound):
            await accounts.set_password(name, normal_password(NEW), kind)
        with pytest.raises(NotFound):
            await accounts.disable_totp(name, kind)
    assert await is_signed_in(await at_console(keyrack))
    assert await is_signed_in(await at_console(keyrack, acme.integrator.name))


async def test_a_service_account_without_a_password_does_not_get_in(keyrack: World) -> None:
    name = keyrack.support.name
    assert (await ConsoleBrowser(keyrack.http).sign_in(name, keyrack.support.api_key)).status_code == 400
    assert (await ConsoleBrowser(keyrack.http).sign_in(name, "")).status_code == 400


async def test_two_who_press_at_once_are_both_in(keyrack_on_each: World) -> None:
    await operator(keyrack_on_each)
    browsers = [ConsoleBrowser(keyrack_on_each.http) for _ in range(3)]
    answers = await asyncio.gather(*(each.sign_in("operator") for each in browsers))
    assert [each.status_code for each in answers] == [303] * 3
    assert all([await is_signed_in(each) for each in browsers])
