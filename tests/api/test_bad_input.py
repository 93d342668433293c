"""Whatever comes in is answered with a documented 4xx and leaves nothing behind (issue 2.10), on both databases."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from keyrack.api.core.errors import STATUS_AND_CODE
from keyrack.store.schema import metadata
from support.app import World, error_of, relationship
from support.consent import oauth_component

DOCUMENTED = {(status, code) for status, code in STATUS_AND_CODE.values()}
LONG = "x" * 10_000


async def rows(world: World) -> Mapping[str, int]:
    """Count what is stored, table by table; refusals are written to the audit log, so that one is left out."""
    counted = {}
    async with world.store.installation() as unit:
        for table in metadata.sorted_tables:
            if table.name != "audit_events":
                counted[table.name] = await _count(unit.connection, table)
    return counted


async def _count(connection: Any, table: Table) -> int:
    found: int = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    return found


def refused(response: Any) -> tuple[int, str]:
    """Return status and code of a refusal, which must be one that is documented."""
    document = response.json()
    assert set(document) == {"errors", "meta"}, document
    (code,) = {entry["code"] for entry in document["errors"]}
    assert 400 <= response.status_code < 500, response.text
    assert (response.status_code, code) in DOCUMENTED
    return response.status_code, code


def component_body(name: str, team_id: str) -> dict[str, Any]:
    team = {"team": relationship("team", team_id)}
    return {"data": {"type": "component", "attributes": {"name": name}, "relationships": team}}


BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "a trailing comma": b'{"data": {},}',
    "two documents": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"data": {}}'.encode("utf-16"),
    "Latin-1": '{"data": "é"}'.encode("latin-1"),
    "an overlong encoding": b'{"data": "\xc0\x80"}',
    "an encoded surrogate": b'{"data": "\xed\xa0\x80"}',
    "an escaped lone surrogate": b'{"data": {"type": "component", "x": "\\ud800"}}',
    "a lone surrogate as a name": b'{"data": {"type": "component", "\\udc00": 1}}',
    "NUL": b'{"data": {"type": "component", "x": "\\u0000"}}',
    "a raw NUL": b'{"data": "\x00"}',
    "NUL as a name": b'{"data": {"type": "component", "\\u0000": 1}}',
    "NaN": b'{"data": NaN}',
    "Infinity": b'{"data": -Infinity}',
    "a huge exponent": b'{"data": 1e999}',
    "a number without end": b'{"data": ' + b"9" * 5000 + b"}",
    "a member twice": b'{"data": {"type": "component"}, "data": {"type": "component"}}',
    "a member twice inside": b'{"data": {"type": "component", "attributes": {"name": "a", "name": "b"}}}',
    "a member twice, once escaped": b'{"data": {"type": "component", "t\\u0079pe": "component"}}',
    "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "65 levels": b'{"data": ' + b"[" * 65 + b"]" * 65 + b"}",
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_not_strict_json_is_refused(keyrack: World, name: str) -> None:
    acme, before = keyrack.tenants["Acme"], await rows(keyrack)
    for method, path in (
        ("POST", "/v2/components"),
        ("POST", f"/v2/tenants/{acme.id}/oauth-clients"),
        ("POST", "/v2/flows"),
        ("POST", f"/v2/workspaces/{acme.workspace_id}/oauth-consents"),
    ):
        answer = await acme.admin.call(method, path, content=BODIES[name], headers={"content-type": "application/json"})
        assert refused(answer) == (400, "bad_request"), path
    assert await rows(keyrack) == before


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", [], [1], {}, {"id": None}, [{"a": [{}]}]], ids=repr)
async def test_wrong_types_are_named_by_pointers(keyrack: World, value: Any) -> None:
    acme, before = keyrack.tenants["Acme"], await rows(keyrack)
    clients = f"/v2/tenants/{acme.id}/oauth-clients"
    valid = {
        "type": "oauth-client",
        "attributes": {"client_id": "id", "client_secret": "secret"},
        "relationships": {"component": relationship("component", "0" * 24)},
    }
    spoilt: dict[str, Any] = {
        "": value,
        "/data": {"data": value},
        "/data/type": {"data": valid | {"type": value}},
        "/data/attributes": {"data": valid | {"attributes": value}},
        "/data/relationships/component": {"data": valid | {"relationships": {"component": value}}},
        "/data/relationships/component/data": {"data": valid | {"relationships": {"component": {"data": value}}}},
    }
    for at, body in spoilt.items():
        if body is None:
            continue  # no body at all, which is another test's
        answer = await acme.admin.post(clients, body)
        is_another_type = at == "/data/type" and isinstance(value, str)
        wanted = (409, "type_conflict") if is_another_type else (400, "validation_error")
        assert refused(answer) == wanted, (at, answer.text)
        for entry in answer.json()["errors"]:
            assert entry["source"]["pointer"].startswith(at), (at, entry)  # "" is the whole body (RFC 6901)
    if not isinstance(value, str):
        for member in ("client_id", "client_secret"):
            attributes = valid["attributes"] | {member: value}  # type: ignore[operator]
            answer = await acme.admin.post(clients, {"data": valid | {"attributes": attributes}})
            assert error_of(answer) == (400, "validation_error", f"/data/attributes/{member}")
    assert await rows(keyrack) == before


HOSTILE_IDS = {
    "long": LONG,
    "NUL": "%00",
    "NUL inside": f"{'0' * 12}%00{'0' * 11}",
    "surrogate": "%ED%A0%80",
    "not UTF-8": "%FF%FE",
    "emoji": "%F0%9F%98%80",
    "CRLF": "%0d%0aset-cookie:%20a=b",
    "quote": "'%20OR%20'1'='1",
    "upper case": "A" * 24,
    "dots": "%2e%2e",
    "negative": "-1",
}
"""Ids that are none, percent-encoded; a malformed id is like an unknown one (contract section 1)."""


async def test_a_malformed_id_in_a_path_is_an_unknown_one(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    acme, before = world.tenants["Acme"], await rows(world)
    paths: dict[str, dict[str, Any]] = (await world.http.get("/openapi.json")).json()["paths"]
    operations = [(path, method) for path, item in paths.items() if "{" in path for method in item]
    assert len(operations) > 40
    for index, (path, method) in enumerate(operations):
        for name, hostile in HOSTILE_IDS.items():
            who = (acme.admin, world.support)[index % 2]
            parts = [hostile if part.startswith("{") else part for part in path.split("/")]
            answer = await who.call(method.upper(), "/".join(parts), {} if method in ("put", "patch") else None)
            expected = {(404, "not_found"), (403, "forbidden")}
            if method == "post" or (method, path) == ("delete", "/v2/teams/{team_id}/relationships/members"):
                expected.add((400, "bad_request"))  # the missing body is judged first (contract section 3)
            if name == "dots":
                expected.add((405, "method_not_allowed"))  # the client resolves them: another route
            assert refused(answer) in expected, (method, path, name, answer.text)
            assert "set-cookie" not in answer.headers
    assert await rows(world) == before


HOSTILE_TEXTS = [*HOSTILE_IDS.values(), "%", "%zz", "=", "&", "[]", "1e5", "9" * 400, "true", "%u0000"]


async def test_a_hostile_query_is_refused_or_finds_nothing(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    acme, before = world.tenants["Acme"], await rows(world)
    paths: dict[str, dict[str, Any]] = (await world.http.get("/openapi.json")).json()["paths"]
    tried = 0
    for template, item in paths.items():
        if "get" not in item or "runtime-env" in template:
            continue
        path = template.replace("{tenant_id}", acme.id).replace("{workspace_id}", acme.workspace_id)
        path = path.replace("{contract_id}", acme.contract_id).replace("{team_id}", acme.team_id)
        for name in [p["name"] for p in item["get"].get("parameters", []) if p["in"] == "query"]:
            for hostile in HOSTILE_TEXTS:
                answer = await acme.admin.get(f"{path}?{name}={hostile}")
                if answer.status_code != 200:
                    refused(answer)
                tried += 1
    assert tried > 400
    for query in ("%00", "%00=1", "a=1&a=%00", "unknown=%00"):
        answer = await acme.admin.get(f"/v2/users?{query}")
        assert error_of(answer)[:2] == (400, "bad_request"), query
    unknown = await acme.admin.get("/v2/users?filter[%00]=x")
    assert error_of(unknown)[:2] == (400, "validation_error"), "no such filter (contract 0.22)"
    assert await rows(world) == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "OPTIONS", "X" * 300, "PUT"])
async def test_a_method_that_no_route_takes(keyrack: World, method: str) -> None:
    answer = await keyrack.tenants["Acme"].admin.call(method, "/v2/users/me")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert error_of(answer)[1] == "method_not_allowed"


NAMES_AND_KEYS = {
    "nothing": b"",
    "a colon": b":",
    "no key": b"name:",
    "no colon": b"name",
    "no name": b":key",
    "not UTF-8": b"\xff\xfe:x",
    "NUL in the name": b"a\x00b:key",
    "NUL in the key": b"name:k\x00y",
    "long": f"{LONG}:{LONG}".encode(),
    "right to left": "\u202ename:key".encode(),
    "a surrogate": "\ud800:key".encode("utf-8", "surrogatepass"),
    "CRLF": b"a\r\nb:c",
}


@pytest.mark.parametrize("name", NAMES_AND_KEYS)
async def test_hostile_credentials_are_401(keyrack_on_each: World, name: str) -> None:
    name_and_key = NAMES_AND_KEYS[name]
    header = "Basic " + base64.b64encode(name_and_key).decode()
    answer = await keyrack_on_each.http.get("/v2/users/me", headers={"authorization": header})
    assert error_of(answer)[:2] == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Basic realm="api"'


@pytest.mark.parametrize("header", ["Basic", "Basic  ", "Basic %%%", "Bearer x", "basic \xff", "Basic " + "A" * 60_000])
async def test_a_malformed_authorization_header_is_401(keyrack: World, header: str) -> None:
    answer = await keyrack.http.get("/v2/users/me", headers={b"authorization": header.encode("latin-1")})
    assert error_of(answer)[:2] == (401, "unauthorized")


@pytest.mark.parametrize(
    "value", [b"a\r\nset-cookie: x=y", b"a\nb", b"a\x00b", b"\xff\xfe", b"", b" ", b"x" * 300, b"\x7f"]
)
async def test_a_request_id_that_is_not_printable_is_replaced(keyrack: World, value: bytes) -> None:
    answer = await keyrack.tenants["Acme"].admin.get("/v2/users/me", headers={"x-request-id": value})
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) == 24
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("text", [LONG, "a\r\nb", "", " ", "\ud83d", "a/b", "a\u202eb"], ids=ascii)
async def test_hostile_texts_in_bodies_are_refused_or_stored_as_they_are(keyrack_on_each: World, text: str) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    before = await rows(keyrack_on_each)
    content = json.dumps(component_body(text, acme.team_id)).encode()
    answer = await acme.admin.call(
        "POST", "/v2/components", content=content, headers={"content-type": "application/json"}
    )
    if answer.status_code != 201:
        assert refused(answer)[0] == 400
        assert await rows(keyrack_on_each) == before
    else:
        assert answer.json()["data"]["attributes"]["name"] == text


@pytest.mark.parametrize("number", [2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**300, 1.7e308], ids=str)
async def test_numbers_out_of_any_range_do_no_harm(keyrack_on_each: World, number: float) -> None:
    world = keyrack_on_each
    acme = world.tenants["Acme"]
    component_id = await world.add_component(acme, "plain", {"title": "Plain", "actions": {"run": {"title": "Run"}}})
    component = relationship("component", component_id)
    workspace = relationship("workspace", acme.workspace_id)
    keys = {"name": "Mine", "keys": {"number": number, "list": [number]}}
    data = {"type": "credential", "attributes": keys}
    data["relationships"] = {"component": component, "workspace": workspace}
    answer = await acme.admin.post("/v2/credentials", {"data": data})
    assert answer.status_code == 201, answer.text
    path = f"/v2/credentials/{answer.json()['data']['id']}"
    found = (await acme.admin.get(path)).json()["data"]["attributes"]["keys"]
    assert found == {"number": number, "list": [number]}


async def test_a_descriptor_of_five_megabytes_is_too_large(keyrack: World) -> None:
    acme, before = keyrack.tenants["Acme"], None
    component_id = await keyrack.add_component(acme, "large")
    before = await rows(keyrack)
    descriptor = oauth_component("https://a.example/auth", "https://a.example/token") | {"description": "x" * 5_000_000}
    body = {"data": {"type": "version", "attributes": {"descriptor": descriptor}}}
    answer = await acme.admin.post(f"/v2/components/{component_id}/versions", body)
    assert error_of(answer)[:2] == (413, "payload_too_large")
    assert await rows(keyrack) == before


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1])
async def test_the_limit_is_one_mebibyte_exactly(keyrack: World, size: int) -> None:
    acme = keyrack.tenants["Acme"]
    start = json.dumps(component_body("sized", acme.team_id)).encode()
    content = start + b" " * (size - len(start))
    answer = await acme.admin.call(
        "POST", "/v2/components", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == (201 if size == 1 << 20 else 413), answer.text


async def test_a_wrong_type_is_told_which_one_belongs_there_and_not_shown(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    body = {"data": {"type": "no-such-type", "attributes": {"name": "Main"}}}
    answer = await acme.admin.post("/v2/contracts", body)
    assert refused(answer) == (409, "type_conflict")
    (problem,) = answer.json()["errors"]
    assert problem["source"] == {"pointer": "/data/type"}
    assert "no-such-type" not in answer.text
    assert problem["detail"] == "must be contract"
