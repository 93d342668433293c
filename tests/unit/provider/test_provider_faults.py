"""What is reported when an authorization server misbehaves: may it have seen the request, and what came back."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from aiohttp import ClientConnectionError

from keyrack.errors import ProviderUnavailable
from keyrack.oauth.wire import AnswerFault, RawResponse
from keyrack.provider.answer import MAX_INTERIM_ANSWERS
from keyrack.provider.client import ProviderClient
from keyrack.provider.faults import Reason, fault_reason, may_have_been_sent, unavailable
from keyrack.provider.trust import Authorities
from support.raw_provider import FakeResolver, LoopbackServers, http_answer, token_request


@pytest.fixture
async def client() -> AsyncIterator[ProviderClient]:
    async with ProviderClient(allow_insecure=True, timeout=30) as made:
        yield made


async def fault(client: ProviderClient, url: str, *form: tuple[str, str]) -> dict[str, Any]:
    with pytest.raises(ProviderUnavailable) as raised:
        await client.send(token_request(url, *form))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return dict(raised.value.meta or {})


async def flawed(client: ProviderClient, url: str) -> RawResponse:
    """Return an answer that has a fault; it came back, so it is returned and nothing is raised."""
    answer = await client.send(token_request(url))
    assert answer.fault is not None
    return answer


async def address_fault(client: ProviderClient, url: str) -> str | None:
    """Return what only operators are told of a call whose name or address is at fault."""
    with pytest.raises(ProviderUnavailable) as raised:
        await client.send(token_request(url))
    assert raised.value.meta == {"reason": "address", "sent": False}
    assert "does not resolve, or its address is not one that may be called" in str(raised.value)
    return raised.value.failure.exact_reason


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- before anything is written ---------------------------------------------------------------------------------


async def test_refused(client: ProviderClient) -> None:
    assert await fault(client, f"http://127.0.0.1:{free_port()}/") == {"reason": "connect", "sent": False}


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("server failure")])
async def test_a_name_that_does_not_resolve(answer: OSError) -> None:
    async with ProviderClient(resolver=FakeResolver(answer)) as client:
        assert await address_fault(client, "https://idp.example/") == "dns"


async def test_a_name_without_addresses() -> None:
    async with ProviderClient(resolver=FakeResolver([])) as client:
        assert await address_fault(client, "https://idp.example/") == "dns"


async def test_the_real_resolver_does_not_know_an_invalid_name() -> None:
    async with ProviderClient() as client:  # RFC 6761: `.invalid` never resolves
        assert await address_fault(client, "https://idp.invalid/") == "dns"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1"], ["fe80::1%lo"]]
)
async def test_a_name_that_resolves_to_a_local_address(servers: LoopbackServers, addresses: list[str]) -> None:
    port = await servers.answer(http_answer())
    async with ProviderClient(resolver=FakeResolver(addresses)) as client:
        assert await address_fault(client, f"https://idp.example:{port}/") == "forbidden_address"
    assert servers.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "localhost", "169.254.169.254", "[::ffff:7f00:1]"])
async def test_a_local_address_written_in_the_url(host: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    async with ProviderClient(resolver=resolver) as client:
        assert await address_fault(client, f"https://{host}/") == "forbidden_address"
    assert resolver.lookups == 0


async def test_the_metadata_service_is_refused_whatever_the_setting() -> None:
    async with ProviderClient(allow_insecure=True, resolver=FakeResolver(["169.254.169.254"])) as client:
        assert await address_fault(client, "http://idp.example/") == "forbidden_address"
        assert await address_fault(client, "http://169.254.169.254/") == "forbidden_address"


async def test_the_address_that_was_checked_is_the_one_connected_to(servers: LoopbackServers) -> None:
    port = await servers.answer(http_answer())
    rebinding = FakeResolver(["127.0.0.1"], ["169.254.169.254"])  # a second lookup would get another answer
    async with ProviderClient(allow_insecure=True, resolver=rebinding) as client:
        assert (await client.send(token_request(f"http://rebind.example:{port}/"))).status == 200
        assert (rebinding.lookups, servers.connections) == (1, 1)
        # The server has closed: another connection, and still no lookup that is used unchecked.
        with pytest.raises(ProviderUnavailable):
            await client.send(token_request(f"http://rebind.example:{free_port()}/"))
    assert (rebinding.lookups, servers.connections) == (2, 1)


async def test_a_certificate_of_an_unknown_authority(servers: LoopbackServers, client: ProviderClient) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    port = await servers.answer(http_answer(), tls=tls)
    assert await fault(client, f"https://127.0.0.1:{port}/") == {"reason": "tls", "sent": False}
    assert servers.requests == []


async def test_a_certificate_of_another_host(servers: LoopbackServers) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port = await servers.answer(http_answer(), tls=tls)
    async with ProviderClient(
        allow_insecure=True, authorities=Authorities(only=trust), resolver=FakeResolver(["127.0.0.1"])
    ) as client:
        assert await fault(client, f"https://idp.example:{port}/") == {"reason": "tls", "sent": False}
    assert servers.requests == []


async def test_a_server_without_tls(servers: LoopbackServers, client: ProviderClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    port = await servers.start(handle)
    assert await fault(client, f"https://127.0.0.1:{port}/") == {"reason": "tls", "sent": False}


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def test_a_handshake_that_never_ends(servers: LoopbackServers) -> None:
    port = await servers.start(hang)
    async with ProviderClient(allow_insecure=True, timeout=0.2) as client:
        assert await fault(client, f"https://127.0.0.1:{port}/") == {"reason": "timeout", "sent": False}


async def test_a_lookup_that_never_ends() -> None:
    class Stuck(FakeResolver):
        async def resolve(self, *_: object, **__: object) -> Any:
            await asyncio.Event().wait()

    async with ProviderClient(timeout=0.2, resolver=Stuck()) as client:
        assert await fault(client, "https://idp.example/") == {"reason": "timeout", "sent": False}


async def test_waiting_for_a_connection_counts(servers: LoopbackServers) -> None:
    port = await servers.start(hang)
    async with ProviderClient(allow_insecure=True, timeout=30, connections_per_host=1) as client:
        holder = asyncio.create_task(client.send(token_request(f"http://127.0.0.1:{port}/")))
        await servers.connected.wait()
        client.timeout = 0.2  # of the second call only, so that it gives up while the first holds the connection
        assert await fault(client, f"http://127.0.0.1:{port}/") == {"reason": "timeout", "sent": False}
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
    assert servers.connections == 1


# --- when the request may have arrived --------------------------------------------------------------------------


LONG_ENOUGH_TO_SEND = 1.5
"""Seconds; also on a machine that stands still for one of them."""


async def test_a_server_that_never_answers(servers: LoopbackServers) -> None:
    port = await servers.start(hang)
    started = time.monotonic()
    async with ProviderClient(allow_insecure=True, timeout=LONG_ENOUGH_TO_SEND) as client:
        assert await fault(client, f"http://127.0.0.1:{port}/") == {"reason": "timeout", "sent": True}
    assert time.monotonic() - started > LONG_ENOUGH_TO_SEND - 0.05


async def test_a_body_that_drips_is_bounded_by_the_whole_time(servers: LoopbackServers) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await servers.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    port = await servers.start(handle)
    started = time.monotonic()
    async with ProviderClient(allow_insecure=True, timeout=LONG_ENOUGH_TO_SEND) as client:
        answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault, answer.cut) == (200, AnswerFault.TIMEOUT, True)
    assert answer.body.strip() == b""
    assert answer.body
    assert time.monotonic() - started > LONG_ENOUGH_TO_SEND - 0.05


async def test_endless_interim_answers_are_bounded_in_number(servers: LoopbackServers, client: ProviderClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await servers.read(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    port = await servers.start(handle)
    answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault) == (0, AnswerFault.PROTOCOL)


async def test_interim_answers_within_the_bound_are_passed_over(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    port = await servers.answer(b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM_ANSWERS + http_answer())
    answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.fault, answer.body) == (200, None, b"{}")


async def test_a_connection_dropped_at_once(servers: LoopbackServers, client: ProviderClient) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    port = await servers.start(handle)
    assert await fault(client, f"http://127.0.0.1:{port}/") == {"reason": "closed", "sent": True}


async def test_a_connection_dropped_after_reading_is_not_tried_again(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    port = await servers.answer(b"")
    assert await fault(client, f"http://127.0.0.1:{port}/") == {"reason": "closed", "sent": True}
    assert (servers.connections, len(servers.requests)) == (1, 1)


async def test_a_kept_connection_that_the_server_drops_is_not_tried_again(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    port = await servers.answer(http_answer(), b"")
    await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert await fault(client, f"http://127.0.0.1:{port}/") == {"reason": "closed", "sent": True}
    assert (servers.connections, len(servers.requests)) == (1, 2)


@pytest.mark.parametrize(
    ("partial", "status", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200, b"HTTP/1.1 200 OK\r\n"),
        (b"HTTP/1.1 503 Away\r\nRetry-", 503, b"HTTP/1.1 503 Away\r\nRetry-"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 0, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 200, b"{}"),
    ],
)
async def test_an_answer_cut_short_is_kept(
    servers: LoopbackServers, client: ProviderClient, partial: bytes, status: int, kept: bytes
) -> None:
    port = await servers.answer(partial)
    answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault, answer.cut, answer.body) == (status, AnswerFault.CLOSED, True, kept)


@pytest.mark.parametrize(
    ("nonsense", "status", "kept"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 0, b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        (b"\x00\x01\x02\r\n\r\n", 0, b"\x00\x01\x02\r\n\r\n"),
        (b'{"access_token":"of HTTP/0.9"}', 0, b'{"access_token":"of HTTP/0.9"}'),
        (b"HTTP/1.1 abc OK\r\n\r\n{}", 0, b"{}"),
        (b"HTTP/1.1 2000 OK\r\n\r\n{}", 0, b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nBad Header\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5000 + b"\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 200, b"{}\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" * 5000, 200, b"1;" * 5000),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n{}", 0, None),
        (b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + http_answer(), 0, b"hello" + http_answer()),
    ],
)
async def test_what_is_not_http_is_kept(
    servers: LoopbackServers, client: ProviderClient, nonsense: bytes, status: int, kept: bytes | None
) -> None:
    port = await servers.answer(nonsense)
    answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault) == (status, AnswerFault.PROTOCOL)
    assert answer.body == (nonsense if kept is None else kept)


@pytest.mark.parametrize(
    "odd",
    [
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
        b"http/1.1  200  OK\nContent-Length:2\n\n{}",
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: \x00\x01\xff\r\n\xff: \x00\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1900 + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n2;a=b\n{}\n0\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 002 \r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
    ],
)
async def test_odd_heads_and_frames_are_read(servers: LoopbackServers, client: ProviderClient, odd: bytes) -> None:
    port = await servers.answer(odd)
    answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.fault, answer.cut, answer.body) == (200, None, False, b"{}")


async def test_a_head_beyond_the_bound_is_not_read_to_its_end(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
    answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault, answer.cut) == (200, AnswerFault.TOO_LARGE, True)
    assert len(answer.body) > 100_000


async def test_what_comes_behind_an_answer_is_not_the_next_one(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await servers.read(reader)
        behind = http_answer(b"forged")
        writer.write(http_answer(str(servers.connections).encode()) + (behind if servers.connections == 1 else b""))
        await writer.drain()
        if servers.connections == 2:
            await asyncio.sleep(0)
            writer.write(behind)  # between two calls
            await writer.drain()
        await reader.read(1)

    port = await servers.start(handle)
    answers = []
    for _ in range(3):
        answers.append(await client.send(token_request(f"http://127.0.0.1:{port}/")))
        if len(answers) == 2:
            await asyncio.sleep(0.1)  # nothing to wait for: what must not happen is that it is used again
    assert [answer.body for answer in answers] == [b"1", b"2", b"3"]
    assert answers[0].surplus == http_answer(b"forged")
    assert servers.connections == 3


@pytest.mark.parametrize("chunked", [False, True])
async def test_ten_megabytes_are_not_read(servers: LoopbackServers, client: ProviderClient, *, chunked: bool) -> None:
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await servers.read(reader)
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 10485760"
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        block = bytes(16384)
        for _ in range(640):
            writer.write(b"4000\r\n" + block + b"\r\n" if chunked else block)
            await writer.drain()
            written += len(block)

    port = await servers.start(handle)
    answer = await flawed(client, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.fault, answer.cut) == (200, AnswerFault.TOO_LARGE, True)
    assert len(answer.body) == 1024 * 1024
    assert written < 10 * 1024 * 1024


async def test_a_body_of_exactly_the_bound_is_read(servers: LoopbackServers) -> None:
    port = await servers.answer(http_answer(b"x" * 1000), http_answer(b"x" * 1001))
    async with ProviderClient(allow_insecure=True, max_body_bytes=1000) as client:
        assert len((await client.send(token_request(f"http://127.0.0.1:{port}/"))).body) == 1000
        answer = await flawed(client, f"http://127.0.0.1:{port}/")
        assert (answer.fault, len(answer.body)) == (AnswerFault.TOO_LARGE, 1000)


async def test_no_content_coding_is_undone_here(servers: LoopbackServers, client: ProviderClient) -> None:
    bodies = [gzip.compress(b"{}", mtime=0), b"not gzip", gzip.compress(bytes(64 * 1024 * 1024), mtime=0)]
    port = await servers.answer(*(http_answer(body, Content_Encoding="gzip") for body in bodies))
    for body in bodies:
        answer = await client.send(token_request(f"http://127.0.0.1:{port}/"))
        assert (answer.fault, answer.body) == (None, body)


async def test_a_call_after_a_fault_works(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.start(hang)
    async with ProviderClient(allow_insecure=True, timeout=0.1, connections_per_host=1) as small:
        for _ in range(3):
            await fault(small, f"http://127.0.0.1:{port}/")
    port = await servers.answer(http_answer())
    assert (await client.send(token_request(f"http://127.0.0.1:{port}/"))).status == 200


async def test_cancellation_passes_through(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.start(hang)
    call = asyncio.create_task(client.send(token_request(f"http://127.0.0.1:{port}/")))
    await servers.connected.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()


async def test_closing_ends_a_running_call(servers: LoopbackServers) -> None:
    port = await servers.start(hang)
    client = ProviderClient(allow_insecure=True, timeout=30)
    call = asyncio.create_task(fault(client, f"http://127.0.0.1:{port}/"))
    await servers.connected.wait()
    await client.close()
    assert await call == {"reason": "closed", "sent": True}


# --- the error itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_text_and_says_whether_it_was_sent(reason: Reason) -> None:
    error = unavailable(reason, sent=False)
    assert str(error).endswith(".")
    told = "address" if reason in {Reason.DNS, Reason.FORBIDDEN_ADDRESS} else str(reason)
    assert error.meta == {"reason": told, "sent": False}
    assert error.failure.exact_reason == str(reason)
    assert not may_have_been_sent(error)
    assert may_have_been_sent(unavailable(reason, sent=True))


def test_where_nothing_is_known_the_request_counts_as_sent() -> None:
    assert may_have_been_sent(ProviderUnavailable())


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ClientConnectionError(), "closed"), (ssl.SSLError(), "tls"), (RuntimeError(), "protocol"), (OSError(), "closed")],
)
def test_an_unforeseen_exception_still_has_a_reason(error: Exception, reason: str) -> None:
    assert fault_reason(error) == reason
