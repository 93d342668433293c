"""Authentication and identities (contract section 2) and API keys (0.2), rule by rule."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.crypto.secret import Secret
from keyrack.model.identity import PrincipalKind
from keyrack.service.identity.authentication import key_hash
from keyrack.store.accounts import ApiKeys
from support.app import BASE, Caller, World, error_of, settings_for, world
from support.documents import ID, TIME, faults

KEYS = "/v2/users/me/api-keys"


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def key_body(name: str = "laptop", **attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "api-key", "attributes": {"name": name, **attributes}}}


async def status_with(world: World, authorization: str | None, path: str = "/v2/users/me") -> int:
    headers = {} if authorization is None else {"authorization": authorization}
    return (await world.http.get(path, headers=headers)).status_code


REFUSED: list[tuple[str, str | None]] = [
    ("missing", None),
    ("empty", ""),
    ("another scheme", "Bearer {key}"),
    ("no scheme", "{base64}"),
    ("scheme alone", "Basic"),
    ("not base64", "Basic !!!"),
    ("no colon", basic("admin@acme.example")),
    ("no name", basic(":some-key")),
    ("no key", basic("admin@acme.example:")),
    ("wrong key", basic("admin@acme.example:kr_wrong")),
    ("unknown name", basic("nobody@acme.example:{key}")),
    ("not UTF-8", basic(b"\xff\xfe:\xff")),
    ("NUL", basic("admin@acme.example:\0")),
    ("the login password's place", basic("admin@acme.example:correct h0rse")),
]


@pytest.mark.parametrize(("what", "header"), REFUSED, ids=[row[0] for row in REFUSED])
async def test_401_with_a_challenge(keyrack_to_read: World, what: str, header: str | None) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    encoded = base64.b64encode(f"{admin.name}:{admin.api_key}".encode()).decode()
    headers = {} if header is None else {"authorization": header.format(key=admin.api_key, base64=encoded)}
    answer = await keyrack_to_read.http.get("/v2/users/me", headers=headers)
    assert error_of(answer) == (401, "unauthorized", None), what
    assert answer.headers["www-authenticate"] == 'Basic realm="api"'


@pytest.mark.parametrize("path", ["//v2/users/me", "///v2/users", "//v1/accounts/x", "/v2//users/me", "//metrics"])
async def test_more_slashes_are_no_way_around(keyrack_to_read: World, path: str) -> None:
    answer = await keyrack_to_read.http.get(BASE + path)
    assert error_of(answer) == (401, "unauthorized", None)


async def test_more_slashes_are_one(keyrack_to_read: World) -> None:
    headers = keyrack_to_read.tenants["Acme"].admin.headers
    plain, odd = [
        await keyrack_to_read.http.get(BASE + path, headers=headers) for path in ("/v2/users/me", "//v2///users//me//")
    ]
    assert (odd.status_code, odd.content) == (200, plain.content)
    assert odd.headers["cache-control"] == "no-store"


async def test_a_key_opens_its_owner_only(keyrack_to_read: World) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    assert await status_with(keyrack_to_read, basic(f"{acme.admin.name}:{acme.integrator.api_key}")) == 401
    assert await status_with(keyrack_to_read, basic(f"{acme.admin.name}:{acme.admin.api_key}x")) == 401
    assert await status_with(keyrack_to_read, basic(f"{acme.admin.name}:{acme.admin.api_key}")) == 200


async def test_the_email_is_compared_without_case(keyrack_to_read: World) -> None:
    admin = keyrack_to_read.tenants["Acme"].admin
    for name in (admin.name.upper(), admin.name.title()):
        assert await status_with(keyrack_to_read, basic(f"{name}:{admin.api_key}")) == 200
    assert await status_with(keyrack_to_read, basic(f"{admin.name}:{admin.api_key.swapcase()}")) == 401, "a key is not"


async def test_the_scheme_is_compared_without_case(keyrack_to_read: World) -> None:  # RFC 9110 section 11.1
    admin = keyrack_to_read.tenants["Acme"].admin
    given = basic(f"{admin.name}:{admin.api_key}")
    assert await status_with(keyrack_to_read, given.replace("Basic", "bAsIc")) == 200


async def test_name_and_key_part_at_the_first_colon(keyrack: World) -> None:
    admin = keyrack.tenants["Acme"].admin
    async with keyrack.store.unit(keyrack.tenants["Acme"].id, writes=True) as unit:
        await ApiKeys(unit).add(PrincipalKind.user, admin.id, "old", key_hash(Secret("with:colons:")), None)
    assert await status_with(keyrack, basic(f"{admin.name}:with:colons:")) == 200
    assert await status_with(keyrack, basic(f"{admin.name}:with")) == 401


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/v2/no-such-route", b""),
        ("DELETE", "/v2/permissions", b""),
        ("POST", "/v2/contracts", b"{"),
        ("GET", "/v2/tenants/nonsense", b""),
        ("GET", "/v1/tasks/a/steps/b", b""),
    ],
)
async def test_401_comes_before_everything(keyrack_to_read: World, method: str, path: str, content: bytes) -> None:
    headers = {"accept": "text/html", "content-type": "text/plain"}
    answer = await keyrack_to_read.http.request(method, path, content=content, headers=headers)
    assert error_of(answer)[:2] == (401, "unauthorized")


async def test_the_tenant_comes_from_the_user_not_from_the_host(keyrack_to_read: World) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    answer = await acme.admin.get(
        "/v2/tenants", headers={"host": "globex.example", "x-forwarded-host": "globex.example"}
    )
    assert [entry["id"] for entry in answer.json()["data"]] == [acme.id]


async def test_an_email_is_unique_in_the_installation(keyrack: World) -> None:
    taken = keyrack.tenants["Globex"].integrator.name
    person = {"first_name": "A", "last_name": "B", "email": taken.upper(), "password": "correct h0rse"}
    answer = await keyrack.tenants["Acme"].admin.post("/v2/users", {"data": {"type": "user", "attributes": person}})
    assert error_of(answer) == (409, "already_exists", "/data/attributes/email")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/users/me", 200),
        ("/v2/permissions", 200),
        ("/v2/contracts", 200),
        ("/v2/workspaces", 200),
        ("/v2/contracts/{contract}", 403),
        ("/v2/workspaces/{workspace}", 403),
        ("/v2/workspaces/{workspace}/components", 403),
        ("/v2/workspaces?contract_id={contract}", 403),
        ("/v2/credentials?workspace_id={workspace}", 403),
        ("/v2/flows?workspace_id={workspace}", 403),
        ("/v2/teams/{team}", 404),
    ],
)
async def test_a_user_in_no_contract(keyrack_to_read: World, path: str, status: int) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    filled = path.format(contract=acme.contract_id, workspace=acme.workspace_id, team=acme.team_id)
    answer = await acme.stranger.get(filled)
    assert answer.status_code == status, answer.text
    if path in ("/v2/contracts", "/v2/workspaces"):
        assert answer.json()["data"] == []


# 0.2: several named keys a user, each shown once


async def test_a_key_is_shown_once_and_works(keyrack: World) -> None:
    admin = keyrack.tenants["Acme"].admin
    made = await admin.post(KEYS, key_body())
    assert made.status_code == 201
    document = made.json()
    data = document["data"]
    clear = data["attributes"].pop("api_key")
    assert ID.fullmatch(data["id"])
    assert TIME.fullmatch(data["attributes"]["created_at"])
    shown = {"name": "laptop", "created_at": data["attributes"]["created_at"], "expires_at": None, "last_used_at": None}
    assert document == {"data": {"id": data["id"], "type": "api-key", "attributes": shown}, "meta": {}}
    listed = await admin.get(KEYS)
    assert listed.json()["data"][-1] == data
    assert clear not in listed.text
    assert made.headers["cache-control"] == "no-store"  # 0.18
    assert len(clear) * 6 >= 128, "bits"
    for key in (clear, admin.api_key):
        assert await status_with(keyrack, basic(f"{admin.name}:{key}")) == 200


async def test_a_revoked_key_is_401_at_once(keyrack: World) -> None:
    admin = keyrack.tenants["Acme"].admin
    data = (await admin.post(KEYS, key_body())).json()["data"]
    other = Caller(keyrack.http, admin.name, data["attributes"]["api_key"])
    assert (await other.get(KEYS)).status_code == 200
    assert (await other.delete(f"{KEYS}/{data['id']}")).status_code == 204, "also by itself"
    assert error_of(await other.get(KEYS))[:2] == (401, "unauthorized")
    assert error_of(await admin.delete(f"{KEYS}/{data['id']}"))[:2] == (404, "not_found")
    assert (await admin.get(KEYS)).status_code == 200


async def test_nobody_sees_or_revokes_keys_of_others(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    key = (await acme.integrator.post(KEYS, key_body())).json()["data"]["id"]
    for other in (acme.admin, keyrack.tenants["Globex"].admin):
        assert key not in (await other.get(KEYS)).text
        assert error_of(await other.delete(f"{KEYS}/{key}"))[:2] == (404, "not_found")
    for answer in (
        await keyrack.support.get(KEYS),
        await keyrack.support.post(KEYS, key_body()),
        await keyrack.support.delete(f"{KEYS}/{key}"),
    ):
        assert error_of(answer)[:2] == (403, "forbidden"), "section 11: a service account has no profile"


@pytest.mark.parametrize(
    ("attributes", "pointers"),
    [
        ({}, {"/data/attributes/name"}),
        ({"name": ""}, {"/data/attributes/name"}),
        ({"name": 5, "expires_at": 5}, {"/data/attributes/name", "/data/attributes/expires_at"}),
        ({"name": "a", "expires_at": "tomorrow"}, {"/data/attributes/expires_at"}),
        ({"name": "a", "expires_at": "2096-01-02T03:04:05"}, {"/data/attributes/expires_at"}),
        ({"name": "a", "expires_at": "2006-01-02T03:04:05Z"}, {"/data/attributes/expires_at"}),
        ({"name": "a", "expires_at": "9999-12-31T23:59:59-12:00"}, {"/data/attributes/expires_at"}),
    ],
)
async def test_a_wrong_key_request_is_400(keyrack_to_read: World, attributes: Any, pointers: set[str]) -> None:
    body = {"data": {"type": "api-key", "attributes": attributes}}
    answer = await keyrack_to_read.tenants["Acme"].admin.post(KEYS, body)
    assert answer.status_code == 400
    assert faults(answer) == pointers


class Hands:
    """A clock whose hands are set by the test."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def later(tmp_path: Path, hands: Hands) -> AsyncIterator[World]:
    async with world(settings_for(tmp_path), hands) as made:
        yield made


async def test_an_expired_key_is_401(later: World, hands: Hands) -> None:
    admin = later.tenants["Acme"].admin
    made = await admin.post(KEYS, key_body(expires_at="2030-01-01T01:00:00Z"))
    assert made.json()["data"]["attributes"]["expires_at"] == "2030-01-01T01:00:00.000Z"
    short = Caller(later.http, admin.name, made.json()["data"]["attributes"]["api_key"])

    async def statuses() -> tuple[int, int]:
        answers: list[httpx2.Response] = [await short.get(KEYS), await admin.get(KEYS)]
        return answers[0].status_code, answers[1].status_code

    assert await statuses() == (200, 200)
    hands.time += timedelta(minutes=59, seconds=59)
    assert await statuses() == (200, 200)
    hands.time += timedelta(seconds=1)
    assert await statuses() == (401, 200), "a key without an end goes on"
