"""What is shown in TLS for whom: connections are never shared by clients with different certificates (RFC 8705)."""

import asyncio
import os
import ssl
import tempfile
import threading
from pathlib import Path

import pytest
import trustme

from keyrack.crypto.secret import Secret
from keyrack.errors import ValidationFailed
from keyrack.oauth.wire import ClientCertificate, FormRequest
from keyrack.provider import client_certificates
from keyrack.provider.client import ProviderClient
from keyrack.provider.client_certificates import ClientCertificates
from keyrack.provider.trust import Authorities
from support.certificates import Pair, self_signed
from support.raw_provider import FakeResolver, LoopbackServers, http_answer
from support.waits_and_faults import until

AUTHORITY = trustme.CA()


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def issued(name: str) -> ClientCertificate:
    made = AUTHORITY.issue_cert(name)
    chain = b"".join(each.bytes() for each in made.cert_chain_pems)
    return ClientCertificate(chain.decode(), Secret(made.private_key_pem.bytes().decode()))


class Asked:
    """A server that wants certificates of `AUTHORITY`, and remembers whose came on which connection."""

    def __init__(self) -> None:
        self.names: list[tuple[int, str]] = []
        self._count = 0

    async def serve(self, servers: LoopbackServers) -> int:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert("provider.example").configure_cert(tls)
        AUTHORITY.configure_trust(tls)
        tls.verify_mode = ssl.CERT_OPTIONAL

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._count += 1
            number = self._count
            shown = writer.get_extra_info("peercert") or {}
            name = dict(shown.get("subjectAltName", ())).get("DNS", "")
            while True:
                await servers.read(reader)
                self.names.append((number, name))
                writer.write(http_answer())
                await writer.drain()

        return await servers.start(handle, tls=tls)


def provider_client() -> ProviderClient:
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    return ProviderClient(
        allow_insecure=True, authorities=Authorities(only=trust), resolver=FakeResolver(["127.0.0.1"])
    )


async def test_a_connection_belongs_to_one_certificate_and_one_tenant(servers: LoopbackServers) -> None:
    asked, one, two = Asked(), issued("one.example"), issued("two.example")
    port = await asked.serve(servers)
    again = ClientCertificate(one.chain, Secret(one.key.reveal()))
    async with provider_client() as client:
        for certificate, tenant_id in (
            (one, "A"), (two, "A"), (None, "A"), (again, "A"), (two, "A"), (None, "A"), (one, "B"),
        ):  # fmt: skip
            request = FormRequest(f"https://provider.example:{port}/token", (), certificate=certificate)
            assert (await client.send(request, tenant_id=tenant_id)).status == 200
    assert asked.names == [
        (1, "one.example"), (2, "two.example"), (3, ""),
        (1, "one.example"), (2, "two.example"), (3, ""), (4, "one.example"),
    ]  # fmt: skip


async def test_nothing_of_a_key_is_left_where_there_are_no_files_in_memory(
    servers: LoopbackServers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def looked_at(context: ssl.SSLContext, path: str, **more: object) -> None:
        seen.extend([Path(path).stat().st_mode & 0o777, Path(path).parent.stat().st_mode & 0o777])
        load(context, path, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", looked_at)
    asked = Asked()
    port = await asked.serve(servers)
    async with provider_client() as client:
        request = FormRequest(f"https://provider.example:{port}/token", (), certificate=issued("one.example"))
        await client.send(request)
    assert asked.names == [(1, "one.example")]
    assert seen[-2:] == [0o600, 0o700]
    assert files_in(tmp_path) == []


async def test_a_thread_makes_settings_once_and_a_tenant_with_many_makes_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def noted(context: ssl.SSLContext, path: str, **more: object) -> None:
        made.append(threading.get_ident())
        load(context, path, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", noted)
    kept, own = ClientCertificates(Authorities(), most=3), [issued(f"{number}.example") for number in range(4)]
    same = await asyncio.gather(*(kept.settings(own[0], "A") for _ in range(5)))
    assert len(made) == 1, "whoever comes meanwhile waits for the same"
    assert threading.get_ident() not in made, "the event loop goes on"
    assert all(each is same[0] for each in same)
    quiet = await kept.settings(own[0], "B")
    for certificate in own[1:]:
        await kept.settings(certificate, "A")
    assert len(made) == 5
    assert await kept.settings(own[0], "B") is quiet, "B has one only, however many A has"
    assert await kept.settings(own[3], "A") is not None
    assert len(made) == 5
    await kept.settings(own[0], "A")
    assert len(made) == 6, "A's first has made room for A's others"


async def test_a_tenant_has_one_thread_also_while_its_turn_passes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def held(_authorities: Authorities, certificate: ClientCertificate) -> ssl.SSLContext:
        begun.append(certificate.chain)
        if len(begun) > 1:
            go_on.wait(60)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(client_certificates, "_settings", held)
    kept, own = ClientCertificates(Authorities()), [issued(f"{number}.example") for number in range(3)]
    try:
        first, second = (asyncio.create_task(kept.settings(each, "A")) for each in own[:2])
        await first
        third = asyncio.create_task(kept.settings(own[2], "A"))
        await until(lambda: len(begun) > 1)
        await asyncio.sleep(0.1)
        assert begun == [each.chain for each in own[:2]], "whoever comes meanwhile waits behind those who waited"
    finally:
        go_on.set()
    await asyncio.gather(second, third)
    assert len(begun) == 3
    assert not kept._making


@pytest.mark.parametrize("fault", ["another key", "a passphrase", "no certificate"])
async def test_what_cannot_be_shown_is_refused_without_being_told(fault: str) -> None:
    pair = self_signed("x")
    wrong = {
        "another key": Pair(pair.chain, self_signed("y").key),
        "a passphrase": self_signed("x", passphrase="p"),
        "no certificate": Pair("nonsense", pair.key),
    }[fault]
    certificate = ClientCertificate(wrong.chain, Secret(wrong.key))
    request = FormRequest("https://127.0.0.1:1/token", (), certificate=certificate)
    async with provider_client() as client:
        with pytest.raises(ValidationFailed) as refused:
            await client.send(request)
    assert "PRIVATE KEY" not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None
    assert wrong.key[40:80] not in repr(request)
