"""Auth clients: contract section 14, the routes of 23, and rules 24.15, 24.17, 24.20, 24.21 and 24.29."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from keyrack.store.audit_log import AuditLog
from keyrack.store.components import ComponentRows
from support.app import World, error_of, relationship, settings_for, world
from support.auth_clients import OAUTH2, PATH, SECOND_GENERATION, auth_client, change, make, one_of_each, scopes_of


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Acme"], "ledger", SECOND_GENERATION, access="global")


@pytest.fixture
async def keyrack_strict(tmp_path: Path) -> AsyncIterator[World]:
    """An installation that sends secrets over https only, as they are by default."""
    async with world(settings_for(tmp_path)) as made:
        yield made


def pointers(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.text
    return {error["source"]["pointer"] for error in answer.json()["errors"]}


@pytest.mark.parametrize("name", ["global", "tenant", "contract", "workspace"])
async def test_create_answers_201_with_at_most_one_scope(keyrack: World, component: str, name: str) -> None:  # 14
    scope = scopes_of(keyrack)[name]
    made = await keyrack.support.post(PATH, auth_client([component], scope))
    assert made.status_code == 201
    data = made.json()["data"]
    relationships: dict[str, Any] = {"components": {"data": [{"id": component, "type": "component"}]}}
    if scope is not None:
        kind, scope_id = scope
        links = {"self": f"/v2/{kind}s/{scope_id}"}
        relationships[kind] = {"data": {"id": scope_id, "type": kind}, "links": links}
    assert made.json() == {
        "data": {
            "id": data["id"],
            "type": "auth-client",
            "links": {"self": f"/v2/auth-clients/{data['id']}"},
            "attributes": {
                "type": "oauth2",
                "name": "Ledger app",
                "credentials": OAUTH2 | {"refresh_token_uri": OAUTH2["token_uri"], "token_expires_in": 3600},
            },
            "relationships": relationships,
        },
        "meta": {},
    }
    assert (await keyrack.support.get(f"{PATH}/{data['id']}/")).json() == made.json()


async def test_many_clients_for_a_component_and_none_of_them_is_an_oauth_client(
    keyrack: World, component: str
) -> None:  # 14, 24.15
    admin, tenant = keyrack.tenants["Globex"].admin, keyrack.tenants["Globex"].id
    body = auth_client([component], ("tenant", tenant))
    assert await make(admin, body) != await make(admin, body)
    assert (await admin.get(f"/v2/tenants/{tenant}/oauth-clients")).json()["data"] == []


@pytest.mark.parametrize(
    ("attributes", "wrong"),
    [
        ({}, {"name", "type", "credentials"}),
        ({"name": " ", "type": "oauth2", "credentials": []}, {"name", "credentials"}),
        ({"name": "n", "type": "basic", "credentials": None}, {"credentials"}),
    ],
)
async def test_all_missing_attributes_are_reported_together(
    keyrack: World, component: str, attributes: dict[str, Any], wrong: set[str]
) -> None:  # 14.2, 3
    body = auth_client([component])
    body["data"]["attributes"] = attributes
    assert pointers(await keyrack.support.post(PATH, body)) == {f"/data/attributes/{name}" for name in wrong}


async def test_type_and_components_are_required(keyrack: World, component: str) -> None:  # 14.2, 4
    body = auth_client([component])
    body["data"]["type"] = "oauth-client"
    assert error_of(await keyrack.support.post(PATH, body))[:2] == (409, "type_conflict")
    del body["data"]["type"]
    del body["data"]["relationships"]
    assert pointers(await keyrack.support.post(PATH, body)) == {"/data/type", "/data/relationships"}
    none = await keyrack.support.post(PATH, auth_client([]))
    assert pointers(none) == {"/data/relationships/components/data"}
    body = auth_client([component])
    body["data"]["relationships"]["components"]["data"][0]["type"] = "team"
    assert pointers(await keyrack.support.post(PATH, body)) == {"/data/relationships/components/data/0/type"}


async def test_an_id_made_up_by_the_caller_is_not_used(keyrack: World, component: str) -> None:  # 4
    body = auth_client([component])
    body["data"]["id"] = "f" * 24
    made = await make(keyrack.support, body)
    assert made != "f" * 24
    body["data"]["id"] = made
    assert error_of(await keyrack.support.post(PATH, body)) == (409, "id_conflict", "/data/id")


@pytest.mark.parametrize("kind", ["oauth2", "oauth2_instagram"])
async def test_oauth2_needs_id_secret_and_two_uris(keyrack: World, component: str, kind: str) -> None:  # 14.2
    empty = await keyrack.support.post(PATH, auth_client([component], credentials={}, kind=kind))
    names = ("client_id", "client_secret", "auth_uri", "token_uri")
    assert pointers(empty) == {f"/data/attributes/credentials/{name}" for name in names}


WRONG: tuple[tuple[str, object], ...] = (
    ("client_id", " "),
    ("client_secret", 7),
    ("auth_uri", "login.example.com/authorize"),
    ("auth_uri", "/authorize"),
    ("token_uri", "ftp://login.example.com/token"),
    ("token_uri", "https://user:pw@login.example.com/token"),
    ("refresh_token_uri", "https://login.example.com/token#f"),
    ("token_expires_in", 0),
    ("token_expires_in", -5),
    ("token_expires_in", "1h"),
    ("token_expires_in", 1.5),
    ("token_expires_in", True),
    ("token_expires_in", 10**12),
    ("token_expires_in", "9" * 5000),
    ("pkce", "false"),
    ("client_auth", "jwt"),
    ("client_auth", ["basic"]),
    ("revocation_uri", "revoke"),
    ("refresh_token_grace", -1),
    ("issuer", "login.example.com"),
    ("issuer", "https://login.example.com?tenant=1"),  # RFC 8414 section 2
    ("issuer", "https://login.example.com#f"),
    ("authorization_response_iss_parameter_supported", "true"),
)


async def test_wrong_credentials_are_400_with_a_pointer(keyrack: World, component: str) -> None:  # 14.2
    for name, value in WRONG:
        answer = await keyrack.support.post(PATH, auth_client([component], credentials=OAUTH2 | {name: value}))
        assert error_of(answer) == (400, "validation_error", f"/data/attributes/credentials/{name}"), value
        assert "shh" not in answer.text
    everything = dict(WRONG)
    answer = await keyrack.support.post(PATH, auth_client([component], credentials=OAUTH2 | everything))
    assert pointers(answer) == {f"/data/attributes/credentials/{name}" for name in everything}


async def test_uris_must_be_https_unless_the_operator_allows_otherwise(keyrack_strict: World) -> None:  # 0.11
    component = await keyrack_strict.add_component(keyrack_strict.tenants["Acme"], "x", SECOND_GENERATION, "global")
    insecure = dict.fromkeys(("auth_uri", "token_uri", "revocation_uri", "issuer"), "http://login.example.com/")
    answer = await keyrack_strict.support.post(PATH, auth_client([component], credentials=OAUTH2 | insecure))
    assert pointers(answer) == {f"/data/attributes/credentials/{name}" for name in insecure}
    local = OAUTH2 | {"token_uri": "https://127.0.0.1/token"}
    answer = await keyrack_strict.support.post(PATH, auth_client([component], credentials=local))
    assert pointers(answer) == {"/data/attributes/credentials/token_uri"}
    assert await make(keyrack_strict.support, auth_client([component]))


async def test_optional_credentials_are_kept_and_unknown_ones_ignored(keyrack: World, component: str) -> None:  # 14.2
    optional = {
        "refresh_token_uri": "https://login.example.com/refresh?z=%2F",
        "token_expires_in": "7200",
        "pkce": False,
        "client_auth": "basic",
        "revocation_uri": "https://login.example.com/revoke",
        "refresh_token_grace": 0,
        "issuer": "https://login.example.com/a/",
        "authorization_response_iss_parameter_supported": True,
    }
    body = auth_client([component], credentials=OAUTH2 | optional | {"verifier": "x"})
    made = await keyrack.support.post(PATH, body)
    assert made.json()["data"]["attributes"]["credentials"] == OAUTH2 | optional | {"token_expires_in": 7200}


@pytest.mark.parametrize(
    ("kind", "credentials"),
    [("basic", {}), ("basic", {"name": "a"}), ("api_key", {"value": {"a": [1]}}), ("noauth", {}), ("anything", {})],
)
async def test_other_types_take_any_object(
    keyrack: World, component: str, kind: str, credentials: dict[str, Any]
) -> None:  # 14
    made = await keyrack.support.post(PATH, auth_client([component], credentials=credentials, kind=kind))
    attributes = made.json()["data"]["attributes"]
    assert attributes == {"type": kind, "name": "Ledger app", "credentials": credentials}


async def test_two_scopes_are_400(keyrack: World, component: str) -> None:  # 14.2
    scopes = scopes_of(keyrack)
    body = auth_client([component], scopes["tenant"])
    body["data"]["relationships"]["workspace"] = relationship("workspace", keyrack.tenants["Globex"].workspace_id)
    wanted = {"/data/relationships/tenant", "/data/relationships/workspace"}
    assert pointers(await keyrack.support.post(PATH, body)) == wanted
    query = f"tenant_id={keyrack.tenants['Globex'].id}&contract_id={keyrack.tenants['Globex'].contract_id}"
    for path in (PATH, f"{PATH}/{'0' * 24}"):
        answer = await keyrack.support.get(f"{path}?{query}")
        assert answer.status_code == 400
        parameters = [error["source"]["parameter"] for error in answer.json()["errors"]]
        assert parameters == ["tenant_id", "contract_id"]


async def test_unknown_scope_is_404(keyrack: World, component: str) -> None:  # 14.2
    for kind in ("tenant", "contract", "workspace"):
        for unknown in ("0" * 24, "nonsense"):
            answer = await keyrack.support.post(PATH, auth_client([component], (kind, unknown)))
            assert error_of(answer) == (404, "related_not_found", f"/data/relationships/{kind}/data/id")
            assert (await keyrack.support.get(f"{PATH}?{kind}_id={unknown}")).status_code == 404
        assert (await keyrack.support.get(f"{PATH}?{kind}_id=")).status_code == 404


async def test_components_must_be_visible_at_the_scope(keyrack: World, component: str) -> None:  # 14.2, section 5
    globex = keyrack.tenants["Globex"]
    foreign = await keyrack.add_component(keyrack.tenants["Acme"], "foreign", SECOND_GENERATION, access="tenant")
    own = await keyrack.add_component(globex, "own", SECOND_GENERATION, access="tenant")
    gated = await keyrack.add_component(
        keyrack.tenants["Acme"], "gated", SECOND_GENERATION | {"useOAuthClient": True}, access="global"
    )
    invisible = {
        "global": [foreign, own, "0" * 24],
        "tenant": [foreign, "0" * 24, "nonsense"],
        "contract": [foreign, gated],
        "workspace": [foreign, gated],
    }
    for name, wrong in invisible.items():
        for each in wrong:
            answer = await keyrack.support.post(PATH, auth_client([component, each], scopes_of(keyrack)[name]))
            wanted = (404, "related_not_found", "/data/relationships/components/data/1/id")
            assert error_of(answer) == wanted, (name, each)
    for name in ("tenant", "contract", "workspace"):
        await make(keyrack.support, auth_client([component, own], scopes_of(keyrack)[name]))
    await make(keyrack.support, auth_client([gated], scopes_of(keyrack)["tenant"]))


async def test_each_parameter_returns_its_scope_and_those_around(keyrack: World, component: str) -> None:  # 14.1
    globex = keyrack.tenants["Globex"]
    ids = await one_of_each(keyrack, component)
    others = await one_of_each(keyrack, component, "Acme")
    queries = {
        "": ["global"],
        f"?tenant_id={globex.id}": ["global", "tenant"],
        f"?contract_id={globex.contract_id}": ["global", "tenant", "contract"],
        f"?workspace_id={globex.workspace_id}": ["global", "tenant", "contract", "workspace"],
    }
    for query, scopes in queries.items():
        listed = (await keyrack.support.get(f"{PATH}{query}")).json()
        wanted = sorted([*(ids[scope] for scope in scopes), others["global"]])
        assert [each["id"] for each in listed["data"]] == wanted, query
        assert listed["meta"] == {}
        for scope, auth_client_id in ids.items():
            found = await keyrack.support.get(f"{PATH}/{auth_client_id}{query}")
            assert found.status_code == (200 if scope in scopes or not query else 404), (query, scope)
        assert (await keyrack.support.get(f"{PATH}/{'0' * 24}{query}")).status_code == 404
        if query:
            assert (await keyrack.support.get(f"{PATH}/{others['workspace']}{query}")).status_code == 404


async def test_list_by_component_and_by_page(keyrack: World, component: str) -> None:  # 14.1, 4
    globex = keyrack.tenants["Globex"]
    other = await keyrack.add_component(globex, "other", SECOND_GENERATION)
    first = await make(globex.admin, auth_client([component], ("workspace", globex.workspace_id)))
    both = await make(globex.admin, auth_client([other, component], ("tenant", globex.id)))
    query = f"{PATH}/?workspace_id={globex.workspace_id}"

    async def ids(more: str) -> list[str]:
        listed = await globex.admin.get(query + more)
        return [each["id"] for each in listed.json()["data"]]

    assert await ids(f"&filter[component]={component}") == [first, both]
    assert await ids(f"&filter%5Bcomponent%5D={other}") == [both]
    assert await ids(f"&filter[component]={'0' * 24}") == []
    assert await ids("&page[size]=1&page[number]=2") == [both]
    paged = (await globex.admin.get(f"{query}&page[size]=1&page[number]=9")).json()
    assert paged == {"data": [], "meta": {"page": 9, "per_page": 1, "total": 2, "total_pages": 2}}


async def test_deleting_a_component_drops_the_link(keyrack: World, component: str) -> None:  # 22, 13.2
    globex = keyrack.tenants["Globex"]
    other = await keyrack.add_component(globex, "other", SECOND_GENERATION)
    made = await make(globex.admin, auth_client([component, other], ("tenant", globex.id)))

    async def linked() -> list[dict[str, str]]:
        found = await globex.admin.get(f"{PATH}/{made}")
        assert found.status_code == 200
        links: list[dict[str, str]] = found.json()["data"]["relationships"]["components"]["data"]
        return links

    assert await linked() == [{"id": each, "type": "component"} for each in sorted([component, other])]
    for gone, left in ((other, [{"id": component, "type": "component"}]), (component, [])):
        async with keyrack.store.unit(globex.id if gone == other else keyrack.tenants["Acme"].id, writes=True) as unit:
            assert await ComponentRows(unit).remove(gone)
        assert await linked() == left


async def test_older_routes_have_the_tenant_as_scope(keyrack: World, component: str) -> None:  # 14.3
    globex = keyrack.tenants["Globex"]
    admin, path = globex.admin, f"/v2/tenants/{globex.id}/auth-clients"
    ids = await one_of_each(keyrack, component)
    listed = (await admin.get(f"{path}/?filter[component]={component}")).json()
    assert [each["id"] for each in listed["data"]] == [ids["global"], ids["tenant"]]
    assert listed == (await admin.get(f"{PATH}?tenant_id={globex.id}")).json()
    made = await admin.post(path, auth_client([component]))
    assert made.status_code == 201
    assert made.json()["data"]["relationships"]["tenant"]["data"]["id"] == globex.id
    same = await admin.post(path, auth_client([component], ("tenant", globex.id)))
    assert same.status_code == 201
    elsewhere = await admin.post(path, auth_client([component], ("workspace", globex.workspace_id)))
    assert error_of(elsewhere) == (400, "validation_error", "/data/relationships/workspace/data/id")
    one = f"{path}/{made.json()['data']['id']}"
    assert (await admin.get(one)).json() == made.json()
    assert (await admin.patch(one, change({"name": "New"}))).json()["data"]["attributes"]["name"] == "New"
    assert (await admin.delete(one)).status_code == 204
    assert (await admin.get(one)).status_code == 404
    for call in (admin.get(f"{path}/{ids['workspace']}"), admin.delete(f"{path}/{ids['workspace']}")):
        assert (await call).status_code == 404, "not available at the tenant's scope"
    assert (await admin.delete(f"{path}/{ids['global']}")).status_code == 403
    unknown = f"/v2/tenants/{'0' * 24}/auth-clients"
    for call in (admin.get(unknown), admin.post(unknown, auth_client([])), admin.delete(f"{unknown}/{ids['tenant']}")):
        assert (await call).status_code == 404
    foreign = f"/v2/tenants/{keyrack.tenants['Acme'].id}/auth-clients"
    for call in (admin.get(foreign), admin.post(foreign, auth_client([component]))):
        assert (await call).status_code == 403


async def test_changes_are_in_the_audit_log(keyrack: World, component: str) -> None:  # 0.16
    globex = keyrack.tenants["Globex"]
    made = await make(globex.admin, auth_client([component], ("workspace", globex.workspace_id)))
    await globex.admin.patch(f"{PATH}/{made}", change({"name": "New"}))
    assert (await globex.guest.delete(f"{PATH}/{made}")).status_code == 403
    assert (await globex.admin.delete(f"{PATH}/{made}")).status_code == 204
    events = (await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events")).json()["data"]
    told = [(each["attributes"]["action"], each["attributes"]["outcome"]) for each in events]
    assert told[-4:] == [
        ("auth-client.create", "allowed"),
        ("auth-client.edit", "allowed"),
        ("auth-client.delete", "denied"),
        ("auth-client.delete", "allowed"),
    ]
    shared = await make(keyrack.support, auth_client([component]))
    async with keyrack.store.installation() as unit:
        rows, _ = await AuditLog(unit).page({"action": "auth-client.create"}, None, None, limit=10, offset=0)
    assert [row.target_id for row in rows] == [shared]
