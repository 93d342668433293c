"""Small inputs that would become large ones: packed bodies, deep JSON; from callers, providers and files."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.app import World, error_of, settings_for, world
from support.grants import stored
from support.keyrack_processes import bootstrapped, run_command
from support.raw_provider import RawProvider, connect_raw, http_answer, json_answer

MIB = 1 << 20
BOMB = b" " * (64 * MIB)
PACKED = {"gzip": gzip.compress(BOMB), "deflate": zlib.compress(BOMB), "gzip, gzip": gzip.compress(gzip.compress(BOMB))}
DEEP = b"[" * 100_000
JSON_BOMBS = {
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b"[" * 50_000 + b"]" * 50_000,
    "a long number": b"[" + b"9" * 500_000 + b"]",
    "a large exponent": b'{"data": 1e999999999}',
    "a long fraction": b"[0." + b"1" * 500_000 + b"]",
    "many members": b"{" + b",".join(b'"k%d":1' % n for n in range(80_000)) + b"}",
    "one member many times": b"{" + b",".join([b'"a":1'] * 100_000) + b"}",
    "many escapes": b'"' + b"\\u0041" * 150_000 + b'"',
    "a lone half of a character": b'{"data": "\\ud800"}',
    "a zero byte": b'{"data": "\\u0000"}',
    "not a number": b'{"data": NaN}',
}


@pytest.mark.parametrize("coding", PACKED)
async def test_a_packed_body_is_not_unpacked(keyrack_to_read: World, coding: str) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    headers = admin.headers | {"content-type": "application/json", "content-encoding": coding}
    answer = await keyrack_to_read.http.post("/v2/flows", content=PACKED[coding], headers=headers)
    assert error_of(answer)[:2] == (400, "bad_request")


@pytest.mark.parametrize("name", JSON_BOMBS)
async def test_a_body_that_is_a_bomb_is_refused(keyrack_to_read: World, name: str) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    headers = admin.headers | {"content-type": "application/json"}
    answer = await keyrack_to_read.http.post("/v2/flows", content=JSON_BOMBS[name], headers=headers)
    assert answer.status_code == 400, answer.text[:300]
    assert len(answer.content) < 64 * 1024, "what is said about it is no bomb either"


@pytest.fixture
async def insecure(tmp_path: Path) -> AsyncIterator[World]:
    async with world(settings_for(tmp_path, allow_insecure_providers="true")) as keyrack:
        yield keyrack


ANSWERS = {
    **{name: json_answer(body.decode()) for name, body in JSON_BOMBS.items() if name != "a zero byte"},
    **{
        f"packed by {coding}": http_answer(body, Content_Type="application/json", Content_Encoding=coding)
        for coding, body in PACKED.items()
    },
    "packed tokens": http_answer(
        gzip.compress(b'{"access_token": "' + b"a" * (64 * MIB) + b'"}'),
        Content_Type="application/json",
        Content_Encoding="gzip",
    ),
    "a token of megabytes": json_answer(json.dumps({"access_token": "a" * (3 * MIB), "token_type": "Bearer"})),
}


async def test_a_providers_answer_that_is_a_bomb_is_the_providers_fault(
    insecure: World, raw_provider: RawProvider
) -> None:
    acme = insecure.tenants["Acme"]
    for name, answer in ANSWERS.items():
        made = await connect_raw(insecure, raw_provider)
        raw_provider.answers = [answer]
        path = f"/v2/workspaces/{acme.workspace_id}/secrets/{made.secret.id}/refresh"
        refused = await acme.admin.post(path)
        assert refused.status_code == 400, (name, refused.text[:300])
        assert refused.json()["errors"][0]["code"] in {"provider_error", "provider_unavailable"}, name
        assert len(refused.content) < 16 * 1024, name
        now = await stored(insecure.store, made.secret)
        assert now.credentials["access_token"] == made.secret.credentials["access_token"], name


def test_a_file_that_is_a_bomb_is_no_import(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bootstrapped(home)
    for number, content in enumerate((DEEP, gzip.compress(BOMB))):
        file = tmp_path / f"{number}.json"
        file.write_bytes(content)
        done = run_command(home, "import", "platform", str(file))
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr + done.stdout
