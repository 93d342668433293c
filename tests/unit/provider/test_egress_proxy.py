"""The operator's proxy: its settings, what the guard still judges before it, and what a bad proxy does (issue 15.4)."""

import asyncio
from pathlib import Path

import pytest
from yarl import URL

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError, ProviderUnavailable, ValidationFailed
from keyrack.provider.client import ProviderClient
from keyrack.provider.egress_proxy import EgressProxy, egress_proxy
from keyrack.provider.faults import Reason
from keyrack.provider.trust import authorities_of
from support.raw_provider import FakeResolver, LoopbackServers, http_answer, token_request

PUBLIC = "https://idp.example/token"


def test_the_settings_are_read() -> None:
    made = egress_proxy(Secret("http://me:a%2Fb%3A@proxy.corp:3128"), ".corp.example, 10.0.0.0/8,[::1],localhost")
    assert made is not None
    assert (made.host, made.port, made.tls) == ("proxy.corp", 3128, False)
    assert made.authorization is not None
    assert made.authorization.reveal() == "Basic bWU6YS9iOg=="
    assert "a/b" not in repr(made)
    assert "bWU6YS9iOg" not in repr(made)
    assert egress_proxy(None, "corp.example") is None
    assert egress_proxy(Secret("https://proxy.corp"), "") == EgressProxy("proxy.corp", 443, tls=True)
    ipv6 = egress_proxy(Secret("http://[::1]:8080/"), "")
    assert ipv6 is not None
    assert (ipv6.host, ipv6.port) == ("::1", 8080)


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("socks5://proxy:1080", ""), ("proxy:3128", ""), ("http://", ""), ("http://proxy:0", ""), ("http://p:9e9", ""),
        ("http://proxy/path", ""), ("http://proxy?x", ""), ("http://s3cret@proxy:port", ""), ("http://proxy", "a b"),
        ("http://proxy", "host:80"), ("http://proxy", "https://host"), (None, "host:80"),
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_its_password(url: str | None, no_proxy: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        egress_proxy(None if url is None else Secret(url), no_proxy)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_what_is_called_directly() -> None:
    made = egress_proxy(Secret("http://p"), ".Corp.example,10.0.0.0/8,fd00::/8,host")
    assert made is not None
    direct = [
        "https://corp.example/",
        "https://a.b.CORP.example./",
        "https://10.9.8.7/",
        "https://[fd00::1]/",
        "http://host",
    ]
    through = [
        "https://xcorp.example/",
        "https://corp.example.org/",
        "https://11.0.0.1/",
        "https://[fe80::1]/",
        "https://host.x/",
    ]
    assert [made.serves(URL(url)) for url in direct + through] == [False] * 5 + [True] * 5
    none = egress_proxy(Secret("http://p"), "*")
    assert none is not None
    assert not none.serves(URL("https://1.1.1.1/"))
    assert not none.serves(URL("https://idp.example/"))


async def proxied(servers: LoopbackServers, *answers: bytes, resolver: FakeResolver) -> ProviderClient:
    """Return a client whose proxy reads a request for each answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await servers.read(reader)
            writer.write(answer)
            await writer.drain()

    port = await servers.start(handle)
    return ProviderClient(proxy=EgressProxy("127.0.0.1", port), resolver=resolver, timeout=30)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"x" * 20_000, b"HTTP/1.1 200", b"",
        b"HTTP/1.1 2000 OK\r\n\r\n", b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_a_proxy_that_does_not_connect_is_no_answer_of_the_provider(
    servers: LoopbackServers, answer: bytes
) -> None:
    async with await proxied(servers, answer, resolver=FakeResolver(["8.8.8.8"])) as client:
        with pytest.raises(ProviderUnavailable) as refused:
            await client.send(token_request(PUBLIC))
        assert (refused.value.failure.reason, refused.value.failure.sent) == (Reason.CONNECT, False)
        assert (await client.probe(PUBLIC)).reason is Reason.CONNECT
    assert servers.requests[0] == b"CONNECT idp.example:443 HTTP/1.1\r\nHost: idp.example:443\r\n\r\n"
    assert all(b"rt-1" not in request for request in servers.requests), "nothing of the request reaches the proxy"


async def test_a_proxy_that_is_not_there_is_no_answer_either(servers: LoopbackServers) -> None:
    port = await servers.answer()
    await servers.stop()
    client = ProviderClient(proxy=EgressProxy("127.0.0.1", port), resolver=FakeResolver(["8.8.8.8"]), timeout=30)
    async with client:
        with pytest.raises(ProviderUnavailable) as refused:
            await client.send(token_request(PUBLIC))
    assert (refused.value.failure.reason, refused.value.failure.sent) == (Reason.CONNECT, False)


async def test_what_is_known_to_be_private_never_reaches_the_proxy(servers: LoopbackServers) -> None:
    for addresses in (["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], ["::1"]):
        async with await proxied(servers, b"HTTP/1.1 200 OK\r\n\r\n", resolver=FakeResolver(addresses)) as client:
            with pytest.raises(ProviderUnavailable) as refused:
                await client.send(token_request(PUBLIC))
            assert refused.value.failure.exact_reason == Reason.FORBIDDEN_ADDRESS
            for url in ("https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://localhost/"):
                with pytest.raises((ProviderUnavailable, ValidationFailed)):
                    await client.send(token_request(url))
            with pytest.raises(ValidationFailed):
                await client.send(token_request("https://2130706433/"))
            assert (await client.probe(PUBLIC)).reason is Reason.FORBIDDEN_ADDRESS
    assert servers.connections == 0


async def test_a_name_that_only_the_proxy_knows_is_left_to_it(servers: LoopbackServers) -> None:
    unknown = FakeResolver(OSError("no such name"))
    async with await proxied(servers, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", resolver=unknown) as client:
        with pytest.raises(ProviderUnavailable):
            await client.send(token_request(PUBLIC))
    assert unknown.lookups == 1
    assert servers.requests[0].startswith(b"CONNECT idp.example:443 ")


async def test_a_call_through_the_proxy_ends_in_its_time(servers: LoopbackServers) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    proxy = EgressProxy("127.0.0.1", await servers.start(silent))
    async with ProviderClient(proxy=proxy, resolver=FakeResolver(["8.8.8.8"]), timeout=0.2) as client:
        with pytest.raises(ProviderUnavailable) as refused:
            await client.send(token_request(PUBLIC))
        assert (refused.value.failure.reason, refused.value.failure.sent) == (Reason.TIMEOUT, False)
        assert (await client.probe(PUBLIC)).reason is Reason.TIMEOUT


async def test_http_goes_through_a_tunnel_too(servers: LoopbackServers) -> None:
    resolver = FakeResolver(OSError("no such name"))
    async with await proxied(servers, b"HTTP/1.1 200 OK\r\n\r\n", http_answer(), resolver=resolver) as strict:
        client = ProviderClient(allow_insecure=True, proxy=strict._proxy, resolver=resolver, timeout=30)
        async with client:
            assert (await client.send(token_request("http://idp.example:8080/token"))).body == b"{}"
    assert servers.requests[0].startswith(b"CONNECT idp.example:8080 ")
    assert servers.requests[1].startswith(b"POST /token HTTP/1.1\r\n")


def test_a_file_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "text.pem").write_text("hello")
    (tmp_path / "binary.pem").write_bytes(b"\xff\xfe")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for name in ("empty", "text", "binary", "broken", "missing"):
        with pytest.raises(ConfigurationError, match="KEYRACK_CA_FILE"):
            authorities_of(tmp_path / f"{name}.pem")
    assert authorities_of(None).own == ""
