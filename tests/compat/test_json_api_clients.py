"""Generic JSON:API clients, which know nothing of the platform: `jsonapi-client` (PyPI) and `kitsu` (npm)."""

import asyncio
import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from keyrack.ids import new_id
from support.flows import Site, flow_body, site
from support.node import call, statuses, values
from support.running import Running
from support.secrets import resource

if TYPE_CHECKING:
    from jsonapi_client import Session

KITSU = "kitsu/dist/index.mjs"  # its other form does not load in Node.js


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}", apart=True)


@pytest.fixture
def jsonapi_client() -> ModuleType:
    """The client; what it brings takes seconds to load, which only these tests are to wait for."""
    importlib.import_module("jsonapi_client.exceptions")
    return importlib.import_module("jsonapi_client")


@pytest.fixture
def session(jsonapi_client: ModuleType, running: Running, place: Site) -> "Iterator[Session]":
    with jsonapi_client.Session(
        f"{running.base}/v2", request_kwargs={"auth": (place.user.name, place.user.api_key), "timeout": 60}
    ) as opened:
        yield opened


async def read(session: "Session", *words: Any) -> Any:
    return await asyncio.to_thread(session.get, *words)


async def related(session: "Session", resource: Any, name: str, path: str) -> Any:
    """Follow a relationship; by itself the client would take the type for the path."""
    linkage = resource.relationships[name].as_json_resource_identifiers
    return (await read(session, path, linkage["id"])).resource


async def test_a_python_client_reads_lists_resources_and_what_they_relate_to(
    jsonapi_client: ModuleType, session: "Session", place: Site
) -> None:
    listed = await read(session, "flows", jsonapi_client.Modifier(f"workspace_id={place.workspace_id}"))
    (flow,) = listed.resources
    assert (flow.id, flow.type, flow.name) == (place.flow_id, "flow", "Friday")
    assert listed.meta.total == 1
    workspace = await related(session, flow, "workspace", "workspaces")
    assert (workspace.id, workspace.name) == (place.workspace_id, place.name)
    contract = await related(session, workspace, "contract", "contracts")
    assert (contract.id, contract.name) == (place.contract_id, place.name)
    assert (await related(session, flow, "user", "users")).email == place.user.name
    secrets = await read(session, f"workspaces/{place.workspace_id}/secrets")
    (secret,) = secrets.resources
    assert secret.credentials["access_token"] == "at-1"
    client = await related(session, secret, "auth_client", "auth-clients")
    assert client.id == place.auth_client_id
    credential = await read(session, "credentials", place.credential_id)
    assert credential.resource.keys["key"] == f"{place.name}-key"


async def test_a_python_client_finds_the_builds_of_components_in_what_is_included(
    jsonapi_client: ModuleType, session: "Session", place: Site
) -> None:
    listed = await read(session, "components", jsonapi_client.Modifier(f"contract_id={place.contract_id}"))
    component = next(each for each in listed.resources if each.id == place.component_id)
    version = await asyncio.to_thread(lambda: component["latest_version"])
    descriptor = await asyncio.to_thread(lambda: version.descriptor)
    assert descriptor.title == "Ledger"
    with_members = await read(session, f"contracts/{place.contract_id}", jsonapi_client.Inclusion("members"))
    (member,) = await asyncio.to_thread(lambda: with_members.resource.members)
    assert member.email == place.user.name


async def test_a_python_client_tells_what_was_refused(jsonapi_client: ModuleType, session: "Session") -> None:
    refusal = jsonapi_client.exceptions.DocumentError
    with pytest.raises(refusal) as refused:
        await read(session, "flows", "0" * 24)
    assert refused.value.errors["status_code"] == 404
    with pytest.raises(refusal, match="400"):
        await read(session, "flows")


async def test_a_javascript_client_reads_pages_and_what_they_relate_to(running: Running, place: Site) -> None:
    for number in range(3):
        body = flow_body(place.workspace_id, f"acme/{place.name}-ledger:due", name=f"more {number}")
        resource(await place.user.post("/v2/flows", body), 201)
    pages = [
        ["get", "flows", {"params": {"workspace_id": place.workspace_id, "page": {"size": 3, "number": number}}}]
        for number in (1, 2, 3)
    ]
    printed = await call(
        KITSU,
        None,
        [kitsu_options(running, place)],
        {},
        *pages,
        ["get", f"contracts/{place.contract_id}", {"params": {"include": "members"}}],
        ["get", f"components/{place.component_id}"],
        ["get", f"workspaces/{place.workspace_id}/secrets/{place.secret_id}"],
    )
    *found, contract, component, secret = values(printed)
    assert [len(page["data"]) for page in found] == [3, 1, 0]
    assert [page["meta"]["total_pages"] for page in found] == [2, 2, 2]
    assert found[0]["data"][0]["workspace"]["data"]["id"] == place.workspace_id
    assert [member["email"] for member in contract["data"]["members"]["data"]] == [place.user.name]
    assert component["data"]["latest_version"]["data"]["descriptor"]["data"]["title"] == "Ledger"
    assert secret["data"]["credentials"]["access_token"] == "at-1"
    assert secret["data"]["auth_client"]["data"]["id"] == place.auth_client_id


async def test_a_client_that_takes_the_path_for_the_type_reads_only(running: Running, place: Site) -> None:
    """The platform's types are singular and its paths plural, so what such a client sends is refused, not guessed."""
    printed = await call(
        KITSU,
        None,
        [kitsu_options(running, place)],
        {},
        ["create", "credentials", {"name": "Mine"}],
        ["update", "credentials", {"id": place.credential_id, "name": "Renamed"}],
    )
    assert statuses(printed) == [409, 409]


def kitsu_options(running: Running, place: Site) -> dict[str, Any]:
    return {
        "baseURL": f"{running.base}/v2",
        "headers": dict(place.user.headers),
        "camelCaseTypes": False,
        "pluralize": False,
    }
