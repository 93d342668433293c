"""Whatever a provider answers to a refresh is kept before it is judged; only silence is asked again.

Over real HTTP, the answers byte by byte: odd codings, character sets, headers and frames, broken connections.
"""

import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import RawResponse
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.service.secrets.refresh.journal import _StoredAnswer
from keyrack.store.attempts import Attempts
from support.app import World, error_of
from support.grants import Connected
from support.raw_provider import RawProvider, connect_raw, http_answer, json_answer
from support.waits_and_faults import fail_once

TOKENS = {"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600, "token_type": "Bearer"}
TEXT = json.dumps(TOKENS)
BODY = TEXT.encode()
TWICE = gzip.compress(gzip.compress(BODY))
FORM = b"access_token=at-2&refresh_token=rt-2&expires_in=3600"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def beside(**odd: Any) -> bytes:
    return json.dumps(odd | TOKENS).encode()


GOOD = {
    "a character set as content coding": json_answer(TEXT, Content_Encoding="UTF-8"),
    "an unknown content coding": json_answer(TEXT, Content_Encoding="br"),
    "gzip in name only": json_answer(TEXT, Content_Encoding="gzip"),
    "gzip without a name": http_answer(gzip.compress(BODY)),
    "gzip twice": http_answer(TWICE, Content_Encoding="gzip, gzip"),
    "deflate as zlib": http_answer(zlib.compress(BODY), Content_Encoding="deflate"),
    "gzip with something behind it": http_answer(gzip.compress(BODY) + b"\n", Content_Encoding="gzip"),
    "a byte order mark": http_answer(b"\xef\xbb\xbf" + BODY),
    "UTF-16": http_answer(TEXT.encode("utf-16")),
    "zeros behind it": http_answer(BODY + b"\0" * 512),
    "ISO-8859-1": http_answer('{"name":"ü",'.encode("latin-1") + BODY[1:], Content_Type="text/x; charset=ISO-8859-1"),
    "broken UTF-8": http_answer(b'{"name":"\xff\xfe\xc3",' + BODY[1:]),
    "a control character in a string": http_answer(b'{"name":"a\tb\nc",' + BODY[1:]),
    "not a number": http_answer(b'{"n":NaN,"i":-Infinity,"d":' + b"9" * 5000 + b"," + BODY[1:]),
    "nested deeper than anybody reads": http_answer(
        b'{"deep":' + b'[{"":' * 2000 + b"1" + b"}]" * 2000 + b"," + BODY[1:]
    ),
    "very many values behind the tokens": http_answer(BODY[:-1] + b',"many":[' + b"1," * 100_000 + b"1]}"),
    "a large member": http_answer(beside(large="x" * 500_000)),
    "text behind the object": http_answer(BODY + b"<!-- served by web01 -->"),
    "something not JSON behind the tokens": http_answer(BODY[:-1] + b", odd: 'x'}"),
    "a length that is too long": OK + b"Content-Length: 5000\r\n\r\n" + BODY,
    "a length that counts characters": OK + b"Content-Length: %d\r\n\r\n" % (len(BODY) - 2) + BODY,
    "a length that is no number": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "chunks without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY,
    "no chunks in spite of the header": OK + b"Transfer-Encoding: chunked\r\n\r\n" + BODY,
    "a wrong size of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks of one byte": OK
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"1;x\r\n%c\r\n" % byte for byte in BODY)
    + b"0\r\n\r\n",
    "a header of 100 KB": OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n" + BODY,
    "hundreds of headers": OK + b"".join(b"X-%d: a\r\n" % n for n in range(900)) + b"\r\n" + BODY,
    "a line that is no header": OK + b"Powered by us\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "bytes in headers": OK + b"X: \xff\x00\x01\r\n\xfe: a\r\nSet-Cookie: \x01=;;\r\n\r\n" + BODY,
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Type: application/json\n\n" + BODY,
    "a broken status line": b"HTTP/1.1 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "no head at all": BODY,
    "interim answers before it": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 5 + http_answer(BODY),
    "another answer behind it": http_answer(BODY) + http_answer(b'{"access_token":"forged"}'),
    "tokens before the cut": OK + b"Content-Length: 5000\r\n\r\n" + BODY[:-10],
    "a form before the cut": OK + b"Content-Length: 5000\r\n\r\n" + FORM,
    "tokens in front of too much": http_answer(BODY[:-1] + b',"large":"' + b"x" * 2_000_000 + b'"}'),
}

UNREADABLE = {
    "half a body": OK + b"Content-Length: 5000\r\n\r\n" + BODY[:40],
    "an access token alone before the cut": OK + b'Content-Length: 5000\r\n\r\n{"access_token":"at-2","refresh_to',
    "a form cut in a token": OK + b"Content-Length: 5000\r\n\r\naccess_token=at-2&refresh_token=rt",
    "a head without an end": OK,
    "an interim answer alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": b"\0" * 100,
    "a head that is too large": OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n" + BODY,
    "a body that is too large": http_answer(b" " * 2_000_000 + BODY),
    "gzip that breaks off": http_answer(gzip.compress(BODY)[:30], Content_Encoding="gzip"),
    "an empty success": http_answer(b""),
    "a page": http_answer(b"<html>access_token=1</html>"),
}

WHOLE = {"gzip that breaks off", "an empty success", "a page"}
"""Those of them that came to their end, so that the provider has answered."""


async def refreshed(world: World, connected: Connected) -> Any:
    acme = world.tenants["Acme"]
    return await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}/refresh")


async def succeeds(world: World, provider: RawProvider, why: str) -> None:
    provider.requests.clear()
    answer = await refreshed(world, await connect_raw(world, provider))
    assert answer.status_code == 200, f"{why}: {answer.text}"
    credentials = answer.json()["data"]["attributes"]["credentials"]
    assert (credentials["access_token"], credentials["refresh_token"]) == ("at-2", "rt-2"), why
    assert len(provider.requests) == 1, why


async def test_tokens_are_read_of_whatever_is_whole(keyrack: World, raw_provider: RawProvider) -> None:
    for why, answer in GOOD.items():
        raw_provider.answers = [answer]
        await succeeds(keyrack, raw_provider, why)


async def test_what_cannot_be_read_is_not_asked_for_again(keyrack: World, raw_provider: RawProvider) -> None:
    for why, bad in UNREADABLE.items():
        raw_provider.answers = [bad]
        raw_provider.requests.clear()
        connected = await connect_raw(keyrack, raw_provider)
        status, code, _ = error_of(await refreshed(keyrack, connected))
        assert (status, code) == (400, "provider_error" if why in WHOLE else "provider_unavailable"), why
        assert len(raw_provider.requests) == 1, why
        raw_provider.answers = [json_answer(TEXT)]  # also keeps the circuit closed
        await succeeds(keyrack, raw_provider, f"after {why}")


async def test_only_silence_is_asked_again(keyrack: World, raw_provider: RawProvider) -> None:
    raw_provider.answers = [b"", json_answer(TEXT)]
    connected = await connect_raw(keyrack, raw_provider)
    answer = await refreshed(keyrack, connected)
    if answer.status_code != 200:  # at once only on a machine that is quick enough, else with the next call
        answer = await refreshed(keyrack, connected)
    assert answer.status_code == 200, answer.text
    assert [form["refresh_token"] for form in raw_provider.forms] == ["rt-1", "rt-1"]


async def test_a_body_that_does_not_end_in_time(
    keyrack: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_provider.keep_open = True
    monkeypatch.setattr(keyrack.services.provider, "timeout", 1.5)
    raw_provider.answers = [OK + b"Content-Length: 5000\r\n\r\n" + BODY]
    await succeeds(keyrack, raw_provider, "the tokens had come")
    raw_provider.answers = [OK + b"Content-Length: 5000\r\n\r\n" + BODY[:30]]
    raw_provider.requests.clear()
    assert error_of(await refreshed(keyrack, await connect_raw(keyrack, raw_provider)))[:2] == (
        400,
        "provider_unavailable",
    )
    assert len(raw_provider.requests) == 1


async def test_a_refusal_that_breaks_off_says_what_it_said(keyrack: World, raw_provider: RawProvider) -> None:
    cut = b'HTTP/1.1 400 Bad\r\nContent-Length: 5000\r\n\r\n{"error":"invalid_grant","error_descr'
    raw_provider.answers = [cut]
    connected = await connect_raw(keyrack, raw_provider)
    answer = await refreshed(keyrack, connected)
    assert "invalid_grant" in answer.text
    assert len(raw_provider.requests) == 1


async def test_an_answer_is_stored_before_anybody_reads_it(
    keyrack: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "gzip twice": TWICE,
        "no head at all": BODY,
        "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
        "half a body": BODY[:40],
        "a page": b"<html>access_token=1</html>",
    }
    journal = keyrack.services.refreshing.journal
    for why, body in kept.items():
        raw_provider.answers = [(GOOD | UNREADABLE)[why]]
        connected = await connect_raw(keyrack, raw_provider)
        fail_once(monkeypatch, Finalizer, "settle", DatabaseUnavailable)
        assert (await refreshed(keyrack, connected)).status_code == 503
        async with keyrack.store.unit(connected.secret.tenant_id) as unit:
            (attempt,) = await Attempts(unit).open_of([connected.secret.id])
            answer = await journal.read(unit, attempt)
        assert answer is not None
        assert answer.body == body, why


def test_answers_that_an_older_version_stored_are_read() -> None:
    class Older(msgspec.Struct):
        status: int
        headers: dict[str, str]
        body: bytes

    older = msgspec.msgpack.encode(Older(200, {"content-encoding": "gzip"}, BODY))  # it stored what it had unpacked
    stored = msgspec.msgpack.decode(older, type=_StoredAnswer)
    answer = RawResponse(stored.status, stored.headers, stored.body, None, cut=stored.cut)
    tokens = process_token_response(answer)
    assert tokens.refresh_token is not None
    assert tokens.refresh_token.reveal() == "rt-2"
    newer = msgspec.msgpack.encode(_StoredAnswer(200, {}, BODY, "closed", cut=True, head=b"x"))
    assert msgspec.msgpack.decode(newer, type=Older).body == BODY, "and the other way round"
