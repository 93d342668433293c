"""`keyrack doctor` alone: what is wrong with an installation is said with what to change; nothing is changed."""

import asyncio
import json
import os
import ssl
import subprocess
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from sqlalchemy import insert, text

from keyrack import clock
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model.clients import SecretExpiry
from keyrack.provider.own_address import ask_own_address
from keyrack.service.operator.doctor import data, machine, network
from keyrack.service.operator.doctor.findings import Finding
from keyrack.service.operator.doctor.installation_doctor import InstallationDoctor
from keyrack.settings import Settings
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.schema import audit_events
from keyrack.store.server_facts import ServerFacts
from support import forked_commands
from support.app import World
from support.grants import add_auth_client, add_secret, connect
from support.keyrack_processes import environment
from support.mail_server import PASSWORD, USER, MailServerInTest, mail_server
from support.process import free_port
from support.raw_provider import RawProvider, http_answer

TOKENS = {"access_token": "at-secret", "refresh_token": "rt-secret"}


async def doctor(world: World, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = environment(world.settings) | more
    return await asyncio.to_thread(forked_commands.run, ["doctor", *words], env, 60)


async def examined(world: World, **changed: Any) -> dict[str, Finding]:
    """Return the worst finding of each check, from what is open already."""

    async def check_schema() -> None:
        pass

    settings = replace(world.settings, **changed) if changed else world.settings
    doing = InstallationDoctor(world.store, world.services.provider, settings, check_schema, clock.now)
    found: dict[str, Finding] = {}
    for each in await doing.examine():
        if each.check not in found or found[each.check].level == "ok":
            found[each.check] = each
    return found


def levels(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.check, each.level.value) for each in found]


def state_of(home: Path) -> list[tuple[str, int, bytes]]:
    return [
        (
            str(path),
            path.stat().st_mode,
            path.read_bytes() if path.suffix not in (".sqlite3-wal", ".sqlite3-shm") else b"",
        )
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    ]


async def test_an_installation_that_is_well_and_nothing_is_changed(keyrack_on_each: World) -> None:
    home = keyrack_on_each.settings.home
    before = state_of(home)
    done = await doctor(keyrack_on_each, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    by_check = {each["check"]: each["level"] for each in found}
    for check in ("settings", "files", "disk", "spool", "database", "schema", "clock", "key", "lag", "client_secrets"):
        assert by_check[check] == "ok", (check, found)
    assert {by_check[check] for check in ("worker", "mail")} == {"warning"}
    assert all(each.get("change") for each in found if each["level"] != "ok")
    assert state_of(home) == before
    plain = (await doctor(keyrack_on_each)).stdout
    assert "OK database: " in plain
    assert "  change: " in plain


async def test_a_key_that_is_not_this_databases_is_an_error(keyrack: World) -> None:
    done = await doctor(keyrack, "--json", KEYRACK_KEY="A" * 43 + "=")
    assert done.returncode == 1
    (key,) = [each for each in json.loads(done.stdout) if each["check"] == "key"]
    assert (key["level"], "make no new one" in key["change"]) == ("error", True)


async def test_files_that_others_can_use_are_named_and_left_as_they_are(keyrack: World) -> None:
    files = keyrack.settings.effective_key_file, keyrack.settings.sqlite_path
    for path in files:
        path.chmod(0o644)
    done = await doctor(keyrack, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert {each["where"] for each in found if each["check"] == "files"} == set(map(str, files))
    assert {each["change"] for each in found if each["check"] == "files"} == {f"chmod 600 {path}" for path in files}
    assert [each["level"] for each in found if each["check"] == "database"] == ["warning"], "it was not opened"
    assert [path.stat().st_mode & 0o777 for path in files] == [0o644] * 2


async def test_a_database_that_is_missing_is_not_made(keyrack: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    done = await doctor(keyrack, "--json", KEYRACK_DATABASE_URL=f"sqlite:///{elsewhere}/x.sqlite3")
    assert done.returncode == 1
    assert [each["level"] for each in json.loads(done.stdout) if each["check"] == "database"] == ["error"]
    assert list(elsewhere.iterdir()) == []


async def test_a_database_that_cannot_be_reached_is_told_without_its_password(keyrack: World) -> None:
    url = f"postgresql://keyrack:canary@127.0.0.1:{free_port()}/keyrack"
    done = await doctor(keyrack, "--json", KEYRACK_DATABASE_URL=url)
    assert done.returncode == 1, done.stderr
    (database,) = [each for each in json.loads(done.stdout) if each["check"] == "database"]
    assert database["level"] == "error"
    assert database["where"] == "KEYRACK_DATABASE_URL"
    assert "canary" not in done.stdout + done.stderr


async def test_a_schema_of_another_version_and_settings_that_cannot_be_read_are_errors(keyrack: World) -> None:
    async with keyrack.store.installation(writes=True) as unit:
        await unit.connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    done = await doctor(keyrack, "--json")
    assert done.returncode == 1
    (schema,) = [each for each in json.loads(done.stdout) if each["check"] == "schema"]
    assert "keyrack db upgrade" in schema["seen"]
    done = await doctor(keyrack, "--json", KEYRACK_DATABASE_POOL_SIZE="many")
    assert done.returncode == 1
    assert [each["check"] for each in json.loads(done.stdout)] == ["settings"]


async def test_nobody_who_works_while_secrets_are_due_is_an_error(keyrack: World, simulator: RunningSimulator) -> None:
    await connect(keyrack, simulator, age=9000)
    found = await examined(keyrack)
    assert (found["worker"].level, found["lag"].level) == ("error", "error")
    await keyrack.services.heartbeat.start(["worker"])
    try:
        for _ in range(600):
            if (level := (await examined(keyrack))["worker"].level) == "ok":
                break
            await asyncio.sleep(0.05)
        assert level == "ok"
    finally:
        await keyrack.services.heartbeat.close()


async def test_providers_are_tried_that_grants_are_at(keyrack: World, simulator: RunningSimulator) -> None:
    await connect(keyrack, simulator)
    origin = simulator.token_endpoint.removesuffix("/token")
    found = (await examined(keyrack))["outgoing"]
    assert (found.level, origin in found.seen) == ("ok", True)
    assert simulator.state.calls() == 0
    gone = f"http://127.0.0.1:{free_port()}"
    acme = keyrack.tenants["Acme"]
    await add_secret(keyrack.store, acme, await add_auth_client(keyrack.store, acme.id, f"{gone}/token"), TOKENS)
    found = (await examined(keyrack))["outgoing"]
    assert (found.level, found.where) == ("error", gone)


async def test_secrets_of_clients_that_have_ended_or_will_are_counted(keyrack: World) -> None:
    acme, now = keyrack.tenants["Acme"], datetime.now(UTC)
    for days, level in ((20, "warning"), (-1, "error")):
        client = await add_auth_client(keyrack.store, acme.id, "https://id.example/token")
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            expiry = SecretExpiry(now + timedelta(days=days), None)
            await AuthClientRows(unit).replace(replace(client, expiry=expiry), "https://id.example")
        assert (await examined(keyrack))["client_secrets"].level == level


async def test_callers_that_all_have_one_address_look_like_a_proxy(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]

    async def events(address: str, kind: str = "user") -> None:
        rows = [
            {
                "id": new_id(), "tenant_id": acme.id, "at": datetime.now(UTC), "actor": "a", "actor_kind": kind,
                "action": "x", "target_type": "flow", "target_id": None, "outcome": "allowed", "address": address,
                "request_id": "r",
            }
            for _ in range(30)
        ]  # fmt: skip
        async with keyrack.store.installation(writes=True) as unit:
            await unit.connection.execute(insert(audit_events), rows)

    await events("root@machine", "system")
    await events("10.1.2.3")
    found = (await examined(keyrack))["proxy"]
    assert (found.level, "10.1.2.3" in found.seen, found.where) == ("warning", True, "KEYRACK_TRUSTED_PROXIES")
    assert (await examined(keyrack, trusted_proxies="10.1.2.3"))["proxy"].level == "ok"
    await events("192.0.2.1")
    assert (await examined(keyrack))["proxy"].level == "ok"


async def test_the_public_address_must_lead_to_keyrack(listening: World, raw_provider: RawProvider) -> None:
    assert (await examined(listening))["public_url"].level == "ok"
    gone = (await examined(listening, public_url=f"http://127.0.0.1:{free_port()}"))["public_url"]
    assert (gone.level, gone.where) == ("warning", "KEYRACK_PUBLIC_URL")
    for answer, said in (
        (http_answer(), "is not Keyrack"),
        (http_answer(status="502 Bad Gateway"), "502"),
        (b"SSH-2.0-x\r\n\r\n", "no HTTP"),
        (b"x" * 100, "not HTTP"),
    ):
        raw_provider.answers = [answer]
        found = (await examined(listening, public_url=raw_provider.url))["public_url"]
        assert said in found.seen, found


async def test_certificates_of_the_public_address_are_judged() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    soon = datetime.now(UTC) + timedelta(days=3)
    authority.issue_cert("localhost", not_after=soon).configure_cert(context)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        (told,) = [line for line in asked.split("\r\n") if line.startswith("x-request-id")]
        writer.write(f"HTTP/1.1 200 OK\r\nX-Request-Id: {told.partition(': ')[2]}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    base = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    found = await ask_own_address(base, "doctor-1", trusting, 30)
    assert (found.fault, found.status, found.echoed) == (None, 200, True)
    told = list(network._own_address(base, found, datetime.now(UTC)))
    assert levels(told) == [("public_url", "ok"), ("tls", "warning")]
    refused = await ask_own_address(base, "doctor-1", ssl.create_default_context(), 30)
    assert "certificate" in (refused.fault or "")
    server.close()


async def test_the_mail_server_is_asked_and_sent_nothing(tmp_path: Path, keyrack: World) -> None:
    assert (await examined(keyrack))["mail"].level == "warning"
    async with mail_server(tmp_path, login=True) as server:
        for password, level in ((PASSWORD, "ok"), ("wrong", "error")):
            found = await mail(keyrack.settings, server, password)
            assert [each.level.value for each in found] == [level], found
            assert password not in str(found)
        assert server.offered == []


async def mail(settings: Settings, server: MailServerInTest, password: str) -> Sequence[Finding]:
    url = Secret(f"smtp://{USER}:{quote(password, safe='')}@localhost:{server.port}")
    return await network.mail_findings(replace(settings, smtp_url=url, ca_file=server.ca_file))


@pytest.mark.parametrize(("apart", "level"), [(100, "ok"), (5_000, "warning"), (-60_000, "error")])
def test_a_clock_that_is_off_is_told(apart: int, level: str) -> None:
    facts = ServerFacts("PostgreSQL", "18.1", now_ms=1_000_000_000 + apart)
    assert levels(list(data._clock(facts, 1_000_000_000, 10.0))) == [("clock", level)]


def test_what_a_server_says_of_itself_is_judged() -> None:
    def judged(**more: Any) -> list[tuple[str, str]]:
        return levels(list(data._server(replace(ServerFacts("PostgreSQL", "18.1"), **more), 1.0)))

    assert judged() == [("database", "ok")]
    assert judged(standby=True) == [("database", "error")]
    assert judged(version="12.3 (Debian)") == [("database", "warning")]
    assert judged(connections_left=2) == [("database", "ok"), ("connections", "warning")]


def test_a_disk_that_is_full_and_answers_that_wait_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    disk = namedtuple("disk", "f_bavail f_frsize f_files f_favail")  # noqa: PYI024 - of the standard library's kind
    for free, level in ((50, "error"), (500, "warning"), (5000, "ok")):
        monkeypatch.setattr(os, "statvfs", lambda _path, free=free: disk(free * 1024, 1024, 10, 10))
        assert levels(list(machine.disk_findings(settings))) == [("disk", level)]
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "x.partial").touch()
    assert levels(list(machine.spool_findings(settings))) == [("spool", "warning")]


def test_a_key_file_that_is_in_use_is_examined_beside_a_key_in_the_environment(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "key"
    file.touch()
    file.chmod(0o644)
    for sources, level in (("env,file", "error"), ("", "ok"), ("file", "error")):
        settings = Settings(home=tmp_path, key=Secret("unused"), key_file=file, key_sources=sources)
        assert levels(list(machine.file_findings(settings))) == [("files", level)], sources


def test_what_cannot_be_sent_is_told_of_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*, audit_otlp: bool) -> list[tuple[str, str]]:
        found = machine.settings_findings(Settings(home=tmp_path, audit_otlp=audit_otlp))
        return [(each.seen.split(" are ")[0], each.where) for each in found if each.check == "telemetry"]

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
    traces, logs = ("Traces", ""), ("The audit logs", "KEYRACK_AUDIT_OTLP")
    assert told(audit_otlp=False) == [traces], "the setting asks for logs, no variable does"
    assert told(audit_otlp=True) == [traces, logs]
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert told(audit_otlp=False) == []
    assert told(audit_otlp=True) == [logs]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:4318/v1/logs")
    assert told(audit_otlp=True) == []
