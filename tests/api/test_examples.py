"""Every example of /openapi.json is sent to a serving Keyrack, with ids of what exists, and does what it says."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from keyrack.api.core.openapi import SECTIONS
from keyrack.api.examples import DESCRIPTOR, EXAMPLES
from keyrack.ids import new_id
from keyrack.oauth.dpop import new_proof_key
from keyrack.oauth.profiles.kinds import ProofAlgorithm
from keyrack.store.auth_secrets import AuthSecrets
from support.app import Caller, World, relationship
from support.grants import add_auth_client, add_secret
from support.running import Running
from support.served_estate import document
from support.tenancy.estate import Estate, build_estate

PLACEHOLDER = re.compile(r"[A-Z]+(?:_[A-Z]+)*_ID")
BODIES = [(operation, title) for operation, examples in EXAMPLES.items() for title in examples]
OF_SUPPORT = {
    "POST /v2/tenants",
    "PATCH /v2/tenants/{tenant_id}",
    "PATCH /v2/tenants/{tenant_id}/roles",
    "PATCH /v2/service-accounts/{service_account_id}",
}
OF_ADMIN = re.compile(r"\S+ /v2/(?:tenants|components|contracts|teams|users$|auth-clients)")
OF_OWNER = re.compile(r"\S+ /v2/workspaces(?:/\{workspace_id\}(?:/members.*)?)?$")
"""Others are the integrator's."""

OTHER_IDS: Mapping[str, Mapping[str, str]] = {
    "PATCH /v2/auth-clients/{auth_client_id}/secret-rotation": {"auth_client_id": "lone_auth_client_id"},
    "auth-clients": {"component_id": "second_id"},
    "PATCH /v2/tenants/{tenant_id}/auth-clients": {"auth_client_id": "tenant_auth_client_id"},
    "PATCH /v2/tenants/{tenant_id}/oauth-clients": {
        "oauth_client_id": "lone_oauth_client_id",
        "component_id": "unused_id",
    },
    "/versions": {"component_id": "unused_id"},
    "/env": {"component_id": "unused_id"},
    "POST /v2/workspaces/{workspace_id}/members": {"user_id": "joiner_id"},
    "POST /v2/teams/{team_id}/relationships/members": {"user_id": "joiner_id"},
    "DELETE /v2/teams/{team_id}/relationships/members": {"user_id": "developer_id"},
}
"""Which of the estate's ids is suitable, where it is not the one of that name; by a part of the operation."""


@pytest.fixture(scope="module")
async def described(running: Running) -> Any:
    async with httpx2.AsyncClient() as http:
        return (await http.get(f"{running.base}/openapi.json")).json()


@pytest.fixture(scope="module")
async def estate(running: Running) -> Estate:
    return await build_estate(running.world, "Acme")


async def suitable_ids(world: World, estate: Estate, operation: str) -> dict[str, str]:
    """Return ids for an operation, by the names of path parameters."""
    ids = dict(estate.ids)
    for part, others in OTHER_IDS.items():
        if part in operation:
            ids |= {name: estate.ids[other] for name, other in others.items()}
    if operation == "POST /v2/contracts/{contract_id}/members":
        ids["user_id"] = (await world.add_user(estate.tenant.id, f"{new_id()}@users.example")).id
    if operation == "PATCH /v2/tenants/{tenant_id}/oauth-clients/{oauth_client_id}/secret-rotation":
        ids["oauth_client_id"] = await client_in_rotation(world, estate)  # other examples change what the estate has
    if operation.endswith("/dpop-proof"):
        ids["secret_id"] = await bound_secret(world, estate)
    if operation == "POST /v2/tenants/{tenant_id}/oauth-clients":  # there is one for each component
        ids["component_id"] = await world.add_component(estate.tenant, f"example-{new_id()}", DESCRIPTOR)
    return ids


async def client_in_rotation(world: World, estate: Estate) -> str:
    """Return an OAuth client that has a new secret beside the old one."""
    component_id = await world.add_component(estate.tenant, f"rotated-{new_id()}", DESCRIPTOR)
    clients, admin = f"/v2/tenants/{estate.tenant.id}/oauth-clients", estate.tenant.admin
    client = document(
        "oauth-client", {"client_id": "id", "client_secret": "old"}, component=relationship("component", component_id)
    )
    made: str = (await admin.post(clients, client)).json()["data"]["id"]
    begun = await admin.post(
        f"{clients}/{made}/secret-rotation", document("client-secret-rotation", {"client_secret": "the new one"})
    )
    assert begun.status_code == 201, begun.text
    return made


async def bound_secret(world: World, estate: Estate) -> str:
    """Return a secret whose token is bound to a key that Keyrack holds."""
    client = await add_auth_client(world.store, estate.tenant.id, "https://as.example/token")
    stored = await add_secret(world.store, estate.tenant, client, {"access_token": "at", "token_type": "DPoP"})
    async with world.store.unit(estate.tenant.id, writes=True) as unit:
        await AuthSecrets(unit).replace(
            replace(stored, dpop_key=new_proof_key(ProofAlgorithm.ES256)), refresh_token_replaced=False
        )
    return stored.id


def suitable_caller(world: World, estate: Estate, operation: str) -> Caller:
    """Return who may do it."""
    if operation in OF_SUPPORT:
        return world.support
    if OF_ADMIN.match(operation):
        return estate.tenant.admin
    return estate.people["owner"] if OF_OWNER.match(operation) else estate.tenant.integrator


def with_ids(body: Any, ids: Mapping[str, str]) -> Any:
    """Return an example with ids and names of what exists, as its reader would send it."""
    if isinstance(body, dict):
        return {name: with_ids(inner, ids) for name, inner in body.items()}
    if isinstance(body, list):
        return [with_ids(inner, ids) for inner in body]
    if isinstance(body, str) and PLACEHOLDER.fullmatch(body):
        return ids[body.lower()]
    team = ids["team_name"]
    commands = {"main/pizza-van:placeOrder": f"{team}/{team}-connected:due"}
    commands["main/calendar:addEvent"] = f"{team}/{team}-calendar:due"
    return commands.get(body, body) if isinstance(body, str) else body


@pytest.mark.parametrize(("operation", "title"), BODIES, ids=[" ".join(each) for each in BODIES])
async def test_an_example_does_what_it_says(
    running: Running, described: Any, estate: Estate, operation: str, title: str
) -> None:
    method, path = operation.split(" ")
    ids = await suitable_ids(running.world, estate, operation)
    who = suitable_caller(running.world, estate, operation)
    shown = described["paths"][path][method.lower()]
    (content,) = shown["requestBody"]["content"].values()
    (body,) = [each["value"] for each in content["examples"].values() if each["summary"] == title]
    async with httpx2.AsyncClient(base_url=running.base, auth=(who.name, who.api_key), timeout=60) as http:
        answer = await http.request(method, path.format(**ids), json=with_ids(body, ids))
    (success,) = [int(status) for status in shown["responses"] if status.startswith("2")]
    assert answer.status_code == success, answer.text


async def test_every_request_body_has_an_example(described: Any) -> None:
    taking = {
        f"{method.upper()} {path}"
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }
    assert len(taking) > 40
    assert taking == set(EXAMPLES)


async def test_oauth_clients_come_first_and_every_section_is_explained(described: Any) -> None:
    sections = [tag["name"] for tag in described["tags"]]
    assert sections[0] == "OAuth clients"
    assert all(tag["description"] for tag in described["tags"])
    used = [operation["tags"][0] for operations in described["paths"].values() for operation in operations.values()]
    assert list(dict.fromkeys(used)) == sections == list(SECTIONS), (
        "a new section gets its place in api/core/openapi.py"
    )


async def test_every_operation_and_parameter_says_what_it_is(described: Any) -> None:
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert " " in operation["summary"], (method, path)
            silent = [given["name"] for given in operation.get("parameters", []) if not given.get("description")]
            assert silent == [], (method, path)


async def test_authorize_says_what_to_type_and_where_it_comes_from(described: Any) -> None:
    explained = described["components"]["securitySchemes"]["basic"]["description"]
    for word in ("email", "service account", "API key", "kr_", "keyrack api-keys create"):
        assert word in explained
        assert word in described["info"]["description"]
