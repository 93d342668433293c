"""The routes of a consent and what starting one refuses: contract 20.1, 20.2, 0.3, 0.4, 0.7, 0.11.

What comes after the browser went to the provider is in `tests/flows/test_consent*.py`.
"""

from typing import Any

import pytest

from keyrack.model.tenancy import Role
from keyrack.store.contracts import ContractMembers
from keyrack.store.tenants import RolePolicy
from keyrack.store.workspaces import WorkspaceMembers
from support.app import BASE, Caller, World, error_of, relationship
from support.consent import add_oauth_client, oauth_component, query_of
from support.documents import ID, TIME

NO_ID = "0" * 24
LINK = "/data/relationships/component/data/id"
AUTH, TOKEN = "https://login.example.com/auth?own=1", "https://login.example.com/token"


@pytest.fixture(scope="module")
async def parts(keyrack_to_read: World) -> dict[str, str]:
    """Global components of Acme: one with Globex's client, one without, and others that cannot be connected."""
    world, acme, globex = keyrack_to_read, keyrack_to_read.tenants["Acme"], keyrack_to_read.tenants["Globex"]
    legacy = oauth_component(AUTH, TOKEN) | {"useOAuthClient": False}
    second = oauth_component(AUTH, TOKEN) | {"authClientTypes": ["oauth2"]}
    no_block = {"useOAuthClient": True, "credentials": {"fields": {"oauth": {"viewClass": "OAuthFieldView"}}}}
    descriptors: dict[str, Any] = {
        "ready": oauth_component(AUTH, TOKEN, access_type="offline", prompt="consent", scopes=["a", "b"]),
        "gated": oauth_component(AUTH, TOKEN),
        "legacy": legacy,
        "second": second,
        "plain": no_block,
        "unbuilt": None,
    }
    found = {
        name: await world.add_component(acme, name, descriptor, access="global")
        for name, descriptor in descriptors.items()
    }
    found["hidden"] = await world.add_component(acme, "hidden", oauth_component(AUTH, TOKEN), access="tenant")
    for name in ("ready", "second", "plain"):
        await add_oauth_client(world, "Globex", found[name], "globex-id", "globex-secret")
    about = {
        "component": relationship("component", found["ready"]),
        "workspace": relationship("workspace", globex.workspace_id),
    }
    body = {"data": {"type": "credential", "relationships": about}}
    found["credential"] = (await globex.integrator.post("/v2/credentials", body)).json()["data"]["id"]
    found["acme"] = acme.workspace_id
    return found


def path(world: World) -> str:
    return f"/v2/workspaces/{world.tenants['Globex'].workspace_id}/oauth-consents"


def who(world: World) -> Caller:
    return world.tenants["Globex"].integrator


def consent(component: str, credential: str | None = None, **attributes: Any) -> dict[str, Any]:
    about = {"component": relationship("component", component)}
    if credential is not None:
        about["credential"] = relationship("credential", credential)
    return {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": about}}


async def test_the_resource(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 20.2
    answer = await who(keyrack_to_read).post(path(keyrack_to_read), consent(parts["ready"], name="Mine"))
    data = answer.json()["data"]
    attributes = data["attributes"]
    assert ID.fullmatch(data["id"])
    assert TIME.fullmatch(attributes["expires_at"])
    resource = {
        "id": data["id"],
        "type": "oauth-consent",
        "attributes": {
            "authorization_url": attributes["authorization_url"],
            "status": "pending",
            "expires_at": attributes["expires_at"],
        },
    }
    assert (answer.status_code, answer.json()) == (201, {"data": resource, "meta": {}})
    one = f"{path(keyrack_to_read)}/{data['id']}"
    assert (await who(keyrack_to_read).get(one)).json() == {"data": resource, "meta": {}}
    for other in (keyrack_to_read.tenants["Globex"].admin, keyrack_to_read.support):
        assert error_of(await other.get(one))[:2] == (404, "not_found"), "creator only"
    assert error_of(await who(keyrack_to_read).get(f"{path(keyrack_to_read)}/{NO_ID}"))[:2] == (404, "not_found")


async def test_the_authorization_url(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 20.1, 20.2, 19.2, 0.6
    extra = {"login_hint": "me", "prompt": "login", "state": "mine", "client_id": "mine", "n": 1, "yes": True}
    body = consent(parts["ready"], additional_params=extra)
    answer = await who(keyrack_to_read).post(path(keyrack_to_read), body)
    address = answer.json()["data"]["attributes"]["authorization_url"]
    assert address.startswith("https://login.example.com/auth?own=1&")
    query = query_of(address)
    assert len(query.pop("state")) >= 22  # 128 bits
    assert len(query.pop("code_challenge")) == 43
    assert query == {
        "own": "1",
        "response_type": "code",
        "client_id": "globex-id",
        "redirect_uri": f"{BASE}/callback/oauth2",
        "scope": "a b",
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "login",  # descriptor extras, then the user's
        "login_hint": "me",
        "n": "1",
        "yes": "true",
    }


# fmt: off
REFUSED: list[tuple[str, str, dict[str, Any], tuple[int, str, str | None]]] = [
    # section, component, what differs,                    status, code, pointer
    ("20.2", "unknown", {},                                 (404, "related_not_found", LINK)),
    ("20.2", "hidden",  {},                                 (404, "related_not_found", LINK)),
    ("0.4",  "gated",   {},                                 (409, "oauth_client_missing", LINK)),
    ("20.2", "legacy",  {},                                 (409, "oauth_client_missing", LINK)),  # not its own
    ("19.1", "second",  {},                 (400, "validation_error", "/data/relationships/auth_client")),
    ("19.1", "plain",   {},                                 (400, "validation_error", None)),
    ("20.2", "unbuilt", {},                                 (400, "validation_error", LINK)),
    ("4",    "ready",   {"type": "consent"},                (409, "type_conflict", "/data/type")),
    ("20.2", "ready",   {"relationships": {}},              (400, "validation_error", "/data/relationships/component")),
    ("4",    "ready",   {"relationships": {"component": relationship("flow", NO_ID)}},
                                            (400, "validation_error", "/data/relationships/component/data/type")),
    ("20.2", "ready",   {"attributes": {"fields": []}},     (400, "validation_error", "/data/attributes/fields")),
    ("19.3", "ready",   {"attributes": {"fields": {"oauth": "x"}}},
                                            (400, "validation_error", "/data/attributes/fields/oauth")),
    ("0.7",  "ready",   {"attributes": {"return_url": "https://evil.example/"}},
                                            (400, "validation_error", "/data/attributes/return_url")),
]
"""20.2: what starting refuses; nothing is started then."""
# fmt: on


@pytest.mark.parametrize(("section", "component", "differs", "expected"), REFUSED)
async def test_refused(
    keyrack_to_read: World,
    parts: dict[str, str],
    section: str,
    component: str,
    differs: dict[str, Any],
    expected: tuple[int, str, str | None],
) -> None:
    body = {"data": consent(parts.get(component, NO_ID))["data"] | differs}
    assert error_of(await who(keyrack_to_read).post(path(keyrack_to_read), body)) == expected, section


async def test_a_missing_client_comes_with_a_hint(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 0.4
    answer = await who(keyrack_to_read).post(path(keyrack_to_read), consent(parts["gated"]))
    assert "tenant admin" in answer.json()["errors"][0]["detail"]


async def test_a_credential_to_connect_again_must_fit(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 20.2
    fits = await who(keyrack_to_read).post(path(keyrack_to_read), consent(parts["ready"], parts["credential"]))
    assert fits.status_code == 201, fits.text
    pointer = "/data/relationships/credential/data/id"
    unknown = await who(keyrack_to_read).post(path(keyrack_to_read), consent(parts["ready"], NO_ID))
    assert error_of(unknown) == (404, "related_not_found", pointer)


async def test_who_is_no_member_cannot_start_what_the_callback_would_refuse(keyrack: World) -> None:  # 0.17
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(globex, "own", oauth_component(AUTH, TOKEN))
    await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        editor = Role("tenants", "editor", frozenset({"workspaces.credential.edit"}), {"en": "Editor"})
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), editor])
    stranger = await keyrack.add_user(globex.id, "editor@globex.example", tenant_roles=["editor"])
    answer = await stranger.post(path(keyrack), consent(component))
    assert error_of(answer) == (403, "forbidden", None)
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await ContractMembers(unit).add(globex.contract_id, stranger.id, [])
        await WorkspaceMembers(unit).add(globex.workspace_id, stranger.id, [])
    assert (await stranger.post(path(keyrack), consent(component))).status_code == 201


async def test_who_may_start(keyrack_to_read: World, parts: dict[str, str]) -> None:  # 20.2, 3
    globex, foreign = keyrack_to_read.tenants["Globex"], keyrack_to_read.tenants["Acme"].admin
    callers = {
        globex.admin: 201,
        globex.integrator: 201,
        globex.guest: 403,
        globex.stranger: 403,
        foreign: 403,
        keyrack_to_read.support: 403,  # only a person has an account to connect
    }
    for caller, status in callers.items():
        answer = await caller.post(path(keyrack_to_read), consent(parts["ready"]))
        assert answer.status_code == status, caller.name
    nowhere = await globex.integrator.post(f"/v2/workspaces/{NO_ID}/oauth-consents", consent(parts["ready"]))
    assert error_of(nowhere)[:2] == (404, "not_found")
    refused = await globex.guest.post(path(keyrack_to_read), {"data": {}})
    assert refused.status_code == 403, "permission before the body's content"
