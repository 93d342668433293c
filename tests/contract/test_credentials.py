"""First-generation credentials: contract section 16, the keys a component hands back (18.3), rules 24.12 and 24.22."""

from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.consent import oauth_component
from support.documents import ids, rel
from support.flows import flow_body, graph_of, node

NO_ID = "0" * 24
KEYS = "/data/attributes/keys"
OAUTH = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
TOKENS = {"access_token": "a", "refresh_token": "r"}


def http_auth(tokens: dict[str, Any]) -> dict[str, Any]:
    return {"type": "OAuth2", "oauth2": {"clientId": "own", "keys": tokens}}


def all_fields() -> dict[str, Any]:
    """Every view class of 19.3, each field named after it."""
    views = ("TextFieldView", "PasswordFieldView", "CheckBoxView", "SelectView", "MultiSelectView", "TextView")
    fields: dict[str, Any] = {view: {"label": view, "viewClass": view} for view in (*views, "HTTPAuthView", "OddView")}
    for view in ("SelectView", "MultiSelectView"):
        fields[view]["model"] = {"login": "Production", "test": "Sandbox"}
    return {"credentials": {"fields": fields}, "actions": {"run": {}}}


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Globex"], "own", OAUTH)


def body(world: World, component_id: str, **attributes: Any) -> dict[str, Any]:
    about = {
        "component": relationship("component", component_id),
        "workspace": relationship("workspace", world.tenants["Globex"].workspace_id),
    }
    return {"data": {"type": "credential", "attributes": attributes, "relationships": about}}


async def created(world: World, component_id: str, **attributes: Any) -> str:
    answer = await who(world).post("/v2/credentials", body(world, component_id, **attributes))
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["data"]["id"]
    return identifier


def who(world: World) -> Caller:
    return world.tenants["Globex"].integrator


async def keys_of(world: World, credential: str) -> Any:
    return (await who(world).get(f"/v2/credentials/{credential}")).json()["data"]["attributes"]["keys"]


async def test_every_route_answers_the_resource(keyrack: World, component: str) -> None:  # 16
    globex = keyrack.tenants["Globex"]
    answer = await who(keyrack).post("/v2/credentials", body(keyrack, component, name="Mine", keys={"oauth": TOKENS}))
    found = answer.json()["data"]["id"]
    resource = {
        "id": found,
        "type": "credential",
        "links": {"self": f"/v2/credentials/{found}"},
        "attributes": {"name": "Mine", "keys": {"oauth": TOKENS}},
        "relationships": {
            "user": rel("user", globex.integrator.id),
            "component": rel("component", component),
            "workspace": rel("workspace", globex.workspace_id),
        },
    }
    document = {"data": resource, "meta": {}}
    assert (answer.status_code, answer.json()) == (201, document)
    assert (await who(keyrack).get(f"/v2/credentials/{found}/")).json() == document
    listed = await who(keyrack).get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert listed.json() == {"data": [resource], "meta": {}, "links": {"self": "/v2/credentials"}}
    change = {"data": {"type": "credential", "id": found, "attributes": {"name": "Ours"}}}
    resource["attributes"]["name"] = "Ours"
    changed = await who(keyrack).patch(f"/v2/credentials/{found}", change)
    assert (changed.status_code, changed.json()) == (200, document), "keys keep their value when omitted"
    deleted = await who(keyrack).delete(f"/v2/credentials/{found}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert error_of(await who(keyrack).get(f"/v2/credentials/{found}"))[:2] == (404, "not_found")


async def test_a_name_is_made_up_and_never_empty(keyrack: World, component: str) -> None:  # 16
    bare = body(keyrack, component)
    del bare["data"]["attributes"]
    answer = await who(keyrack).post("/v2/credentials", bare)
    attributes = answer.json()["data"]["attributes"]
    assert attributes["name"]
    assert attributes["keys"] == {}


async def test_list_filter(keyrack: World, component: str) -> None:  # 16
    workspace = keyrack.tenants["Globex"].workspace_id
    other = await keyrack.add_component(keyrack.tenants["Globex"], "other", OAUTH)
    first, second = await created(keyrack, component), await created(keyrack, other)
    path = f"/v2/credentials?workspace_id={workspace}"
    for query, expected in {
        "": [first, second],
        f"&filter[component]={component}": [first],
        f"&filter%5Bcomponent%5D={other}": [second],
        f"&filter[component]={NO_ID}": [],
    }.items():
        assert ids(await who(keyrack).get(path + query)) == expected, query
    missing = await who(keyrack).get("/v2/credentials")
    assert (missing.status_code, missing.json()["errors"][0]["source"]) == (400, {"parameter": "workspace_id"})


# fmt: off
WHO_MAY: list[tuple[str, str, tuple[int, ...]]] = [
    # section, route                              admin integr. guest stranger foreign-admin service
    ("16", "GET /v2/credentials?workspace_id={workspace}", (200, 200, 200, 403, 403, 200)),
    ("16", "GET /v2/credentials/{credential}",    (200, 200,    200,  404,     404,          200)),
    ("16", "POST /v2/credentials",                (201, 201,    403,  403,     403,          403)),  # names its owner
    ("16", "PATCH /v2/credentials/{credential}",  (200, 200,    403,  404,     404,          200)),
    ("18.3", "PUT /v1/accounts/{credential}",     (200, 200,    403,  404,     404,          200)),
    ("16", "DELETE /v2/credentials/{credential}", (204, 204,    403,  404,     404,          204)),
]
"""Who may call which route: members read, `workspaces.credential.edit` writes."""
# fmt: on


@pytest.mark.parametrize(("section", "route", "statuses"), WHO_MAY)
async def test_who_may(keyrack: World, component: str, section: str, route: str, statuses: tuple[int, ...]) -> None:
    globex, foreign = keyrack.tenants["Globex"], keyrack.tenants["Acme"].admin
    callers = (globex.admin, globex.integrator, globex.guest, globex.stranger, foreign, keyrack.support)
    for caller, status in zip(callers, statuses, strict=True):
        credential = await created(keyrack, component)
        method, path = route.format(credential=credential, workspace=globex.workspace_id).split()
        request = {
            "POST": body(keyrack, component),
            "PATCH": {"data": {"type": "credential", "id": credential, "attributes": {}}},
            "PUT": {"keys": {}},
        }.get(method)
        answer = await caller.call(method, path, request)
        assert answer.status_code == status, f"section {section}, {caller.name}: {answer.text}"
        if answer.status_code == 200 and path.startswith("/v2"):
            data = answer.json()["data"]
            seen = data if isinstance(data, list) else [data]
            assert all(("keys" in each["attributes"]) is (caller is not globex.guest) for each in seen), "0.4"


# fmt: off
REFUSED: list[tuple[str, dict[str, Any], tuple[int, str, str | None]]] = [
    # section, what differs from a good request,         status, code, pointer
    ("16", {"type": "credentials"},                       (409, "type_conflict", "/data/type")),
    ("16", {"relationships": {}},                         (400, "validation_error", None)),
    ("16", {"attributes": {"keys": []}},                  (400, "validation_error", KEYS)),
    ("16", {"attributes": {"name": ""}},                  (400, "validation_error", "/data/attributes/name")),
    ("16", {"attributes": {"keys": {"oauth": {"access_token": "a"}}}},
                                                          (400, "validation_error", f"{KEYS}/oauth/refresh_token")),
    ("19.3", {"attributes": {"keys": {"oauth": "text"}}}, (400, "validation_error", f"{KEYS}/oauth")),
]
"""What creating refuses."""
# fmt: on


@pytest.mark.parametrize(("section", "differs", "expected"), REFUSED)
async def test_creating_refuses(
    keyrack: World, component: str, section: str, differs: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    answer = await who(keyrack).post("/v2/credentials", {"data": body(keyrack, component)["data"] | differs})
    if expected[2] is None:
        pointers = {error["source"]["pointer"] for error in answer.json()["errors"]}
        assert pointers == {"/data/relationships/component", "/data/relationships/workspace"}, section
    else:
        assert error_of(answer) == expected, section


async def test_the_workspace_must_have_the_component(keyrack: World) -> None:  # 16: 404, for the closed gate as well
    acme = keyrack.tenants["Acme"]
    hidden = await keyrack.add_component(acme, "hidden", OAUTH, access="tenant")
    gated = await keyrack.add_component(acme, "gated", OAUTH, access="global")
    for component_id in (hidden, gated, NO_ID):
        answer = await who(keyrack).post("/v2/credentials", body(keyrack, component_id))
        assert error_of(answer) == (404, "related_not_found", "/data/relationships/component/data/id")
    nowhere = body(keyrack, hidden)
    nowhere["data"]["relationships"]["workspace"] = relationship("workspace", NO_ID)
    answer = await who(keyrack).post("/v2/credentials", nowhere)
    assert error_of(answer) == (404, "related_not_found", "/data/relationships/workspace/data/id")


@pytest.mark.parametrize(("given", "expected"), [({"id": None}, 400), ({"id": NO_ID}, 409), ({}, 400)], ids=str)
async def test_an_update_needs_its_id(keyrack: World, component: str, given: dict[str, Any], expected: int) -> None:
    credential = await created(keyrack, component)  # 16, 4
    answer = await who(keyrack).patch(f"/v2/credentials/{credential}", {"data": {"type": "credential", **given}})
    assert (answer.status_code, error_of(answer)[2]) == (expected, "/data/id")


@pytest.mark.parametrize("shape", ["OAuthFieldView", "HTTPAuthView"])
async def test_a_stored_refresh_token_is_taken_over(keyrack: World, shape: str) -> None:  # 16, 24.12, 24.22
    descriptor = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
    descriptor["credentials"]["fields"]["oauth"]["viewClass"] = shape
    component_id = await keyrack.add_component(keyrack.tenants["Globex"], "own", descriptor)

    def value(tokens: dict[str, Any]) -> dict[str, Any]:
        return tokens if shape == "OAuthFieldView" else http_auth(tokens)

    credential = await created(keyrack, component_id, keys={"oauth": value(TOKENS), "other": "old"})
    new = {"oauth": value({"access_token": "new"})}
    change = {"data": {"type": "credential", "id": credential, "attributes": {"keys": new}}}
    assert (await who(keyrack).patch(f"/v2/credentials/{credential}", change)).status_code == 200
    expected = {"oauth": value({"access_token": "new", "refresh_token": "r"})}
    assert await keys_of(keyrack, credential) == expected, "keys are replaced as a whole"
    without = await who(keyrack).post("/v2/credentials", body(keyrack, component_id, keys=new))
    inside = "" if shape == "OAuthFieldView" else "/oauth2/keys"
    assert error_of(without) == (400, "validation_error", f"{KEYS}/oauth{inside}/refresh_token")


# fmt: off
VIEWS: list[tuple[str, Any, Any]] = [
    # view class,        given,                       stored, or the pointer's end of a 400
    ("TextFieldView",     "text",                      "text"),
    ("TextFieldView",     {"no": "text"},              400),
    ("TextView",          "alias",                     "alias"),
    ("PasswordFieldView", "secret",                    "secret"),
    ("PasswordFieldView", True,                        400),
    ("CheckBoxView",      True,                        True),
    ("CheckBoxView",      "on",                        True),        # older forms
    ("CheckBoxView",      "yes",                       400),
    ("SelectView",        "test",                      "test"),
    ("SelectView",        "evil.example/",             400),         # 19.4: validated against the model
    ("MultiSelectView",   ["login", "test"],           ["login", "test"]),
    ("MultiSelectView",   "login",                     400),
    ("OddView",           "unknown view, text",        "unknown view, text"),
    ("HTTPAuthView",      {"type": "No Auth"},         {"type": "No Auth"}),
    ("HTTPAuthView",      {"type": "Basic Auth", "basic": {"username": "u", "password": "p"}},
                          {"type": "Basic Auth", "basic": {"username": "u", "password": "p"}}),
]
"""19.3: the value each view class takes."""
# fmt: on


@pytest.mark.parametrize(("view", "given", "expected"), VIEWS, ids=str)
async def test_view_classes(keyrack: World, view: str, given: Any, expected: Any) -> None:
    component_id = await keyrack.add_component(keyrack.tenants["Globex"], "fields", all_fields())
    answer = await who(keyrack).post("/v2/credentials", body(keyrack, component_id, keys={view: given}))
    if expected == 400:
        assert error_of(answer) == (400, "validation_error", f"{KEYS}/{view}")
    else:
        assert answer.json()["data"]["attributes"]["keys"] == {view: expected}, answer.text


async def test_only_an_active_flow_blocks(keyrack: World, component: str) -> None:  # 16, section 22
    globex = keyrack.tenants["Globex"]
    credential = await created(keyrack, component)
    graph = graph_of(node("globex/own:run", credentials_id=credential))
    flow = (await who(keyrack).post("/v2/flows", flow_body(globex.workspace_id, graph=graph))).json()["data"]["id"]
    assert (await who(keyrack).post(f"/v2/flows/{flow}/start")).status_code == 202
    refused = await who(keyrack).delete(f"/v2/credentials/{credential}")
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["flow_ids"] == [flow]
    assert (await who(keyrack).post(f"/v2/flows/{flow}/stop")).status_code == 202
    assert (await who(keyrack).delete(f"/v2/credentials/{credential}")).status_code == 204


# fmt: off
HANDED_BACK: list[tuple[Any, Any, Any]] = [
    # stored,                                       handed back,                        stored then
    ({"a": "1"},                                    {"b": "2"},                         {"a": "1", "b": "2"}),
    ({"oauth": TOKENS},                             {"oauth": {"access_token": "n"}},
     {"oauth": TOKENS | {"access_token": "n"}}),
    ({"oauth": TOKENS | {"instance_url": "i", "undefined_params": {"x": 1}}},
                                                    {"oauth": {"access_token": "n", "refresh_token": "m"}},
     {"oauth": {"access_token": "n", "refresh_token": "m", "instance_url": "i", "undefined_params": {"x": 1}}}),
    ({"oauth": TOKENS | {"scope": "s"}},            {"oauth": {"access_token": "n"}},
     {"oauth": TOKENS | {"access_token": "n"}}),
    ({"oauth": http_auth(TOKENS)},                  {"oauth": http_auth({"access_token": "n"})},
     {"oauth": http_auth(TOKENS | {"access_token": "n"})}),
    ({"oauth": TOKENS, "a": "1"},                   {"access_token": "n", "scope": "s"},
     {"oauth": TOKENS | {"access_token": "n", "scope": "s"}, "a": "1"}),
    ({"oauth": http_auth(TOKENS)},                  {"access_token": "n", "refresh_token": "m"},
     {"oauth": http_auth({"access_token": "n", "refresh_token": "m"})}),
    ({"oauth": TOKENS},                             {"access_token": "n", "oauth": {"access_token": "o"}},
     {"oauth": TOKENS | {"access_token": "o"}, "access_token": "n"}),
]
"""18.3: top-level keys are merged; an OAuth value keeps its refresh token, `undefined_params` and `instance_url`.

A bare token response is the OAuth field's value (decision 6)."""
# fmt: on


@pytest.mark.parametrize(("stored", "given", "then"), HANDED_BACK)
async def test_keys_handed_back(keyrack: World, stored: Any, given: Any, then: Any) -> None:
    view = "HTTPAuthView" if "oauth2" in stored.get("oauth", ()) else "OAuthFieldView"
    descriptor = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
    descriptor["credentials"]["fields"]["oauth"]["viewClass"] = view
    component_id = await keyrack.add_component(keyrack.tenants["Globex"], "own", descriptor)
    credential = await created(keyrack, component_id, keys=stored)
    answer = await who(keyrack).put(f"/v1/accounts/{credential}", {"keys": given})
    assert (answer.status_code, answer.json()) == (200, {})
    assert await keys_of(keyrack, credential) == then


async def test_keys_handed_back_must_be_an_object(keyrack: World, component: str) -> None:  # 18.3, 3
    credential = await created(keyrack, component)
    wrong: tuple[dict[str, Any], ...] = ({}, {"keys": []})
    for request in wrong:
        answer = await who(keyrack).put(f"/v1/accounts/{credential}", request)
        assert error_of(answer) == (400, "validation_error", "/keys")
