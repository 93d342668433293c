"""What goes over the wire, and what comes back, when things work (contract 15.3, 20.3)."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
import uvloop

from keyrack import __version__
from keyrack.errors import ProviderUnavailable, ValidationFailed
from keyrack.oauth.wire import QueryRequest
from keyrack.provider.client import ProviderClient
from keyrack.provider.trust import Authorities
from support.raw_provider import FakeResolver, LoopbackServers, http_answer, token_request


@pytest.fixture
async def client() -> AsyncIterator[ProviderClient]:
    async with ProviderClient(allow_insecure=True, timeout=30) as made:
        yield made


def lines(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *rest = head.decode("ascii").split("\r\n")
    return first, {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}, body


async def test_a_form_is_posted_and_the_answer_returned(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(b'{"access_token":"at"}', Content_Type="application/json", X_A="1"))
    url = f"http://127.0.0.1:{port}/token?tenant=a%2Bb%26c"
    answer = await client.send(token_request(url, ("grant_type", "x y"), ("a", "1"), ("a", "ü&=")))
    assert (answer.status, answer.body) == (200, b'{"access_token":"at"}')
    assert answer.headers["content-type"] == "application/json"
    first, headers, body = lines(servers.requests[0])
    assert first == "POST /token?tenant=a%2Bb%26c HTTP/1.1"
    assert body == b"grant_type=x+y&a=1&a=%C3%BC%26%3D"
    assert headers == {
        "host": f"127.0.0.1:{port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        "user-agent": f"keyrack/{__version__}",
    }


async def test_the_authorization_header_is_sent_as_given(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer())
    await client.send(token_request(f"http://127.0.0.1:{port}/", authorization="Basic YTpi"))
    assert lines(servers.requests[0])[1]["authorization"] == "Basic YTpi"


@pytest.mark.parametrize("value", ["Basic a\r\nX-Evil: 1", "Basic a\n", "Basic \x00", "Basic ü", " Basic a", ""])
async def test_no_authorization_can_start_another_header(
    servers: LoopbackServers, client: ProviderClient, value: str
) -> None:
    port = await servers.answer(http_answer())
    with pytest.raises(ValidationFailed):
        await client.send(token_request(f"http://127.0.0.1:{port}/", authorization=value))
    assert servers.connections == 0


async def test_no_form_value_can_start_another_header(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer())
    attack = "x\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\r\n"
    await client.send(token_request(f"http://127.0.0.1:{port}/", ("client_id", attack), (attack, "v")))
    first, headers, body = lines(servers.requests[0])
    assert first == "POST / HTTP/1.1"
    assert "x-evil" not in headers
    assert b"\r" not in body
    assert b"\n" not in body


@pytest.mark.parametrize("status", ["400 Bad Request", "401 No", "403 No", "429 Slow", "500 Oops", "503 Away"])
async def test_every_status_is_an_answer(servers: LoopbackServers, client: ProviderClient, status: str) -> None:
    port = await servers.answer(http_answer(b"", status, Retry_After="7"))
    answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.body) == (int(status[:3]), b"")
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
async def test_redirects_are_returned_and_never_followed(
    servers: LoopbackServers, client: ProviderClient, status: str
) -> None:
    elsewhere = await servers.answer(http_answer())
    target = f"http://127.0.0.1:{elsewhere}/steal"
    port = await servers.answer(http_answer(b"", f"{status} Moved", Location=target))
    answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.headers["location"]) == (int(status), target)
    assert servers.connections == 1


async def test_cookies_are_not_kept(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(Set_Cookie="sid=1"), http_answer())
    for _ in range(2):
        await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert b"cookie" not in servers.requests[1].lower()


async def test_a_burst_of_calls_shares_a_connection(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(), http_answer(), http_answer())
    for _ in range(3):
        await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert servers.connections == 1


async def test_repeated_and_undecodable_headers_become_plain_text(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    challenges = b"WWW-Authenticate: Basic\r\nwww-authenticate: Bearer\r\n"
    raw = b"HTTP/1.1 401 No\r\n" + challenges + b"X: \xff\xc3\xbc\r\nContent-Length: 0\r\n\r\n"
    port = await servers.answer(raw)
    answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert answer.headers["www-authenticate"] == "Basic, Bearer"
    assert answer.headers["x"] == "\ufffdü"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_every_form_of_body_is_read(servers: LoopbackServers, client: ProviderClient, raw: bytes) -> None:
    port = await servers.answer(raw)
    assert (await client.send(token_request(f"http://127.0.0.1:{port}/"))).body == b"{}"


async def test_proxies_and_credentials_of_the_environment_are_ignored(
    servers: LoopbackServers,
    client: ProviderClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    port, proxy = await servers.answer(http_answer()), await servers.answer(http_answer())
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
    monkeypatch.setenv("NETRC", str(netrc))
    await client.send(token_request(f"http://127.0.0.1:{port}/direct"))
    first, headers, _ = lines(servers.requests[0])
    assert first == "POST /direct HTTP/1.1"
    assert "authorization" not in headers


async def test_ipv6_loopback_is_reached_with_the_setting_only(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(), host="::1")
    assert (await client.send(token_request(f"http://[::1]:{port}/"))).status == 200
    async with ProviderClient() as strict:
        with pytest.raises(ProviderUnavailable) as refused:
            await strict.send(token_request(f"https://[::1]:{port}/"))
    assert refused.value.meta == {"reason": "address", "sent": False}
    assert servers.connections == 1


async def test_tls_with_a_trusted_authority(servers: LoopbackServers) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("idp.example").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port = await servers.answer(http_answer(), tls=tls)
    async with ProviderClient(
        allow_insecure=True, authorities=Authorities(only=trust), resolver=FakeResolver(["127.0.0.1"])
    ) as client:
        assert (await client.send(token_request(f"https://idp.example:{port}/token"))).status == 200
        assert lines(servers.requests[0])[1]["host"] == f"idp.example:{port}"


async def test_calls_beyond_the_limit_of_a_host_wait(servers: LoopbackServers) -> None:
    running = most = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        for _ in range(6):
            await servers.read(reader)
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.1)
            running -= 1
            writer.write(http_answer())

    port = await servers.start(handle)
    async with ProviderClient(allow_insecure=True, connections_per_host=2) as client:
        await asyncio.gather(*(client.send(token_request(f"http://127.0.0.1:{port}/")) for _ in range(6)))
    assert (most, len(servers.requests)) == (2, 6)


async def test_a_closed_client_refuses_to_send_and_closes_again() -> None:
    client = ProviderClient()
    await client.close()
    await client.close()
    with pytest.raises(RuntimeError):
        await client.send(token_request("https://idp.example/"))


@pytest.mark.parametrize("url", ["http://idp.example/", "https://u:p@idp.example/", "https://127.1/", "nonsense"])
async def test_a_url_that_is_no_plain_https_url_is_refused_before_any_lookup(url: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    async with ProviderClient(resolver=resolver) as client:
        with pytest.raises(ValidationFailed):
            await client.send(token_request(url))
    assert resolver.lookups == 0


def test_it_works_on_uvloop() -> None:
    async def calls(port: int) -> None:
        async with ProviderClient(allow_insecure=True, timeout=30) as client:
            assert (await client.send(token_request(f"http://localhost:{port}/"))).body == b"{}"
            with pytest.raises(ProviderUnavailable) as refused:
                await client.send(token_request("http://127.0.0.1:2/"))
        assert refused.value.meta == {"reason": "connect", "sent": False}
        async with ProviderClient(resolver=FakeResolver(["127.0.0.1"])) as strict:
            with pytest.raises(ProviderUnavailable) as forbidden:
                await strict.send(token_request("https://idp.example/"))
        assert forbidden.value.meta == {"reason": "address", "sent": False}

    async def run() -> None:
        servers = LoopbackServers()
        try:
            await calls(await servers.answer(http_answer(b"{}")))
        finally:
            await servers.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_a_query_is_sent_by_get_behind_the_urls_own(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(b"{}"))
    query = (("grant_type", "x y"), ("a", "1"), ("token", "ü&=+#%"))
    await client.send(QueryRequest(f"http://127.0.0.1:{port}/token?own=a%2Bb%26c", query))
    first, headers, body = lines(servers.requests[0])
    assert first == "GET /token?own=a%2Bb%26c&grant_type=x+y&a=1&token=%C3%BC%26%3D%2B%23%25 HTTP/1.1"
    assert body == b""
    assert headers == {
        "host": f"127.0.0.1:{port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"keyrack/{__version__}",
    }


async def test_a_query_that_is_no_text_is_not_sent(client: ProviderClient) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await client.send(QueryRequest("http://127.0.0.1:8/token", (("token", "canary\ud800"),)))
    assert "canary" not in str(caught.value)
