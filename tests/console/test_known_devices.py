"""Known browsers, whom guesses elsewhere do not hold up; forms of other sites, at every route (decision 29)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from keyrack.service.identity.known_devices import KNOWN_FOR
from support.app import BASE, TenantInTest, World, settings_for, world
from support.console import OURS, PASSWORD, ConsoleBrowser, give_password
from support.two_step import Phone, Time, secret_on

DEVICE = "__Host-keyrack-known-device"
COOKIE = "__Host-keyrack-console"
HOME, ELSEWHERE = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "203.0.113.9"}
TWO_STEP = "/console/account/two-step"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def keyrack_at(tmp_path: Path, time: Time) -> AsyncIterator[World]:
    settings = settings_for(tmp_path, public_url=BASE, wrong_passwords_limit="2", trusted_proxies="127.0.0.1")
    async with world(settings, time) as made:
        for tenant in made.tenants.values():
            await give_password(made, tenant, tenant.integrator)
        yield made


async def tries(browser: ConsoleBrowser, name: str, password: str, where: dict[str, str]) -> int:
    await browser.get("/console/sign-in")
    return (await browser.post("/console/sign-in", OURS | where, email=name, password=password)).status_code


async def known(keyrack: World, tenant: TenantInTest) -> ConsoleBrowser:
    """Return a browser in which somebody has signed in at home, and out."""
    browser = ConsoleBrowser(keyrack.http)
    assert await tries(browser, tenant.integrator.name, PASSWORD, HOME) == 303
    await browser.get("/console/account")
    await browser.post("/console/sign-out")
    return browser


async def guess_from_everywhere(keyrack: World, name: str) -> None:
    for n in range(12):
        for _ in range(2):
            last = await tries(ConsoleBrowser(keyrack.http), name, "wrong", {"x-forwarded-for": f"198.51.100.{n}"})
    assert last == 429


async def test_a_known_browser_gets_in_from_anywhere_while_others_guess(keyrack_at: World, time: Time) -> None:
    acme, globex = keyrack_at.tenants["Acme"], keyrack_at.tenants["Globex"]
    name = acme.integrator.name
    mine, theirs = await known(keyrack_at, acme), await known(keyrack_at, globex)
    note = mine.cookies[DEVICE]
    for line in mine.page.headers.get_list("set-cookie"):
        assert DEVICE not in line  # signing out does not forget it
    assert name not in note
    await guess_from_everywhere(keyrack_at, name)
    assert await tries(ConsoleBrowser(keyrack_at.http), name, PASSWORD, ELSEWHERE) == 429
    for forged in (theirs.cookies[DEVICE], note[:-4] + "AAAA", "", "x", "%%%", "A" * 5000):
        other = ConsoleBrowser(keyrack_at.http)
        other.cookies[DEVICE] = forged
        assert await tries(other, name, PASSWORD, ELSEWHERE) == 429, forged[:20]
    assert await tries(mine, name, PASSWORD, ELSEWHERE) == 303
    # it has a bound of its own
    copied = ConsoleBrowser(keyrack_at.http)
    copied.cookies[DEVICE] = note
    guessed = [await tries(copied, name, "wrong", {"x-forwarded-for": f"203.0.113.{n}"}) for n in range(4)]
    assert guessed == [400, 400, 429, 429]
    time.pass_by(days=KNOWN_FOR.days + 1)
    late = ConsoleBrowser(keyrack_at.http)
    late.cookies[DEVICE] = note
    assert await tries(late, name, PASSWORD, {"x-forwarded-for": "203.0.113.77"}) == 429


async def test_the_note_is_for_https_and_this_host_alone(keyrack_at: World) -> None:
    browser = ConsoleBrowser(keyrack_at.http)
    await tries(browser, keyrack_at.tenants["Acme"].integrator.name, PASSWORD, HOME)
    (line,) = [each for each in browser.page.headers.get_list("set-cookie") if DEVICE in each]
    seconds = int(timedelta(days=180).total_seconds())
    parts = {part.strip() for part in line.split(";")[1:]}
    assert parts == {"Path=/", "HttpOnly", "SameSite=lax", "Secure", f"Max-Age={seconds}"}


async def test_a_right_password_without_its_code_makes_no_browser_known(keyrack_at: World, time: Time) -> None:
    acme = keyrack_at.tenants["Acme"]
    name = acme.integrator.name
    owner = ConsoleBrowser(keyrack_at.http)
    await tries(owner, name, PASSWORD, HOME)
    await owner.get(TWO_STEP)
    await owner.post(f"{TWO_STEP}/begin")
    phone = Phone(secret_on((await owner.get(TWO_STEP)).text), time)
    assert (await owner.post(f"{TWO_STEP}/confirm", code=phone.code(), password=PASSWORD)).status_code == 200
    thief = ConsoleBrowser(keyrack_at.http)
    assert await tries(thief, name, PASSWORD, ELSEWHERE) == 303
    assert DEVICE not in thief.cookies
    codes = []
    for _ in range(4):
        await thief.get("/console/sign-in/code")
        code = phone.wrong_code()
        codes.append((await thief.post("/console/sign-in/code", OURS | ELSEWHERE, code=code)).status_code)
    assert codes == [400, 400, 429, 429]  # as many as passwords
    assert await tries(thief, name, PASSWORD, ELSEWHERE) == 429  # counted together
    await owner.post("/console/sign-out")
    assert await tries(owner, name, PASSWORD, {"x-forwarded-for": "203.0.113.10"}) == 303
    await owner.get("/console/sign-in/code")
    assert (await owner.post("/console/sign-in/code", OURS, code=phone.new_code())).status_code == 303


async def test_signing_in_anew_ends_the_session_that_the_browser_held(keyrack_at: World) -> None:
    acme, globex = keyrack_at.tenants["Acme"], keyrack_at.tenants["Globex"]
    browser = ConsoleBrowser(keyrack_at.http)
    await tries(browser, acme.integrator.name, PASSWORD, HOME)
    before = dict(browser.cookies)
    await browser.get("/console/account")  # a token of the session's own forms
    answer = await browser.post("/console/sign-in", OURS, email=globex.integrator.name, password=PASSWORD)
    assert answer.status_code == 303
    assert globex.integrator.name in (await browser.get("/console/account")).text
    old = ConsoleBrowser(keyrack_at.http)
    old.cookies |= before
    assert not await old.is_signed_in()
