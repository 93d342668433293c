"""What a component finds at run time: contract 13.4, 18.1, 0.3, 0.8, 0.16; rules 24.2 and 24.10."""

from typing import Any

import pytest

from support.app import World, error_of
from support.components import build
from support.consent import add_oauth_client
from support.documents import TIME

OWNER = {"K": "acme-key", "S": "acme-secret", "P": "part", "REGION": "eu"}
CLIENT = {"OAUTH_CLIENT_ID": "globex-id", "OAUTH_CLIENT_SECRET": "globex-secret"}


def oauth2(client_id: Any = "{{K}}", secret: Any = "{{ S }}", *, asks: bool = True) -> dict[str, Any]:
    return {"useOAuthClient": asks, "credentials": {"oauth2": {"client_id": client_id, "client_secret": secret}}}


# fmt: off
FOUND: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    # section, descriptor,                 what Globex's runner finds beside REGION; its client is globex-id
    ("18.1", oauth2(),                      {"P": "part", "K": "globex-id", "S": "globex-secret", **CLIENT}),
    ("18.1", oauth2("x-{{K}}"),             {"P": "part", "S": "globex-secret", **CLIENT}),  # not one placeholder
    ("0.8",  oauth2("{{P}}{{K}}"),          {"S": "globex-secret", **CLIENT}),  # anywhere in the template
    ("19.2", oauth2("", ""),                {**OWNER, **CLIENT}),  # a rendering loss: no link
    ("19.2", oauth2("literal", None),       {**OWNER, **CLIENT}),
    ("0.8",  oauth2(asks=False),            {"P": "part"}),  # no client, and no owner's keys
    ("19.1", {"useOAuthClient": True, "oauth2": {"client_id": "{{K}}", "client_secret": "{{S}}"}},
                                            {"P": "part", "K": "globex-id", "S": "globex-secret", **CLIENT}),
    ("19.1", {"credentials": {"useOAuthClient": True, "oauth2": {"client_id": "{{K}}"}}},
                                            {"P": "part", "S": "acme-secret", "K": "globex-id", **CLIENT}),
    ("21",   {"useOAuthClient": True, "credentials": {"oauth1": {"consumer_key": "{{K}}", "consumer_secret": "{{S}}"}}},
                                            {"P": "part", "K": "globex-id", "S": "globex-secret", **CLIENT}),
    ("18.1", {"actions": {}},               OWNER),                                           # shared as before
]
# fmt: on


@pytest.mark.parametrize(("section", "descriptor", "found"), FOUND)
async def test_what_another_tenant_finds(
    keyrack: World, section: str, descriptor: dict[str, Any], found: dict[str, str]
) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(acme, "shared", descriptor, access="global")
    await put(keyrack, component, OWNER)
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    path = f"components/{component}/runtime-env"
    answer = await keyrack.support.get(f"/v2/workspaces/{globex.workspace_id}/{path}")
    variables = {"vars": {"REGION": "eu", **found}}
    document = {"data": {"id": component, "type": "runtime-env", "attributes": variables}, "meta": {}}
    assert (answer.status_code, answer.json()) == (200, document), section
    own = await keyrack.support.get(f"/v2/workspaces/{acme.workspace_id}/{path}")
    assert own.json()["data"]["attributes"]["vars"] == OWNER, "8.6: the owner without a client keeps its variables"


async def put(world: World, component: str, variables: dict[str, Any]) -> Any:
    body = {"data": {"type": "component-env", "attributes": {"vars": variables}}}
    return await world.tenants["Acme"].admin.put(f"/v2/components/{component}/env", body)


async def test_a_variable_that_was_a_key_once_stays_the_owners(keyrack: World) -> None:  # 0.8, 24.2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(acme, "shared", oauth2("{{OLD_KEY}}", "{{OLD_SECRET}}"), access="global")
    assert (await build(keyrack, component, oauth2())).status_code == 201
    await put(keyrack, component, OWNER | {"OLD_KEY": "acme-old-key", "OLD_SECRET": "acme-old-secret"})
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    path = f"/v2/workspaces/{globex.workspace_id}/components/{component}/runtime-env"
    assert "acme-old" not in (await keyrack.support.get(path)).text
    for revision in ("latest", "latest"):
        await acme.admin.delete(f"/v2/components/{component}/versions/{revision}")
    assert (await keyrack.support.get(path)).json()["data"]["attributes"]["vars"] == {}, "no build, no telling"


async def test_use_is_noted(keyrack: World) -> None:  # 0.15
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component = await keyrack.add_component(acme, "shared", oauth2(), access="global")
    client = await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    usage = f"/v2/tenants/{globex.id}/oauth-clients/{client}/usage"
    attributes = {"flows": [], "credentials": 0, "workspaces": 0, "last_used_at": None}
    document = {"data": {"id": client, "type": "oauth-client-usage", "attributes": attributes}, "meta": {}}
    assert (await globex.admin.get(usage)).json() == document
    await keyrack.support.get(f"/v2/workspaces/{globex.workspace_id}/components/{component}/runtime-env")
    used = (await globex.admin.get(usage)).json()["data"]["attributes"]["last_used_at"]
    assert TIME.fullmatch(used)


async def test_only_a_service_account_with_the_permission(keyrack: World) -> None:  # 0.3, 0.16
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(globex, "own", oauth2())
    path = f"/v2/workspaces/{globex.workspace_id}/components/{component}/runtime-env"
    for who in (globex.admin, globex.integrator, await keyrack.add_service_account("workspaces.credential.edit")):
        assert error_of(await who.get(path))[:2] == (403, "forbidden")
    runner = await keyrack.add_service_account("global.runtime_env.get")
    assert (await runner.get(path)).status_code == 200
    hidden = await keyrack.add_component(keyrack.tenants["Acme"], "hidden", oauth2(), access="tenant")
    for unknown in (hidden, "0" * 24):
        absent = await runner.get(f"/v2/workspaces/{globex.workspace_id}/components/{unknown}/runtime-env")
        assert error_of(absent)[:2] == (404, "not_found")


# fmt: off
VARS: list[tuple[str, Any, Any]] = [
    # section, vars,                                      stored, or the pointer of a 400
    ("13.4", {"A": "text", "b_2": ""},                     {"A": "text", "b_2": ""}),
    ("13.4", {"N": 1, "F": 1.5, "T": True, "X": None},     {"N": "1", "F": "1.5", "T": "true"}),
    ("13.4", {},                                           {}),
    ("13.4", {"ELASTICIO_STEP_ID": "x"},                   "/data/attributes/vars/ELASTICIO_STEP_ID"),
    ("13.4", {"1A": "x"},                                  "/data/attributes/vars"),
    ("13.4", {"_A": "x"},                                  "/data/attributes/vars"),
    ("13.4", {"A-B": "x"},                                 "/data/attributes/vars"),
    ("13.4", {"A\n": "x"},                                 "/data/attributes/vars"),
    ("13.4", [],                                           "/data/attributes/vars"),
    ("13.4", None,                                         "/data/attributes/vars"),
]
"""13.4: PUT replaces the whole set (24.22)."""
# fmt: on


@pytest.mark.parametrize(("section", "given", "expected"), VARS, ids=str)
async def test_variables(keyrack_to_read: World, section: str, given: Any, expected: Any) -> None:
    from keyrack.ids import new_id  # noqa: PLC0415 - only used here

    acme = keyrack_to_read.tenants["Acme"]
    component = await keyrack_to_read.add_component(acme, f"vars-{new_id()}", {})
    path = f"/v2/components/{component}/env"
    await put(keyrack_to_read, component, {"BEFORE": "1"})
    answer = await put(keyrack_to_read, component, given)
    if isinstance(expected, str):
        assert error_of(answer) == (400, "validation_error", expected), section
        expected = {"BEFORE": "1"}
    document = {
        "data": {
            "id": component,
            "type": "component-env",
            "links": {"self": f"/v2/component-envs/{component}"},
            "attributes": {"vars": expected},
        },
        "meta": {},
    }
    assert (await acme.admin.get(path)).json() == document
    assert answer.status_code == 400 or answer.json() == document
