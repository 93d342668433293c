"""Transport conventions: contract section 1, rule by rule."""

import json
import re
from typing import Any

import pytest

from support.app import World, error_of, relationship
from support.documents import ID
from support.flows import flow_body

TITLED = {"title": "Timer", "triggers": {"tick": {"title": "Tick"}}}

PATHS = [
    "/v2/permissions",
    "/v2/tenants",
    "/v2/tenants/{tenant}",
    "/v2/tenants/{tenant}/roles",
    "/v2/tenants/{tenant}/oauth-clients",
    "/v2/contracts",
    "/v2/contracts/{contract}",
    "/v2/contracts/{contract}/members",
    "/v2/workspaces",
    "/v2/workspaces/{workspace}",
    "/v2/workspaces/{workspace}/members",
    "/v2/workspaces/{workspace}/components",
    "/v2/users",
    "/v2/users/me",
    "/v2/users/me/api-keys",
    "/v2/teams/{team}",
    "/v2/components/all",
]


def fill(world: World, path: str) -> str:
    acme = world.tenants["Acme"]
    return path.format(tenant=acme.id, contract=acme.contract_id, workspace=acme.workspace_id, team=acme.team_id)


def contract(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "contract", "attributes": {"name": "Fresh", **attributes}}}


@pytest.mark.parametrize("path", PATHS)
async def test_with_and_without_trailing_slash_alike(keyrack_to_read: World, path: str) -> None:
    who = keyrack_to_read.tenants["Acme"].admin
    plain = await who.get(fill(keyrack_to_read, path))
    slashed = await who.get(fill(keyrack_to_read, path) + "/")
    assert (plain.status_code, slashed.status_code) == (200, 200), "and never a redirect"
    assert plain.content == slashed.content


async def test_a_trailing_slash_before_the_query(keyrack_to_read: World) -> None:
    acme = keyrack_to_read.tenants["Acme"]
    answer = await acme.admin.get(f"/v2/workspaces/?contract_id={acme.contract_id}&page[size]=1")
    assert [entry["id"] for entry in answer.json()["data"]] == [acme.workspace_id]


@pytest.mark.parametrize("path", ["/v2/{0}/{workspace}/components", "/v2/{0}/{workspace}/components/{component}"])
async def test_workspace_and_workspaces_are_the_same_route(keyrack: World, path: str) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "timer", TITLED)
    answers = []
    for spelling in ("workspace", "workspaces"):
        for end in ("", "/"):
            filled = path.format(spelling, workspace=acme.workspace_id, component=component) + end
            answers.append(await acme.integrator.get(filled))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 201),
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("application/vnd.api+json", 201),
        ("text/plain", 406),
        ("application/x-www-form-urlencoded", 406),
        ("multipart/form-data; boundary=x", 406),
        ("application/xml", 406),
        ("application/jsonp", 406),
    ],
)
async def test_content_type(keyrack: World, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    content = json.dumps(contract()).encode()
    answer = await keyrack.tenants["Acme"].admin.post("/v2/contracts", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert status == 201 or error_of(answer)[1] == "not_acceptable"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (None, 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("application/vnd.api+json", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html,*/*;q=0.8", 200),
        ("application/json; charset=utf-8", 200),
        ("text/html", 406),
        ("application/xml, text/*", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("*/*;q=0.0", 406),
    ],
)
async def test_accept(keyrack_to_read: World, accept: str | None, status: int) -> None:
    who = keyrack_to_read.tenants["Acme"].admin
    request = keyrack_to_read.http.build_request("GET", "/v2/users/me", headers=who.headers)
    if accept is None:
        del request.headers["accept"]
    else:
        request.headers["accept"] = accept
    answer = await keyrack_to_read.http.send(request)
    assert answer.status_code == status
    assert answer.headers["content-type"].partition(";")[0] == "application/json", "whatever was asked for"


async def test_answers_are_json_and_204_is_empty(keyrack: World) -> None:
    who = keyrack.tenants["Acme"].admin
    made = await who.post("/v2/users/me/api-keys", {"data": {"type": "api-key", "attributes": {"name": "a"}}})
    gone = await who.delete(f"/v2/users/me/api-keys/{made.json()['data']['id']}")
    missing = await who.get("/v2/nothing")
    assert (made.status_code, gone.status_code, missing.status_code) == (201, 204, 404)
    for answer in (made, missing):
        assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert gone.content == b""


@pytest.mark.parametrize("given", ["f:5f;s:step_1;m:42", "a", "0" * 200])
async def test_a_request_id_comes_back(keyrack_to_read: World, given: str) -> None:
    for path in ("/v2/users/me", "/v2/nothing", "/healthz"):
        answer = await keyrack_to_read.support.get(path, headers={"x-request-id": given})
        assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", " ", "a\x01b", "ü" * 3])
async def test_a_request_id_is_made_where_none_can_be_echoed(keyrack_to_read: World, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given.encode("latin-1")}
    answer = await keyrack_to_read.http.get("/v2/users/me", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert ID.fullmatch(answer.headers["x-request-id"])


ACTION_BODIES: list[tuple[bytes, str | None, int]] = [
    (b"", None, 202),
    (b"", "application/json", 202),
    (b"", "text/plain", 202),
    (b"{}", None, 202),
    (b"{}", "application/json", 202),
    (b"{}", "application/vnd.api+json", 202),
    (b"{}", "text/plain", 406),
    (b"{", "application/json", 400),
    (b"[]", "application/json", 400),
]


@pytest.mark.parametrize("action", ["start", "stop"])
@pytest.mark.parametrize(("content", "content_type", "status"), ACTION_BODIES)
async def test_action_bodies(
    keyrack: World, action: str, content: bytes, content_type: str | None, status: int
) -> None:
    acme = keyrack.tenants["Acme"]
    await keyrack.add_component(acme, "timer", TITLED)
    made = await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, "acme/timer:tick"))
    flow = f"/v2/flows/{made.json()['data']['id']}"
    if action == "stop":
        assert (await acme.integrator.post(f"{flow}/start")).status_code == 202
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await acme.integrator.post(f"{flow}/{action}", content=content, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("content", "content_type"), [(b"{}", "application/json"), (b"{", None), (b"x", "text/plain")])
async def test_a_body_on_delete_is_ignored(keyrack: World, content: bytes, content_type: str | None) -> None:
    who = keyrack.tenants["Acme"].admin
    made = await who.post("/v2/users/me/api-keys", {"data": {"type": "api-key", "attributes": {"name": "a"}}})
    headers = {} if content_type is None else {"content-type": content_type}
    path = f"/v2/users/me/api-keys/{made.json()['data']['id']}"
    assert (await who.delete(path, content=content, headers=headers)).status_code == 204


async def test_unknown_and_read_only_attributes_are_ignored(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    made = await acme.admin.post("/v2/contracts", contract(status="suspended", colour="blue"))
    assert made.status_code == 201
    assert made.json()["data"]["attributes"] == {"name": "Fresh", "available_roles": [], "status": "active"}
    data = {"type": "workspace", "attributes": {"name": "Fresh", "type": "limited"}, "links": {"self": "/evil"}}
    data["relationships"] = {"contract": relationship("contract", acme.contract_id), "members": {"data": []}}
    workspace = (await acme.admin.post("/v2/workspaces", {"data": data, "meta": {"a": 1}})).json()["data"]
    assert workspace["attributes"] == {"name": "Fresh", "type": "full"}
    assert workspace["links"] == {"self": f"/v2/workspaces/{workspace['id']}"}
    assert [member["id"] for member in workspace["relationships"]["members"]["data"]] == [acme.admin.id]


async def test_times_are_utc_with_milliseconds(keyrack: World) -> None:
    given = {"name": "a", "expires_at": "2096-01-02T05:04:05.6789+02:00"}
    body = {"data": {"type": "api-key", "attributes": given}}
    made = (await keyrack.tenants["Acme"].admin.post("/v2/users/me/api-keys", body)).json()["data"]["attributes"]
    assert made["expires_at"] == "2096-01-02T03:04:05.678Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])


async def test_keys_are_snake_case(keyrack_to_read: World) -> None:
    acme = keyrack_to_read.tenants["Acme"]

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {name for member in value.values() for name in names(member)}
        return {name for item in value for name in names(item)} if isinstance(value, list) else set()

    for path in PATHS:
        answer = await acme.admin.get(fill(keyrack_to_read, path))
        assert {name for name in names(answer.json()) if not re.fullmatch(r"[a-z0-9_]+", name)} == set()
