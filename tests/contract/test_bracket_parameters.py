"""A query parameter of the form `name[...]` that a route does not read is 400, not everything (contract 0.22)."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from support.app import World
from support.grants import add_auth_client, add_secret
from support.tenancy.table import ROUTES

MISSPELT = ("filter[stat]", "filters[state]", "page[sise]", "fields[secret]", "sort[name]", "filter[user", "filter[]")
NOBODY = "0" * 24


async def problems(world: World, path: str) -> dict[str, Any] | None:
    """Return the problems of an answer by their parameter; None unless it is a 400."""
    answer = await world.support.get(path)
    if answer.status_code != 400:
        return None
    return {problem.get("source", {}).get("parameter"): problem for problem in answer.json()["errors"]}


async def routes(world: World) -> dict[str, list[str]]:
    """Return every path of the API with a GET, and the parameters in brackets that it documents."""
    document = (await world.support.get("/openapi.json")).json()
    found = {}
    for template, methods in document["paths"].items():
        if template.startswith(("/v1/", "/v2/")) and "get" in methods:
            described = methods["get"].get("parameters", [])
            names = [given["name"] for given in described if given["in"] == "query" and "[" in given["name"]]
            found[re.sub(r"\{[^}]*\}", NOBODY, template)] = names
    return found


async def test_every_route_refuses_what_it_does_not_read(keyrack: World) -> None:
    found = await routes(keyrack)
    assert len(found) > 40
    for path, documented in found.items():
        for name in MISSPELT:
            for spelled in (name, quote(name)):
                refused = await problems(keyrack, f"{path}?{spelled}=x")
                assert refused is not None, (path, spelled)
                assert list(refused) == [name], (path, spelled)
                assert all(known in refused[name]["detail"] for known in documented), path


def handled(world: World) -> list[tuple[str, str]]:
    """Return the method and path of every route below `/v1` and `/v2` that the application has, documented or not."""
    return sorted(
        (method, re.sub(r"\{[^}]*\}", NOBODY, route.path))
        for route in world.litestar.routes
        for method in getattr(route, "methods", ())
        if route.path.startswith(("/v1/", "/v2/")) and method != "OPTIONS"
    )


async def test_every_method_of_every_route_refuses_them_too(keyrack: World) -> None:
    found = handled(keyrack)
    table = {(method, re.sub(r"\{[^}]*\}", NOBODY, path.partition("?")[0])) for _, method, path, _, _ in ROUTES}
    assert table <= set(found), "a route of the table that is not tried"
    for method, path in found:
        for name in ("filter[stat]", "page[sise]"):
            answer = await keyrack.support.call(method, path, {"data": {}}, params={name: "x"})
            assert answer.status_code == 400, (method, path)
            told = [error.get("source") for error in answer.json()["errors"]]
            assert told == [{"parameter": name}], (method, path)
        headed = await keyrack.support.call("HEAD", f"{path}?filter[stat]=x")
        assert headed.status_code == (400 if ("GET", path) in found else 405), path


async def test_the_fast_read_of_a_secret_refuses_them_too(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    client = await add_auth_client(keyrack.store, acme.id, "https://idp.example/token")
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "at"}, age=1)
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
    for _ in range(2):  # the second time it is known who asks
        assert (await acme.admin.get(path)).status_code == 200
        refused = await acme.admin.get(path, params={"fields[secret]": "x"})
        assert (refused.status_code, refused.json()["errors"][0]["source"]) == (400, {"parameter": "fields[secret]"})


async def test_every_route_takes_what_it_documents(keyrack: World) -> None:
    for path, documented in (await routes(keyrack)).items():
        for name in documented:
            for spelled in (name, quote(name), name.replace("[", "%5b").replace("]", "%5d")):
                refused = await problems(keyrack, f"{path}?{spelled}=1")
                detail = (refused or {}).get(name, {}).get("detail", "")
                assert "is not known" not in detail, (path, name)


@pytest.mark.parametrize("query", ["?filter[x]", "?a=1&filter[x]=&b=2", "?filter[x]=1&filter[x]=2", "?fi%6Cter%5bx]=1"])
async def test_however_it_is_sent(keyrack: World, query: str) -> None:
    refused = await problems(keyrack, f"/v2/tenants{query}")
    assert refused is not None
    assert list(refused) == ["filter[x]"]


async def test_all_are_named_at_once_and_those_without_brackets_are_ignored(keyrack: World) -> None:
    refused = await problems(keyrack, "/v2/tenants?filter[x]=1&sort[y]=2&page[size]=1")
    assert refused is not None
    assert list(refused) == ["filter[x]", "sort[y]"]
    assert (await keyrack.support.get("/v2/tenants?whatever=1&filter=2&size]=3")).status_code == 200


async def test_changes_refuse_them_too_and_nothing_is_changed(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}"
    assert (await acme.admin.delete(f"{path}?filter[x]=1")).status_code == 400
    assert (await acme.admin.get(path)).status_code == 200


async def test_nobody_is_told_what_a_route_takes_before_a_key_is_checked(keyrack: World) -> None:
    assert (await keyrack.http.get("/v2/tenants?filter[x]=1")).status_code == 401
    assert (await keyrack.http.get("/callback/oauth2?ads[x]=1")).status_code == 400
    assert "is not known" not in (await keyrack.http.get("/callback/oauth2?ads[x]=1")).text


async def test_both_spellings_of_an_audit_filter(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    path, soon, past = f"/v2/tenants/{acme.id}/audit-events", "2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"
    renamed = {"data": {"type": "workspace", "attributes": {"name": "Other"}}}
    assert (await acme.admin.patch(f"/v2/workspaces/{acme.workspace_id}", renamed)).status_code == 200
    for value, name in [(soon, "from"), (past, "to"), ("nobody", "actor"), ("no.such", "action"), (NOBODY, "target")]:
        for spelled in (name, f"filter[{name}]"):
            found = await acme.admin.get(path, params={spelled: value})
            assert (found.status_code, found.json()["data"]) == (200, []), spelled
    since = await acme.admin.get(path, params={"filter[from]": past, "filter[to]": soon, "to": soon})
    assert [event["attributes"]["action"] for event in since.json()["data"]] == ["workspace.edit"]
    for query, named in [({"filter[from]": "yesterday"}, "filter[from]"), ({"from": "yesterday"}, "from")]:
        answer = await acme.admin.get(path, params=query)
        assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"parameter": named})
    clash = await acme.admin.get(path, params={"from": past, "filter[from]": soon})
    assert (clash.status_code, clash.json()["errors"][0]["source"]) == (400, {"parameter": "filter[from]"})
