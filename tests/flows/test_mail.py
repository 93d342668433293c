"""Mail with setup links, by a real mail server: what it says, TLS, refusals, outages (extension, decision 24)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from keyrack import clock
from keyrack.errors import ConfigurationError
from keyrack.service.mail.mailer import Mailer
from keyrack.store.mails import Mails
from keyrack.store.schema import contracts, tenants
from support.app import BASE, World, error_of, settings_for, world
from support.hostile import NAME, TURNING
from support.mail_server import MailServerInTest, mail_server
from support.setup_links import invited, key_from, link_for, newcomer

NEW = "new.person@acme.example"
FROM = "Keyrack at Acme <keyrack@acme.example>"

Running = Callable[..., AbstractAsyncContextManager[tuple[World, MailServerInTest, Mailer]]]


class Time:
    """The real time, moved ahead by a test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """What runs an installation with a mail server."""

    @asynccontextmanager
    async def run(
        tls: str = "starttls",
        scheme: str = "smtp",
        *,
        login: bool = False,
        trusted: bool = True,
        time: Callable[[], datetime] = clock.now,
        **more: str,
    ) -> AsyncIterator[tuple[World, MailServerInTest, Mailer]]:
        async with mail_server(tmp_path, tls, login=login) as server:
            if trusted and server.ca_file is not None:
                more = {"ca_file": str(server.ca_file)} | more
            url = {"smtp_url": server.url(scheme, login=login), "smtp_from": FROM, "smtp_timeout": "5"}
            async with world(settings_for(tmp_path / "home", **(url | more), public_url=BASE), time) as made:
                assert made.services.mailer is not None
                yield made, server, made.services.mailer

    return run


async def outcomes(made: World) -> list[tuple[str | None, int, bytes | None]]:
    acme = made.tenants["Acme"]
    async with made.store.unit(acme.id) as unit:
        rows = (await unit.connection.execute(Mails(unit).select())).all()
    return [(row.outcome, row.attempts, row.sealed_mail) for row in rows]


async def sends(mailer: Mailer, times: int = 1) -> None:
    """Let the mailer do what is due, until that many attempts have ended."""
    ended = 0
    async with asyncio.timeout(60):
        while ended < times:
            ended += await mailer.tick()


def said(message: EmailMessage) -> str:
    body = message.get_body()
    assert body is not None
    text: str = body.get_content()
    return text


@pytest.mark.parametrize(("tls", "scheme", "login"), [("starttls", "smtp", True), ("at once", "smtps", False)])
async def test_an_invite_is_mailed_over_tls(running: Running, tls: str, scheme: str, *, login: bool) -> None:
    async with running(tls, scheme, login=login) as (made, server, mailer):
        acme = made.tenants["Acme"]
        answer = await invited(acme.admin, acme.contract_id, NEW)
        assert server.taken == [], "the request waits for no mail server"
        await sends(mailer)
        ((recipient, message),) = server.taken
        assert recipient == NEW
        assert (message["To"], message["From"]) == (NEW, FROM)
        assert message["Subject"] == f"{acme.admin.name} invites you to Acme contract"
        assert (message["Auto-Submitted"], message["X-Was-Encrypted"]) == ("auto-generated", "True")
        url = answer.json()["meta"]["setup_link"]["url"]
        assert url in said(message)
        assert await outcomes(made) == [("sent", 1, None)], "what was in it is wiped"
        await key_from(made, url, NEW, first_name="N", last_name="P")
        events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=mail.send")).json()["data"]
        told = [(each["attributes"]["target"]["type"], each["attributes"]["outcome"]) for each in events]
        assert told == [("contract-invite", "allowed")]


async def test_a_setup_link_is_mailed(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
        await sends(mailer)
        ((recipient, message),) = server.taken
        assert (recipient, message["Subject"]) == (NEW, "Your account at Acme")
        assert url in said(message)


async def test_hostile_names_of_tenant_and_contract_break_no_mail(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        name = "\r\nBcc: other@acme.example\r\n\r\n" + NAME
        async with made.store.installation(writes=True) as unit:
            for table, mark in ((tenants, "tenant"), (contracts, "contract")):
                await unit.connection.execute(update(table).values(name=f"{mark}{name}"))
        await link_for(acme.admin, await newcomer(acme.admin, NEW))
        for email in ("invited@acme.example", acme.stranger.name):
            await invited(acme.admin, acme.contract_id, email)
        await sends(mailer, 3)
        assert {recipient for recipient, _ in server.taken} == {NEW, "invited@acme.example", acme.stranger.name}
        for recipient, message in server.taken:
            assert (message["To"], message["Bcc"]) == (recipient, None)
            assert message.get_content_type() == "text/plain"
            text = f"{message['Subject']}\n{said(message)}"
            assert "tenant" in text
            assert not set(TURNING) & set(text)
            assert max(len(line) for line in text.splitlines()) < 1000


async def test_who_has_an_account_is_told_without_a_link(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        await invited(acme.admin, acme.contract_id, acme.stranger.name)
        await sends(mailer)
        ((recipient, message),) = server.taken
        assert recipient == acme.stranger.name
        assert "/setup" not in said(message)
        assert "/v2/users/me/invites" in said(message)


async def test_who_may_not_create_users_invites_by_mail_alone(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        owner = await made.add_user(acme.id, "owner@acme.example")
        body = {"data": {"type": "contract-member", "id": owner.id, "attributes": {"roles": ["owner"]}}}
        assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", body)).status_code == 200
        answer = await invited(owner, acme.contract_id, NEW, "owner")
        assert answer.json()["meta"] == {}, "who could use it gains an account"
        await sends(mailer)
        ((_, message),) = server.taken
        url = next(word for word in said(message).split() if "/setup?link=" in word)
        person = await key_from(made, url, NEW, first_name="N", last_name="P")
        assert (await person.get(f"/v2/contracts/{acme.contract_id}")).status_code == 200


@pytest.mark.parametrize("case", ["unknown authority", "no STARTTLS"])
async def test_without_good_tls_nothing_is_sent(running: Running, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    tls = "none" if case == "no STARTTLS" else "starttls"
    async with running(tls, trusted=False) as (made, server, mailer):
        acme = made.tenants["Acme"]
        await invited(acme.admin, acme.contract_id, NEW)
        await sends(mailer)
        assert (server.taken, server.offered) == ([], [])
        ((outcome, attempts, sealed),) = await outcomes(made)
        assert (outcome, attempts, sealed is None) == (None, 1, False), "it is tried again"


async def test_an_operator_may_go_without_tls(running: Running) -> None:
    async with running("none", allow_insecure_smtp="true") as (made, server, mailer):
        acme = made.tenants["Acme"]
        await invited(acme.admin, acme.contract_id, NEW)
        await sends(mailer)
        ((_, message),) = server.taken
        assert message["X-Was-Encrypted"] == "False"


async def test_what_is_refused_for_now_is_tried_again_and_for_good_is_not(running: Running) -> None:
    time = Time()
    async with running(time=time) as (made, server, mailer):
        acme = made.tenants["Acme"]
        server.rcpt = "451 later"
        await invited(acme.admin, acme.contract_id, NEW)
        await sends(mailer)
        assert await mailer.tick() == 0, "not at once"
        time.ahead += timedelta(seconds=13)
        server.rcpt = "550 no such person"
        await sends(mailer)
        assert await outcomes(made) == [("failed", 2, None)]
        time.ahead += timedelta(hours=2)
        assert await mailer.tick() == 0
        events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=mail.send")).json()["data"]
        assert [each["attributes"]["outcome"] for each in events] == ["failed"]


async def test_an_outage_of_the_mail_server_loses_nothing(running: Running) -> None:
    time = Time()
    async with running(time=time) as (made, server, mailer):
        acme = made.tenants["Acme"]
        port, mailer._client._server = server.port, _elsewhere(mailer._client._server)
        await invited(acme.admin, acme.contract_id, NEW)
        await sends(mailer)
        assert [row[:2] for row in await outcomes(made)] == [(None, 1)]
        mailer._client._server = _elsewhere(mailer._client._server, port)
        time.ahead += timedelta(seconds=13)
        await sends(mailer)
        assert [recipient for recipient, _ in server.taken] == [NEW]


def _elsewhere(server: Any, port: int = 1) -> Any:
    from dataclasses import replace  # noqa: PLC0415 - only used here

    return replace(server, port=port)


async def test_after_a_day_it_is_given_up(running: Running) -> None:
    time = Time()
    async with running(time=time) as (made, server, mailer):
        acme = made.tenants["Acme"]
        server.rcpt = "451 later"
        await invited(acme.admin, acme.contract_id, acme.stranger.name)  # no link that would end before
        await sends(mailer)
        time.ahead += timedelta(hours=24)
        await sends(mailer)
        assert await outcomes(made) == [("failed", 2, None)]


async def test_a_server_that_hangs_blocks_nothing(running: Running) -> None:
    async with running(smtp_timeout="1") as (made, server, mailer):
        mailer._jobs._patience = 0.01
        acme = made.tenants["Acme"]
        server.hangs = True
        await invited(acme.admin, acme.contract_id, NEW)
        assert await mailer.tick() == 0
        assert (await acme.admin.get("/v2/users/me")).status_code == 200
        await sends(mailer)
        ((outcome, attempts, _),) = await outcomes(made)
        assert (outcome, attempts) == (None, 1)


@pytest.mark.parametrize("ends", ["used", "replaced", "deleted"])
async def test_what_has_ended_meanwhile_is_not_sent(running: Running, ends: str) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        user_id = await newcomer(acme.admin, NEW)
        url = await link_for(acme.admin, user_id)
        expected: list[tuple[str | None, int, bytes | None]] = [("obsolete", 1, None)]
        if ends == "used":
            await key_from(made, url, NEW)
        elif ends == "deleted":
            assert (await acme.admin.delete(f"/v2/users/{user_id}")).status_code == 204
        else:
            await link_for(acme.admin, user_id)
            expected.append(("sent", 1, None))
        await sends(mailer, len(expected))
        assert sorted(await outcomes(made), key=str) == expected
        assert len(server.taken) == len(expected) - 1


@pytest.mark.parametrize(
    "email",
    ["a,victim@acme.example", "<victim@acme.example", 'a"b@acme.example', "a@acme.example>", "a@-", "a@" + "x" * 70],
)
async def test_an_address_that_is_none_is_not_mailed(running: Running, email: str) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        await invited(acme.admin, acme.contract_id, email)
        if email != "a@-":  # a host's name to nobody, but in the form of one
            await sends(mailer)
            assert server.offered == []
            assert await outcomes(made) == [("failed", 1, None)]


async def test_names_put_no_header_into_a_mail(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        body = {"data": {"attributes": {"name": "Evil\r\nBcc: victim@acme.example\r\n\r\nBody\u202e {url}"}}}
        assert (await made.support.patch(f"/v2/tenants/{acme.id}", body)).status_code == 200
        await link_for(acme.admin, await newcomer(acme.admin, NEW))
        await sends(mailer)
        ((recipient, message),) = server.taken
        assert (recipient, message["Bcc"]) == (NEW, None)
        assert message["Subject"] == "Your account at Evil Bcc: victim@acme.example Body {url}"


async def test_names_beyond_ascii_arrive(running: Running) -> None:
    async with running() as (made, server, mailer):
        acme = made.tenants["Acme"]
        body = {"data": {"attributes": {"name": "Ärzte für Größe"}}}
        assert (await made.support.patch(f"/v2/tenants/{acme.id}", body)).status_code == 200
        await link_for(acme.admin, await newcomer(acme.admin, "jörg@bücher.example"))
        await sends(mailer)
        ((recipient, message),) = server.taken
        assert recipient == "jörg@xn--bcher-kva.example"
        assert "Ärzte für Größe" in said(message)


async def test_a_tenant_sends_so_many_mails_a_day(running: Running) -> None:
    time = Time()
    async with running(time=time, quota_mails="2") as (made, _server, _mailer):
        acme = made.tenants["Acme"]
        for name in ("a", "b"):
            await invited(acme.admin, acme.contract_id, f"{name}@acme.example")
        attributes = {"email": "c@acme.example", "roles": ["member"]}
        body = {"data": {"type": "contract-invite", "attributes": attributes}}
        refused = await acme.admin.post(f"/v2/contracts/{acme.contract_id}/invites", body)
        assert error_of(refused)[:2] == (409, "quota_exceeded")
        time.ahead += timedelta(hours=25)
        made.services.invites._access._quotas._known.clear()  # type: ignore[union-attr]
        await invited(acme.admin, acme.contract_id, "c@acme.example")


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_url": "http://mail.example"},
        {"smtp_url": "smtp://:secret-word@mail.example"},
        {"smtp_url": "smtp://mail.example:99999"},
        {"smtp_url": "smtp://mail.example/secret-word"},
        {"smtp_from": ""},
        {"smtp_from": "no address"},
        {"smtp_from": "a@b.example\r\nBcc: c@d.example"},
    ],
    ids=lambda case: "-".join(case.values())[:30],
)
async def test_settings_that_cannot_be_used_are_refused_at_start(tmp_path: Path, wrong: dict[str, str]) -> None:
    given = {"smtp_url": "smtp://mail.example", "smtp_from": FROM} | wrong
    settings = settings_for(tmp_path, **given)
    with pytest.raises(ConfigurationError, match="KEYRACK_SMTP") as refused:
        async with world(settings):
            pass
    assert "secret-word" not in str(refused.value)
    assert "secret-word" not in repr(settings)
