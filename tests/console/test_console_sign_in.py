"""Signing in to the console, sessions and how they end, forms of other sites; over HTTP (decision 28)."""

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from keyrack import clock
from keyrack.service.identity.password_hashing import NOBODYS, PasswordHashing
from keyrack.store.contracts import ContractRows
from keyrack.store.schema import console_sessions
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows
from support.app import BASE, World, settings_for, world
from support.console import FIREFOX, HASHED, OURS, PASSWORD, ConsoleBrowser, give_password
from support.running import replica
from support.statements_seen import statements_seen

COOKIE = "__Host-keyrack-console"
CHOSEN = "correct h0rse battery"
NEW = "a wholly other phrase"


async def at_console(keyrack: World, **more: str) -> ConsoleBrowser:
    """Let Acme's integrator sign in."""
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    browser = ConsoleBrowser(keyrack.http, **more)
    assert (await browser.sign_in(acme.integrator.name)).status_code == 303
    return browser


async def test_signing_in_and_out(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    browser = await at_console(keyrack_on_each)
    assert browser.page.headers["location"] == "/console"
    page = await browser.get("/console")
    assert "Acme contract" in page.text
    assert "Acme workspace" in page.text
    assert (await acme.integrator.get("/v2/users/me")).json()["data"]["attributes"]["last_login"] is not None
    answer = await browser.post("/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?why=out")
    assert (await browser.get("/console/account")).headers["location"] == "/console/sign-in?next=%2Fconsole%2Faccount"
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events")).json()["data"]
    told = [each["attributes"] for each in events if each["attributes"]["action"].startswith("console-session.")]
    assert [each["action"] for each in told] == ["console-session.create", "console-session.end"]
    assert {each["actor"] for each in told} == {acme.integrator.name}


async def test_email_in_other_letters_and_password_from_another_keyboard(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    browser = await at_console(keyrack)
    await browser.get("/console/account")
    composed, decomposed = "caf\u00e9 au lait, s'il te pla\u00eet", "cafe\u0301 au lait, s'il te plai\u0302t"
    changed = await browser.post("/console/account/password", current_password=PASSWORD, new_password=composed)
    assert changed.status_code == 303
    assert (await ConsoleBrowser(keyrack.http).sign_in(acme.integrator.name.upper(), decomposed)).status_code == 303


async def test_cookies_are_for_https_and_for_this_host_alone(keyrack: World) -> None:
    browser = ConsoleBrowser(keyrack.http)
    (line,) = (await browser.get("/console/sign-in")).headers.get_list("set-cookie")
    assert line.startswith(f"{COOKIE}=")
    assert {part.strip() for part in line.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}


async def test_at_the_machine_s_own_http_address_cookies_go_without_https(listening: World) -> None:
    local = ConsoleBrowser(listening.http)  # plain http on loopback, where browsers would not keep the other one
    (line,) = (await local.get("/console/sign-in")).headers.get_list("set-cookie")
    assert line.startswith("keyrack-console=")
    assert {part.strip() for part in line.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Lax"}


async def test_signing_in_replaces_the_cookie_and_only_a_hash_is_stored(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    planted = ConsoleBrowser(keyrack.http)
    await planted.get("/console/sign-in")
    before = planted.cookies[COOKIE]
    victim = ConsoleBrowser(keyrack.http)
    victim.cookies[COOKIE] = before
    assert (await victim.sign_in(acme.integrator.name)).status_code == 303
    assert victim.cookies[COOKIE] != before
    assert await victim.is_signed_in()
    assert not await planted.is_signed_in()
    async with keyrack.store.installation() as unit:
        rows = (await unit.connection.execute(select(console_sessions))).all()
    assert len(rows) == 1
    assert victim.cookies[COOKIE] not in repr(rows)
    assert len(victim.cookies[COOKIE]) == 43  # 256 bits


async def test_unknown_people_and_wrong_passwords_are_answered_alike(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    seen: dict[str, list[str]] = {}
    texts = set()
    for name in (acme.integrator.name, acme.guest.name, "nobody@nowhere.example", "", "x" * 10_000):
        browser, asked = ConsoleBrowser(keyrack.http), seen.setdefault(name, [])
        await browser.get("/console/sign-in")

        def noted(_connection: object, text: str, _values: object, asked: list[str] = asked) -> None:
            asked.append(text)

        with statements_seen(noted):
            answer = await browser.post("/console/sign-in", email=name, password="wrong")
        assert answer.status_code == 400
        assert COOKIE not in answer.headers.get("set-cookie", "")
        (told,) = [line for line in answer.text.splitlines() if 'role="alert"' in line]
        texts.add(told)
        assert not await browser.is_signed_in()
    assert len(texts) == 1
    assert len({tuple(asked) for asked in seen.values()}) == 1


async def test_every_wrong_password_costs_one_check_of_the_same_kind(
    monkeypatch: pytest.MonkeyPatch, keyrack: World
) -> None:
    acme, checked = keyrack.tenants["Acme"], []
    await give_password(keyrack, acme, acme.integrator)
    original = PasswordHashing.matches

    async def matches(self: PasswordHashing, holder: str, stored: str, password: object) -> bool:
        checked.append((holder, stored))
        return await original(self, holder, stored, password)  # type: ignore[arg-type]

    monkeypatch.setattr(PasswordHashing, "matches", matches)
    for name in (acme.integrator.name, "nobody@nowhere.example"):
        await ConsoleBrowser(keyrack.http).sign_in(name, "wrong")
    (one, first), (other, second) = checked
    assert (first, second) == (HASHED, NOBODYS)
    assert one == other
    assert keyrack.first.service_key is not None
    real = await keyrack.services.passwords.hash("x", keyrack.first.service_key)
    assert real.rpartition("$")[0].rpartition("$")[0] == NOBODYS.rpartition("$")[0].rpartition("$")[0]  # as costly


async def test_a_password_that_somebody_else_chose_lets_nobody_in(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    attributes = {"first_name": "N", "last_name": "P", "email": "n@acme.example", "password": CHOSEN}
    made = await acme.admin.post("/v2/users", {"data": {"type": "user", "attributes": attributes}})
    assert made.status_code == 201
    assert (await ConsoleBrowser(keyrack.http).sign_in("n@acme.example", CHOSEN)).status_code == 400


async def test_guessing_is_slowed_down_and_nobody_is_locked_out(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, public_url=BASE, wrong_passwords_limit="2", trusted_proxies="127.0.0.1")
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        name = acme.integrator.name
        home = {"x-forwarded-for": "192.0.2.1"}
        browser = await at_console(keyrack)
        del browser
        owner = ConsoleBrowser(keyrack.http)
        await owner.get("/console/sign-in")
        assert (await owner.post("/console/sign-in", OURS | home, email=name, password=PASSWORD)).status_code == 303
        answers = []
        for n in range(14):  # from everywhere
            guesser = ConsoleBrowser(keyrack.http)
            await guesser.get("/console/sign-in")
            for _ in range(2):
                there = OURS | {"x-forwarded-for": f"198.51.100.{n}"}
                answers.append(await guesser.post("/console/sign-in", there, email=name, password="wrong"))
        statuses = [each.status_code for each in answers]
        assert statuses[:20] == [400] * 20
        assert set(statuses[20:]) == {429}
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert "Too many attempts" in answers[-1].text
        # who has signed in from home before still can, and right passwords are not counted
        for _ in range(4):
            again = ConsoleBrowser(keyrack.http)
            await again.get("/console/sign-in")
            assert (await again.post("/console/sign-in", OURS | home, email=name, password=PASSWORD)).status_code == 303
        # from one address for one account there is a bound, the right password included: else it could be guessed
        home_guesses = []
        for _ in range(4):
            again = ConsoleBrowser(keyrack.http)
            await again.get("/console/sign-in")
            home_guesses.append(await again.post("/console/sign-in", OURS | home, email=name, password="wrong"))
        assert [each.status_code for each in home_guesses] == [400, 400, 429, 429]


async def test_sessions_end_after_a_time(tmp_path: Path) -> None:
    ahead = timedelta()

    def now() -> datetime:
        return clock.now() + ahead

    settings = settings_for(tmp_path, public_url=BASE, console_idle_minutes="30", console_session_hours="2")
    async with world(settings, now) as keyrack:
        idle, busy = await at_console(keyrack), await at_console(keyrack)
        for minutes in range(20, 120, 20):
            ahead = timedelta(minutes=minutes)
            assert await busy.is_signed_in()
        assert not await idle.is_signed_in()
        ahead = timedelta(hours=2)
        assert not await busy.is_signed_in()
        assert "2 hours" not in (await at_console(keyrack)).page.text
        account = await (await at_console(keyrack)).get("/console/account")
        assert account.text.count("Firefox on Linux") >= 2
        sessions = account.text.partition('id="sessions"')[2].partition("</section>")[0]
        assert "just now" in sessions
        assert "2 hours ago" not in sessions  # those that have ended are not listed
        ahead = timedelta(days=90)
        await keyrack.services.retention.reap()
        async with keyrack.store.installation() as unit:
            query = select(func.count()).select_from(console_sessions)
            assert (await unit.connection.execute(query)).scalar_one() == 0


async def test_a_session_is_ended_for_all_processes_at_once(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    async with replica(keyrack_on_each) as elsewhere:

        async def another() -> ConsoleBrowser:
            browser = await at_console(keyrack_on_each, user_agent="curl/8")
            there = ConsoleBrowser(elsewhere)
            there.cookies |= browser.cookies
            assert await there.is_signed_in()
            return there

        mine, other = await at_console(keyrack_on_each), await another()
        page = await mine.get("/console/account")
        assert "curl/8" in page.text
        (session,) = [part.partition('"')[0] for part in page.text.split('name="session" value="')[1:]]
        assert (await mine.post("/console/account/sessions/end", session=session)).status_code == 303
        assert not await other.is_signed_in()
        assert (await mine.post("/console/account/sessions/end", session=session)).headers["location"].endswith("gone")

        other = await another()
        await mine.get("/console/account")
        assert (await mine.post("/console/account/sessions/end-others")).status_code == 303
        assert not await other.is_signed_in()
        assert await mine.is_signed_in()

        other = await another()
        await mine.get("/console/account")
        sent = {"current_password": PASSWORD, "new_password": NEW}
        assert (await mine.post("/console/account/password", **sent)).status_code == 303
        assert not await other.is_signed_in()
        assert await mine.is_signed_in()
        assert (await ConsoleBrowser(elsewhere).sign_in(acme.integrator.name)).status_code == 400
        there = ConsoleBrowser(elsewhere)
        assert (await there.sign_in(acme.integrator.name, NEW)).status_code == 303

        assert (await acme.admin.delete(f"/v2/users/{acme.integrator.id}")).status_code == 204
        assert not await mine.is_signed_in()
        assert not await there.is_signed_in()


async def test_another_s_session_cannot_be_ended(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    mine = await at_console(keyrack)
    await give_password(keyrack, globex, globex.guest)
    theirs = ConsoleBrowser(keyrack.http)
    assert (await theirs.sign_in(globex.guest.name)).status_code == 303
    async with keyrack.store.installation() as unit:
        query = select(console_sessions.c.id).where(console_sessions.c.user_id == globex.guest.id)
        session = (await unit.connection.execute(query)).scalar_one()
    await mine.get("/console/account")
    assert (await mine.post("/console/account/sessions/end", session=session)).headers["location"].endswith("gone")
    assert await theirs.is_signed_in()


async def test_a_wrong_or_weak_password_changes_nothing(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    browser = await at_console(keyrack)
    for current, new, told in (
        ("wrong", NEW, "That is not your current password"),
        (PASSWORD, "short", "at least 12 characters"),
        (PASSWORD, "a" * 40, "different characters"),
        (PASSWORD, "x1y2z" * 300, "at most 1024 characters"),
        (PASSWORD, acme.integrator.name, "not the email"),
        ("", "", "That is not your current password"),
    ):
        await browser.get("/console/account")
        answer = await browser.post("/console/account/password", current_password=current, new_password=new)
        assert (answer.status_code, told in answer.text) == (400, True), (current, new[:20])
    assert (await ConsoleBrowser(keyrack.http).sign_in(acme.integrator.name)).status_code == 303


async def test_a_password_changed_meanwhile_does_not_begin_a_session(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    original = PasswordHashing.matches

    async def matches(self: PasswordHashing, holder: str, stored: str, password: object) -> bool:
        right = await original(self, holder, stored, password)  # type: ignore[arg-type]
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await UserRows(unit).set_password(acme.integrator.id, NOBODYS)
        return right

    monkeypatch.setattr(PasswordHashing, "matches", matches)
    assert (await ConsoleBrowser(keyrack.http).sign_in(acme.integrator.name)).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
    ids=["cross-site", "same-site", "other origin", "no origin"],
)
async def test_forms_of_other_sites_are_refused_even_with_the_token(keyrack: World, headers: dict[str, str]) -> None:
    browser = await at_console(keyrack)
    await browser.get("/console/account")
    token = browser.page.text.partition('name="form_token" value="')[2][:64]
    for path in ("account/password", "account/sessions/end", "account/sessions/end-others", "sign-out"):
        answer = await browser.post(f"/console/{path}", headers, form_token=token)
        assert answer.status_code == 403, path
        assert "Nothing was changed" in answer.text
    assert await browser.is_signed_in()


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e9" * 64], ids=["none", "made up", "odd letters"])
async def test_forms_without_the_session_s_token_are_refused(keyrack: World, token: str) -> None:
    browser = await at_console(keyrack)
    for path in ("account/password", "account/sessions/end", "account/sessions/end-others", "sign-out"):
        answer = await browser.post(f"/console/{path}", OURS, form_token=token)
        assert answer.status_code == 403, path
    assert await browser.is_signed_in()
    stranger = ConsoleBrowser(keyrack.http)
    acme = keyrack.tenants["Acme"]
    answer = await stranger.post("/console/sign-in", email=acme.integrator.name, password=PASSWORD, form_token=token)
    assert answer.status_code == 403
    assert not await stranger.is_signed_in()


async def test_a_browser_that_says_nothing_of_the_site_needs_the_right_origin(keyrack: World) -> None:
    browser = await at_console(keyrack)
    await browser.get("/console/account")
    ours = {"origin": BASE, "host": "keyrack.test"}
    assert (await browser.post("/console/account/sessions/end-others", ours)).status_code == 303


async def test_the_way_back_leads_to_our_own_pages_only(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    for wanted, there in (
        ("/console/account", "/console/account"),
        ("https://evil.example", "/console"),
        ("//evil.example", "/console"),
        ("/console/sign-out", "/console"),
        ("/console/../v2", "/console"),
    ):
        answer = await ConsoleBrowser(keyrack.http).sign_in(
            acme.integrator.name, path=f"/console/sign-in?next={wanted}"
        )
        assert (answer.status_code, answer.headers["location"]) == (303, there), wanted


async def test_every_answer_of_the_console_is_a_page_that_nothing_keeps(keyrack: World) -> None:
    browser = await at_console(keyrack)
    answers = [await browser.get(path) for path in ("/console", "/console/account", "/console/building-blocks")]
    answers += [await browser.get("/console/sign-in"), await browser.get("/console/nowhere")]
    answers += [await ConsoleBrowser(keyrack.http).get("/console/sign-in")]
    answers += [await keyrack.http.put("/console/account"), await browser.post("/console/sign-out", form_token="x")]
    assert [each.status_code for each in answers] == [200, 200, 200, 303, 404, 200, 405, 403]
    for each in answers:
        assert each.headers["content-type"].startswith("text/html") or each.status_code == 303
        assert each.headers["cache-control"] == "no-store"
        policy = each.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


async def test_two_who_press_at_once_are_both_in(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    await give_password(keyrack, acme, acme.integrator)
    browser = ConsoleBrowser(keyrack.http)
    await browser.get("/console/sign-in")
    sent = {"email": acme.integrator.name, "password": PASSWORD}
    twice = await asyncio.gather(*(browser.post("/console/sign-in", **sent) for _ in range(2)))
    assert [each.status_code for each in twice] == [303, 303]
    assert await browser.is_signed_in()


async def test_a_session_that_ended_is_told_where_a_form_was_sent(keyrack: World) -> None:
    browser = await at_console(keyrack)
    await browser.get("/console/account")
    other = await at_console(keyrack)
    await other.get("/console/account")
    await other.post("/console/account/sessions/end-others")
    answer = await browser.post("/console/account/password", current_password=PASSWORD, new_password=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?why=ended")
    assert "nothing was changed" in (await browser.get("/console/sign-in?why=ended")).text


async def test_hostile_names_are_only_text(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    hostile = '<script>alert(1)</script>\u202e"\x00'.replace("\x00", "\x07")
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await UserRows(unit).set_columns(acme.integrator.id, {"first_name": hostile, "last_name": "x" * 10_000})
        await ContractRows(unit).set_columns(acme.contract_id, {"name": hostile + "y" * 10_000})
        await WorkspaceRows(unit).set_columns(acme.workspace_id, {"name": f"<b>{hostile}"})
    body = {"data": {"attributes": {"name": '<script>"'}}}
    assert (await keyrack.support.patch(f"/v2/tenants/{acme.id}", body)).status_code == 200
    browser = await at_console(keyrack, user_agent="<b>x</b>" + "z" * 5000)
    for path in ("/console", "/console/account"):
        page = (await browser.get(path)).text
        assert "<script>" not in page
        assert "<b>" not in page
        assert "\u202e" not in page
        assert "\x07" not in page
        assert "xxx" * 100 not in page
        assert "yyy" * 100 not in page
    assert "&lt;script&gt;alert(1)" in page
    assert FIREFOX not in page


async def test_a_page_that_updates_by_itself_keeps_no_session_open(tmp_path: Path) -> None:
    ahead = timedelta()

    def now() -> datetime:
        return clock.now() + ahead

    settings = settings_for(tmp_path, public_url=BASE, console_idle_minutes="30")
    live = {"hx-request": "true", "x-keyrack-live": "1"}
    async with world(settings, now) as keyrack:
        browser = await at_console(keyrack)
        for minutes in (10, 20, 29):
            ahead = timedelta(minutes=minutes)
            assert (await browser.get("/console/account", **live)).status_code == 200
        ahead = timedelta(minutes=31)
        answer = await browser.get("/console/account?keys=2", **live)
        assert (answer.status_code, answer.text) == (200, "")
        assert answer.headers["hx-redirect"] == "/console/sign-in?next=%2Fconsole%2Faccount%3Fkeys%3D2"


async def test_files_of_pages_are_kept_and_have_their_type(keyrack: World) -> None:
    page = await ConsoleBrowser(keyrack.http).get("/console/sign-in")
    files = re.findall(r'(?:src|href)="(/console/files/[^"]+)"', page.text)
    answers = [await keyrack.http.get(path) for path in files]
    types = [answer.headers["content-type"].partition(";")[0] for answer in answers]
    assert types == ["image/svg+xml", "text/css", "text/javascript", "text/javascript"]
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert "unsafe" not in page.headers["content-security-policy"]
    assert (await keyrack.http.get("/console/files/console.css")).status_code == 404


async def test_a_refusal_is_a_page_of_the_console(keyrack: World) -> None:
    browser = await at_console(keyrack)
    await browser.get("/console")
    refused = await browser.post("/console/account/password", form_token="x")
    assert (refused.status_code, "Nothing was changed" in refused.text) == (403, True)
    missing = await keyrack.http.get("/console/files/none.css")
    assert (missing.status_code, "There is no such page" in missing.text) == (404, True)
    assert "console.css" not in missing.text
    assert "/console/files/console-" in missing.text


UNSTORABLE = [
    ("application/x-www-form-urlencoded", b"form_token=%s&current=a%%00b", "contains a NUL character"),
    ("application/x-www-form-urlencoded", b"form_token=%s&a%%00b=c", "contains a NUL character"),
    ("application/x-www-form-urlencoded", b"form_token=%s&current=%%ED%%A0%%80", "is not in UTF-8"),
    ("application/x-www-form-urlencoded", b"form_token=%s&current=\xff", "is not in UTF-8"),
    ("multipart/form-data", b"\r\n\r\n\xff", "is not in UTF-8"),
    ("multipart/form-data", b"\r\nContent-Type: text/plain; charset=klingon\r\n\r\na", "is not in UTF-8"),
    ("multipart/form-data", b"\r\n\r\na\0b", "contains a NUL character"),
    ("multipart/form-data", b"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+2AA-", "contains a lone surrogate"),
]  # fmt: skip


@pytest.mark.parametrize(("media_type", "sent", "said"), UNSTORABLE)
async def test_text_that_cannot_be_stored_is_refused_in_every_form(
    keyrack: World, media_type: str, sent: bytes, said: str
) -> None:
    browser = await at_console(keyrack)
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', (await browser.get("/console/account")).text)
    assert found is not None
    if media_type == "multipart/form-data":
        media_type += "; boundary=x"
        field = b'--x\r\nContent-Disposition: form-data; name="%s"'
        sent = field % b"form_token" + f"\r\n\r\n{found[1]}\r\n".encode() + field % b"current" + sent + b"\r\n--x--\r\n"
    else:
        sent = sent % found[1].encode()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookies, "content-type": media_type, **OURS}
    answer = await keyrack.http.post("/console/account/password", headers=headers, content=sent)
    assert answer.status_code == 400
    assert f"the form {said}" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
