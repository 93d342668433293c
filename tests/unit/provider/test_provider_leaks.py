"""Nothing secret is left in what a failed call raises, logs or chains (invariant 4)."""

import asyncio
import logging
import traceback
from collections.abc import Iterator

import pytest

from keyrack.errors import KeyrackError
from keyrack.oauth.token_response import process_token_response
from keyrack.provider.client import ProviderClient
from support.raw_provider import FakeResolver, LoopbackServers, http_answer, token_request

CANARY = "c4n4ry"
BASIC = "Basic Y2FuYXJ5YmFzaWM="


def everything(error: BaseException | None) -> Iterator[str]:
    """All text that an error reporter could print: the chain, its arguments, and every frame's local variables."""
    while error is not None:
        yield repr(error)
        yield str(error)
        yield repr(error.args)
        yield repr(vars(error))
        yield from traceback.TracebackException.from_exception(error, capture_locals=True).format()
        error = error.__cause__ or error.__context__


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


ANSWERS = {
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + CANARY.encode(),
    "not http": f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
    "bad header": f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode(),
    "bad chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}\r\n".encode(),
    "bad cookie": b"HTTP/1.1 200 OK\r\nSet-Cookie: \x01=c4n4ry\r\nContent-Length: 9\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nX: " + CANARY.encode() * 20_000 + b"\r\n\r\n",
    "too large": http_answer(CANARY.encode() * 20_000),
    "not gzip": http_answer(CANARY.encode(), Content_Encoding="gzip"),
}


async def failing(client: ProviderClient, url: str, form_value: str, authorization: str = BASIC) -> KeyrackError:
    request = token_request(url, ("refresh_token", form_value), authorization=authorization)
    with pytest.raises(KeyrackError) as raised:
        await client.send(request)
    return raised.value


def assert_clean(error: KeyrackError, caplog: pytest.LogCaptureFixture) -> None:
    # This test's own frames hold the canary; what counts is what the package adds to the traceback.
    own = error.__traceback__
    while own is not None and "keyrack/provider" not in own.tb_frame.f_code.co_filename:
        own = own.tb_next
    assert own is not None
    text = "\n".join([*everything(error.with_traceback(own)), str(error.meta), caplog.text])
    assert "ProviderClient" in text, "local variables were captured"
    assert CANARY not in text
    assert BASIC.split()[1] not in text


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_fault_while_answering(servers: LoopbackServers, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    caplog.set_level(logging.DEBUG)
    port = await servers.answer(ANSWERS[kind])
    async with ProviderClient(allow_insecure=True, timeout=30, max_body_bytes=65536) as client:
        answer = await client.send(token_request(f"http://127.0.0.1:{port}/", ("refresh_token", CANARY)))
    assert CANARY not in f"{answer!r} {answer} {caplog.text}"
    assert CANARY in f"{answer.head!r} {answer.headers} {answer.body!r}"
    with pytest.raises(KeyrackError) as raised:
        process_token_response(answer)
    assert CANARY not in "\n".join([*everything(raised.value), str(raised.value.meta)]).replace(repr(ANSWERS), "")


async def test_a_connection_that_is_dropped(servers: LoopbackServers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    port = await servers.answer(b"")
    async with ProviderClient(allow_insecure=True, timeout=30) as client:
        assert_clean(await failing(client, f"http://127.0.0.1:{port}/", CANARY), caplog)


async def test_a_timeout(servers: LoopbackServers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    port = await servers.start(hang)
    async with ProviderClient(allow_insecure=True, timeout=0.2) as client:
        assert_clean(await failing(client, f"http://127.0.0.1:{port}/", CANARY), caplog)


@pytest.mark.parametrize("answer", [["127.0.0.1"], OSError(f"cannot find {CANARY}"), ["192.0.2.1", "::1"]])
async def test_a_fault_before_connecting(caplog: pytest.LogCaptureFixture, answer: list[str] | OSError) -> None:
    caplog.set_level(logging.DEBUG)
    async with ProviderClient(resolver=FakeResolver(answer)) as client:
        assert_clean(await failing(client, "https://idp.example/", CANARY), caplog)


@pytest.mark.parametrize(
    ("form_value", "authorization"), [(f"{CANARY}\ud800", BASIC), (CANARY, f"{BASIC}\r\nX: {CANARY}")]
)
async def test_what_cannot_be_sent(caplog: pytest.LogCaptureFixture, form_value: str, authorization: str) -> None:
    async with ProviderClient() as client:
        assert_clean(await failing(client, "https://idp.example/", form_value, authorization), caplog)


async def test_the_query_of_the_url_is_in_no_text(caplog: pytest.LogCaptureFixture) -> None:
    async with ProviderClient(resolver=FakeResolver(["127.0.0.1"])) as client:
        error = await failing(client, f"https://idp.example/?key={CANARY}", "x")
    assert CANARY not in f"{error!r} {error} {error.args} {error.meta} {error.problems} {caplog.text}"
    assert CANARY not in "".join(traceback.format_exception(error))
