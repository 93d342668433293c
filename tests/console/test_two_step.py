"""The second step of signing in: codes of an app, recovery codes, guessing, losing the phone (decision 29)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden, NotFound, StateConflict
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.identity.password_rules import normal_password
from keyrack.service.operator.accounts import Accounts
from keyrack.store.schema import authenticators, pending_sign_ins
from support.app import BASE, Caller, TenantInTest, World, settings_for, world
from support.console import PASSWORD, ConsoleBrowser, give_password
from support.two_step import Phone, Time, codes_on, secret_on

PAGE = "/console/account/two-step"
COOKIE = "__Host-keyrack-console"
NEW = "a wholly other phrase"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def keyrack_at(tmp_path: Path, time: Time) -> AsyncIterator[World]:
    settings = settings_for(tmp_path, public_url=BASE, wrong_passwords_limit="1000")
    async with world(settings, time) as made:
        yield made


async def at_console(keyrack: World, tenant: TenantInTest, who: Caller) -> ConsoleBrowser:
    await give_password(keyrack, tenant, who)
    browser = ConsoleBrowser(keyrack.http)
    assert (await browser.sign_in(who.name)).status_code == 303
    return browser


async def turned_on(browser: ConsoleBrowser, time: Time, password: str = PASSWORD) -> tuple[Phone, list[str]]:
    """Turn the second step on; return the phone and the recovery codes."""
    await browser.get(PAGE)
    assert (await browser.post(f"{PAGE}/begin")).status_code == 303
    page = (await browser.get(PAGE)).text
    phone = Phone(secret_on(page), time)
    made = await browser.post(f"{PAGE}/confirm", code=phone.code(), password=password)
    assert made.status_code == 200, made.text
    return phone, codes_on(made.text)


async def with_password(keyrack: World, name: str, password: str = PASSWORD) -> ConsoleBrowser:
    """Return a browser in which a code is waited for."""
    browser = ConsoleBrowser(keyrack.http)
    answer = await browser.sign_in(name, password)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in/code")
    assert (await browser.get("/console/sign-in/code")).status_code == 200
    return browser


async def give_code(browser: ConsoleBrowser, code: str) -> int:
    return (await browser.post("/console/sign-in/code", code=code)).status_code


async def test_signing_in_asks_for_a_code_once_it_is_confirmed(keyrack_on_each: World) -> None:
    time = Time()
    acme = keyrack_on_each.tenants["Acme"]
    name = acme.integrator.name
    browser = await at_console(keyrack_on_each, acme, acme.integrator)
    elsewhere = ConsoleBrowser(keyrack_on_each.http)
    await elsewhere.sign_in(name)
    page = await browser.get(PAGE)
    assert "your password alone signs you in" in page.text
    assert (await browser.post(f"{PAGE}/begin")).status_code == 303
    page = await browser.get(PAGE)
    secret = secret_on(page.text)
    assert f"secret={secret}" in page.text
    assert '<svg role="img"' in page.text
    assert " style=" not in page.text
    phone = Phone(secret, time)
    assert (await ConsoleBrowser(keyrack_on_each.http).sign_in(name)).headers["location"] == "/console"  # not yet
    for code, password, told in ((phone.wrong_code(), PASSWORD, "code is wrong"), (phone.code(), "x", "not your pass")):
        refused = await browser.post(f"{PAGE}/confirm", code=code, password=password)
        assert (refused.status_code, told in refused.text) == (400, True)
        assert secret_on(refused.text) == secret
    made = await browser.post(f"{PAGE}/confirm", code=f" {phone.code()} ", password=PASSWORD)
    codes = codes_on(made.text)
    assert (made.status_code, len(set(codes))) == (200, 10)
    assert made.headers["cache-control"] == "no-store"
    assert not await elsewhere.is_signed_in()  # other sessions were begun without a code
    assert await browser.is_signed_in()
    assert "On since" in (await browser.get(PAGE)).text
    assert codes[0] not in browser.page.text

    waiting = await with_password(keyrack_on_each, name)
    assert not await waiting.is_signed_in()
    assert await give_code(waiting, phone.code(1)) == 303  # a clock that is half a minute wrong
    assert await waiting.is_signed_in()
    waiting = await with_password(keyrack_on_each, name)
    assert await give_code(waiting, codes[3]) == 303
    assert await waiting.is_signed_in()
    async with keyrack_on_each.store.installation() as unit:
        rows = (await unit.connection.execute(select(authenticators))).all()
    assert len(rows) == 1
    assert secret not in repr(rows)
    assert codes[0] not in repr(rows)
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events")).json()["data"]
    actions = {each["attributes"]["action"] for each in events}
    assert {"totp.begin", "totp.enable", "recovery-code.use"} <= actions


async def test_a_code_is_good_once(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    phone, codes = await turned_on(await at_console(keyrack_at, acme, acme.integrator), time)
    first, second = await with_password(keyrack_at, acme.integrator.name), None
    assert await give_code(first, phone.code()) == 400  # it was used for turning it on
    assert "used before" in first.page.text
    code = phone.new_code()
    assert await give_code(first, code) == 303
    second = await with_password(keyrack_at, acme.integrator.name)
    assert await give_code(second, code) == 400
    assert await give_code(second, phone.code(-1)) == 400  # an older one neither
    assert await give_code(second, codes[0].upper().replace("-", " ")) == 303
    third = await with_password(keyrack_at, acme.integrator.name)
    assert await give_code(third, codes[0]) == 400


async def test_a_right_password_alone_opens_nothing(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    owner = await at_console(keyrack_at, acme, acme.integrator)
    phone, _ = await turned_on(owner, time)
    planted = ConsoleBrowser(keyrack_at.http)
    await planted.get("/console/sign-in")
    before = planted.cookies[COOKIE]
    waiting = ConsoleBrowser(keyrack_at.http)
    waiting.cookies[COOKIE] = before
    await waiting.sign_in(acme.integrator.name)
    assert waiting.cookies[COOKIE] != before  # nobody else can give the code in it
    for path in ("/console", "/console/account", PAGE):
        assert (await waiting.get(path)).headers["location"].startswith("/console/sign-in")
    stranger = ConsoleBrowser(keyrack_at.http)
    assert (await stranger.get("/console/sign-in/code")).headers["location"] == "/console/sign-in"
    await stranger.get("/console/sign-in")
    answer = await stranger.post("/console/sign-in/code", code=phone.new_code())
    assert answer.headers["location"] == "/console/sign-in?why=late"
    await waiting.get("/console/sign-in/code")
    other_site = await waiting.post("/console/sign-in/code", {"sec-fetch-site": "cross-site"}, code=phone.code())
    assert other_site.headers["location"] == "/console/sign-in?why=late"
    held = waiting.cookies[COOKIE]
    await waiting.get("/console/sign-in/code")
    assert await give_code(waiting, phone.code()) == 303
    assert waiting.cookies[COOKIE] != held
    late = await with_password(keyrack_at, acme.integrator.name)
    time.pass_by(minutes=10)
    answer = await late.post("/console/sign-in/code", code=phone.code())
    assert answer.headers["location"] == "/console/sign-in?why=late"
    assert not await late.is_signed_in()
    time.pass_by(days=90)
    await keyrack_at.services.retention.reap()
    async with keyrack_at.store.installation() as unit:
        assert (await unit.connection.execute(select(pending_sign_ins))).all() == []


async def test_signing_in_ends_the_session_that_the_browser_held(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    browser, earlier = await at_console(keyrack_at, acme, acme.integrator), ConsoleBrowser(keyrack_at.http)
    phone, _ = await turned_on(browser, time)
    earlier.cookies |= browser.cookies
    assert await earlier.is_signed_in()
    await browser.get("/console/account")
    answer = await browser.post("/console/sign-in", email=acme.integrator.name, password=PASSWORD)
    assert answer.headers["location"] == "/console/sign-in/code"
    await browser.get("/console/sign-in/code")
    assert await give_code(browser, phone.new_code()) == 303
    assert await browser.is_signed_in()
    assert not await earlier.is_signed_in()


async def test_a_changed_password_ends_what_waits_for_a_code(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    phone, _ = await turned_on(await at_console(keyrack_at, acme, acme.integrator), time)
    waiting = await with_password(keyrack_at, acme.integrator.name)
    await Accounts(keyrack_at.store).set_password(acme.integrator.name, normal_password(NEW))
    answer = await waiting.post("/console/sign-in/code", code=phone.new_code())
    assert answer.headers["location"] == "/console/sign-in?why=late"
    again = await with_password(keyrack_at, acme.integrator.name, NEW)  # the second step stays on
    assert await give_code(again, phone.new_code()) == 303


async def test_guessing_codes_waits_longer_each_time_and_a_recovery_code_does_not(
    keyrack_at: World, time: Time
) -> None:
    acme = keyrack_at.tenants["Acme"]
    phone, codes = await turned_on(await at_console(keyrack_at, acme, acme.integrator), time)
    thief = await with_password(keyrack_at, acme.integrator.name)
    assert [await give_code(thief, phone.wrong_code()) for _ in range(7)] == [400] * 5 + [429] * 2
    assert thief.page.headers["retry-after"] == "60"
    assert await give_code(thief, phone.new_code()) == 429  # the right one neither: else it could be guessed
    time.pass_by(seconds=31)
    for minutes in (2, 4, 8, 16, 32, 60, 60):
        thief = await with_password(keyrack_at, acme.integrator.name)
        assert await give_code(thief, phone.wrong_code()) == 400
        assert await give_code(thief, phone.wrong_code()) == 429
        assert int(thief.page.headers["retry-after"]) == pytest.approx(minutes * 60, abs=2)
        time.pass_by(minutes=minutes)
    owner = await with_password(keyrack_at, acme.integrator.name)
    assert await give_code(owner, phone.wrong_code()) == 400
    assert await give_code(owner, codes[0]) == 303
    time.pass_by(minutes=60)
    owner = await with_password(keyrack_at, acme.integrator.name)
    assert await give_code(owner, phone.code()) == 303
    owner = await with_password(keyrack_at, acme.integrator.name)
    assert await give_code(owner, phone.wrong_code()) == 400  # counted anew
    assert await give_code(owner, phone.new_code()) == 303
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?page[size]=100")).json()["data"]
    denied = [each["attributes"] for each in events if each["attributes"]["outcome"] == "denied"]
    assert {(each["actor"], each["action"]) for each in denied} == {(acme.integrator.name, "console-session.create")}


async def test_turning_it_off_takes_password_and_code(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    browser = await at_console(keyrack_at, acme, acme.integrator)
    assert (await browser.get(f"{PAGE}/disable")).headers["location"] == PAGE  # there is nothing to turn off
    phone, codes = await turned_on(browser, time)
    assert "10 recovery codes" in (await browser.get(f"{PAGE}/disable")).text
    for code, password in ((phone.wrong_code(), PASSWORD), (phone.new_code(), "x"), (codes[0], "x"), ("", "")):
        assert (await browser.post(f"{PAGE}/disable", code=code, password=password)).status_code == 400
    await browser.get(f"{PAGE}/recovery-codes")
    renewed = await browser.post(f"{PAGE}/recovery-codes", code=phone.new_code(), password=PASSWORD)
    assert (renewed.status_code, len(codes_on(renewed.text))) == (200, 10)
    assert not set(codes_on(renewed.text)) & set(codes)
    await browser.get(f"{PAGE}/disable")
    assert (await browser.post(f"{PAGE}/disable", code=codes[0], password=PASSWORD)).status_code == 400
    gone = await browser.post(f"{PAGE}/disable", code=codes_on(renewed.text)[0], password=PASSWORD)
    assert gone.headers["location"] == f"{PAGE}?done=off"
    assert (await ConsoleBrowser(keyrack_at.http).sign_in(acme.integrator.name)).headers["location"] == "/console"
    again = await browser.post(f"{PAGE}/disable", code=phone.new_code(), password=PASSWORD)
    assert again.headers["location"] == f"{PAGE}?done=changed"


async def test_an_app_is_confirmed_in_the_session_that_began_it(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    one, other = [await at_console(keyrack_at, acme, acme.integrator) for _ in range(2)]
    await one.get(PAGE)
    await one.post(f"{PAGE}/begin")
    phone = Phone(secret_on((await one.get(PAGE)).text), time)
    page = await other.get(PAGE)
    assert "totp-secret" not in page.text  # who borrows a browser for a moment cannot plant a secret for later
    answer = await other.post(f"{PAGE}/confirm", code=phone.code(), password=PASSWORD)
    assert answer.headers["location"] == f"{PAGE}?done=changed"
    time.pass_by(minutes=29)
    assert "totp-secret" in (await one.get(PAGE)).text
    await one.post(f"{PAGE}/begin")
    assert secret_on((await one.get(PAGE)).text) != phone.secret
    time.pass_by(minutes=31)
    assert "totp-secret" not in (await one.get(PAGE)).text


async def test_who_has_lost_the_phone_is_helped_by_admin_and_operator(keyrack_at: World, time: Time) -> None:
    acme, globex = keyrack_at.tenants["Acme"], keyrack_at.tenants["Globex"]
    two_step, user_id = keyrack_at.services.two_step, acme.integrator.id

    def principal(tenant: TenantInTest, who: Caller) -> Principal:
        return Principal(PrincipalKind.user, who.id, who.name, tenant.id)

    browser = await at_console(keyrack_at, acme, acme.integrator)
    await turned_on(browser, time)
    assert await two_step.is_on_for_user(principal(acme, acme.admin), user_id)
    for who, refusal in (
        (principal(acme, acme.guest), Forbidden),
        (principal(acme, acme.integrator), Forbidden),
        (principal(globex, globex.admin), NotFound),
    ):
        with pytest.raises(refusal):
            await two_step.disable_for_user(who, user_id)
        with pytest.raises(refusal):
            await two_step.is_on_for_user(who, user_id)
    await two_step.disable_for_user(principal(acme, acme.admin), user_id)
    assert not await two_step.is_on_for_user(principal(acme, acme.admin), user_id)
    with pytest.raises(StateConflict):
        await two_step.disable_for_user(principal(acme, acme.admin), user_id)
    assert (await ConsoleBrowser(keyrack_at.http).sign_in(acme.integrator.name)).headers["location"] == "/console"
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events")).json()["data"]
    told = [each["attributes"] for each in events if each["attributes"]["action"] == "totp.disable"]
    assert [(each["actor"], each["outcome"]) for each in told if each["outcome"] == "allowed"] == [
        (acme.admin.name, "allowed")
    ]
    await turned_on(browser, time)
    await Accounts(keyrack_at.store).disable_totp(acme.integrator.name)
    assert (await ConsoleBrowser(keyrack_at.http).sign_in(acme.integrator.name)).headers["location"] == "/console"
    with pytest.raises(StateConflict):
        await Accounts(keyrack_at.store).disable_totp(acme.integrator.name)
    with pytest.raises(NotFound):
        await Accounts(keyrack_at.store).disable_totp("nobody@nowhere.example")


async def test_a_setup_link_does_not_turn_it_off(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    await turned_on(await at_console(keyrack_at, acme, acme.integrator), time)
    links = keyrack_at.services.account_setup._links
    made = await Accounts(keyrack_at.store).create_setup_link(acme.integrator.name, links)
    token = Secret(made.url.reveal().rpartition("=")[2].rpartition("/")[2])
    await keyrack_at.services.account_setup.use(token, None, None, None, password=normal_password(NEW))
    await with_password(keyrack_at, acme.integrator.name, NEW)


async def test_the_way_on_is_kept_over_both_steps(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    phone, _ = await turned_on(await at_console(keyrack_at, acme, acme.integrator), time)
    browser = ConsoleBrowser(keyrack_at.http)
    answer = await browser.sign_in(acme.integrator.name, path="/console/sign-in?next=/console/account")
    there = answer.headers["location"]
    assert there == "/console/sign-in/code?next=%2Fconsole%2Faccount"
    assert "next=/console/account" in (await browser.get(there)).text
    answer = await browser.post(there, code=phone.new_code())
    assert answer.headers["location"] == "/console/account"
