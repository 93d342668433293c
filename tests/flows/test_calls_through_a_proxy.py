"""Providers and webhooks behind the operator's proxy and private certificate authority (issue 15.4)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderUnavailable
from keyrack.provider.client import ProviderClient
from keyrack.provider.egress_proxy import egress_proxy
from keyrack.provider.faults import Reason
from keyrack.provider.trust import authorities_of
from keyrack.simulator.testing import RunningSimulator
from support.app import World, settings_for, world
from support.grants import connect, stored
from support.http_proxy import ProxyInTest, http_proxy
from support.raw_provider import Handler, LoopbackServers, http_answer, token_request


@pytest.fixture(scope="module")
def plain_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyInTest]:
    with http_proxy(tmp_path_factory.mktemp("proxy"), login=True) as made:
        yield made


@pytest.fixture(scope="module")
def tls_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyInTest]:
    with http_proxy(tmp_path_factory.mktemp("proxy"), tls=True) as made:
        yield made


@pytest.fixture
async def servers() -> AsyncIterator[LoopbackServers]:
    made = LoopbackServers()
    yield made
    await made.stop()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def refresh(keyrack: World, simulator: RunningSimulator) -> int:
    """Refresh a new secret of Acme's; return how often its tokens were renewed."""
    acme = keyrack.tenants["Acme"]
    made = await connect(keyrack, simulator, age=7200)
    answer = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{made.secret.id}/refresh")
    assert answer.status_code == 200, answer.text
    return (await stored(keyrack.store, made.secret)).generation - made.secret.generation


async def test_an_installation_refreshes_through_the_proxy_of_its_settings(
    tmp_path: Path, plain_proxy: ProxyInTest, simulator: RunningSimulator
) -> None:
    settings = settings_for(tmp_path, allow_insecure_providers="true", proxy_url=plain_proxy.with_credentials)
    server = simulator.token_endpoint.removeprefix("http://").partition("/")[0]
    async with world(settings) as keyrack:
        assert await refresh(keyrack, simulator) == 1
    await _until_seen(plain_proxy, server)


async def test_what_no_proxy_names_is_called_directly(
    tmp_path: Path, plain_proxy: ProxyInTest, simulator: RunningSimulator
) -> None:
    wrong = plain_proxy.url  # without the password it asks for, so that nothing comes through
    for no_proxy, renewed in (("127.0.0.0/8", True), ("10.0.0.0/8,example.com", False)):
        settings = settings_for(
            tmp_path / no_proxy[:2], allow_insecure_providers="true", proxy_url=wrong, no_proxy=no_proxy
        )
        async with world(settings) as keyrack:
            acme = keyrack.tenants["Acme"]
            made = await connect(keyrack, simulator, age=7200)
            answer = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{made.secret.id}/refresh")
            assert (answer.status_code == 200) is renewed, answer.text
            if not renewed:
                told = answer.json()["errors"][0]
                assert (told["code"], told["meta"]["reason"]) == ("provider_unavailable", "connect")
                assert "407" not in answer.text, "what the proxy says is the operator's"


@pytest.mark.parametrize("kind", ["plain_proxy", "tls_proxy"])
async def test_a_server_with_a_private_certificate_is_reached_through_either_kind_of_proxy(
    tmp_path: Path, authority: trustme.CA, kind: str, request: pytest.FixtureRequest, servers: LoopbackServers
) -> None:
    proxy: ProxyInTest = request.getfixturevalue(kind)
    trusted = (tmp_path / "ca.pem").read_text() + (proxy.ca_file.read_text() if proxy.ca_file else "")
    (tmp_path / "both.pem").write_text(trusted)
    port = await servers.start(_two_answers(servers), tls=serving(authority))
    url = f"https://127.0.0.1:{port}/token"
    through = egress_proxy(Secret(proxy.with_credentials), "")
    only_theirs = authorities_of(proxy.ca_file)
    async with ProviderClient(allow_insecure=True, proxy=through, authorities=only_theirs) as distrusting:
        with pytest.raises(ProviderUnavailable) as refused:
            await distrusting.send(token_request(url))
        assert refused.value.failure.reason == Reason.TLS, "the certificate is judged inside of the tunnel"
        assert (await distrusting.probe(url)).reason is Reason.TLS
    authorities = authorities_of(tmp_path / "both.pem")
    async with ProviderClient(allow_insecure=True, proxy=through, authorities=authorities) as client:
        for _ in range(2):
            assert (await client.send(token_request(url))).body == b"{}"
        probed = await client.probe(url)
        assert (probed.reason, probed.fault) == (None, None)
        assert probed.tls is not None
    assert len(servers.requests) == 2


def _two_answers(servers: LoopbackServers) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await servers.read(reader)
            writer.write(http_answer())
            await writer.drain()

    return handle


async def _until_seen(proxy: ProxyInTest, server: str) -> None:
    async with asyncio.timeout(60):
        while server not in proxy.tunnels:  # noqa: ASYNC110 - it writes its log when a tunnel is over
            await asyncio.sleep(0.05)


async def test_a_certificate_authority_of_ones_own_is_trusted_beside_the_systems(
    tmp_path: Path, authority: trustme.CA, servers: LoopbackServers
) -> None:
    port = await servers.answer(http_answer(), http_answer(), tls=serving(authority))
    url = f"https://127.0.0.1:{port}/token"
    own = authorities_of(tmp_path / "ca.pem")
    assert len(own.new_context().get_ca_certs()) >= 1
    async with ProviderClient(allow_insecure=True, authorities=own) as client:
        assert (await client.send(token_request(url))).status == 200
    async with ProviderClient(allow_insecure=True) as client:
        with pytest.raises(ProviderUnavailable) as refused:
            await client.send(token_request(url))
    assert refused.value.failure.reason == Reason.TLS
