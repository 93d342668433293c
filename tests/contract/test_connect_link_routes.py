"""The routes of connect links: who may make one, what is refused, and what the answer has (decision 26)."""

from typing import Any

import pytest

from keyrack.store.connect_links import ConnectLinkRows
from support.app import BASE, World, error_of, relationship, settings_for, world
from support.auth_clients import SECOND_GENERATION
from support.connect_links import link_for, make_link
from support.consent import add_oauth_client, oauth_component
from support.documents import ID, TIME

NO_ID = "0" * 24
AUTH, TOKEN = "https://login.example.com/auth", "https://login.example.com/token"


@pytest.fixture(scope="module")
async def parts(keyrack_to_read: World) -> dict[str, str]:
    """Components: one with Globex's client, one without, one of the second generation, one that Globex does not see."""
    keyrack, acme, globex = keyrack_to_read, keyrack_to_read.tenants["Acme"], keyrack_to_read.tenants["Globex"]
    found = {
        "ready": await keyrack.add_component(acme, "ready", oauth_component(AUTH, TOKEN), access="global"),
        "gated": await keyrack.add_component(acme, "gated", oauth_component(AUTH, TOKEN), access="global"),
        "hidden": await keyrack.add_component(acme, "hidden", oauth_component(AUTH, TOKEN), access="tenant"),
        "second": await keyrack.add_component(globex, "second", SECOND_GENERATION),
    }
    await add_oauth_client(keyrack, "Globex", found["ready"], "globex-id", "globex-secret")
    return found


async def test_the_document(keyrack_to_read: World, parts: dict[str, str]) -> None:
    link = await link_for(keyrack_to_read, parts["ready"], name="Shop")
    assert set(link) == {"id", "type", "attributes"}
    assert link["type"] == "connect-link"
    assert ID.fullmatch(link["id"])
    assert set(link["attributes"]) == {"status", "expires_at", "url"}
    assert TIME.fullmatch(link["attributes"]["expires_at"])


@pytest.mark.parametrize("name", ["integrator", "guest", "stranger", "admin"])
async def test_whoever_may_start_a_consent_may_make_a_link(
    keyrack_to_read: World, parts: dict[str, str], name: str
) -> None:
    globex = keyrack_to_read.tenants["Globex"]
    related = {"component": relationship("component", parts["ready"])}
    who = getattr(globex, name)
    made = await make_link(who, globex.workspace_id, related)
    data = {"data": {"type": "oauth-consent", "relationships": related}}
    started = await who.post(f"/v2/workspaces/{globex.workspace_id}/oauth-consents", data)
    assert made.status_code == started.status_code == (201 if name in {"integrator", "admin"} else 403)


async def test_only_the_maker_sees_it(keyrack_to_read: World, parts: dict[str, str]) -> None:
    globex = keyrack_to_read.tenants["Globex"]
    link = await link_for(keyrack_to_read, parts["ready"])
    path = f"/v2/workspaces/{globex.workspace_id}/connect-links"
    assert (await globex.integrator.get(f"{path}/{link['id']}")).status_code == 200
    assert (await globex.integrator.get(f"{path}/{NO_ID}")).status_code == 404
    assert (await globex.guest.get(f"{path}/{link['id']}")).status_code == 403


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"return_url": "https://elsewhere.example/"}, "return_url"),
        ({"return_url": f"{BASE}/{'x' * 4070}"}, "return_url"),  # too long only with what is added
        ({"expires_in": 59}, "expires_in"),
        ({"expires_in": 604801}, "expires_in"),
        ({"expires_in": "300"}, "expires_in"),
        ({"expires_in": 300.5}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"opener_origin": "https://app.example/path"}, "opener_origin"),
        ({"opener_origin": "https://app.example?x"}, "opener_origin"),
        ({"opener_origin": "https://me@app.example"}, "opener_origin"),
        ({"opener_origin": "http://app.example"}, "opener_origin"),
        ({"opener_origin": "*"}, "opener_origin"),
        ({"opener_origin": "null"}, "opener_origin"),
        ({"opener_origin": "javascript:alert(1)"}, "opener_origin"),
        ({"opener_origin": "https://app.example\u202e"}, "opener_origin"),
        ({"name": 5}, "name"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(str(each)[:40] for each in value.items()),
)
async def test_what_is_wrong_is_pointed_to(
    keyrack_to_read: World, parts: dict[str, str], attributes: dict[str, Any], pointer: str
) -> None:
    related = {"component": relationship("component", parts["ready"])}
    globex = keyrack_to_read.tenants["Globex"]
    answer = await make_link(globex.integrator, globex.workspace_id, related, **attributes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["source"]["pointer"] == f"/data/attributes/{pointer}"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443/", "https://app.example"),
        ("https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
    ids=["case", "port", "IDNA", "local", "IPv6"],
)
async def test_an_origin_is_stored_as_browsers_spell_it(
    keyrack_to_read: World, parts: dict[str, str], given: str, stored: str
) -> None:
    link = await link_for(keyrack_to_read, parts["ready"], opener_origin=given)
    async with keyrack_to_read.store.unit(keyrack_to_read.tenants["Globex"].id) as unit:
        found = await ConnectLinkRows(unit).find(link["id"])
    assert found is not None
    assert found.opener_origin == stored


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("gated", 409, "oauth_client_missing"), ("hidden", 404, "not_found"), ("second", 400, "invalid"), ("", 400, "")],
    ids=["no client", "not seen", "needs an auth client", "nothing named"],
)
async def test_what_could_not_be_connected_is_refused_at_once(
    keyrack_to_read: World, parts: dict[str, str], name: str, status: int, code: str
) -> None:
    globex = keyrack_to_read.tenants["Globex"]
    related = {"component": relationship("component", parts[name])} if name else {}
    answer = await make_link(globex.integrator, globex.workspace_id, related)
    assert answer.status_code == status, answer.text
    assert code in answer.json()["errors"][0]["code"] or status == 400


@pytest.mark.parametrize("kind", ["auth-client", "auth-secret", "credential"])
async def test_what_is_not_there_is_refused(keyrack_to_read: World, parts: dict[str, str], kind: str) -> None:
    globex = keyrack_to_read.tenants["Globex"]
    related = {
        "auth-client": {"auth_client": relationship("auth-client", NO_ID)},
        "auth-secret": {
            "auth_client": relationship("auth-client", NO_ID),
            "auth_secret": relationship("auth-secret", NO_ID),
        },
        "credential": {
            "component": relationship("component", parts["ready"]),
            "credential": relationship("credential", NO_ID),
        },
    }[kind]
    answer = await make_link(globex.integrator, globex.workspace_id, related)
    assert answer.status_code == 404, answer.text


async def test_open_links_count_as_pending_consents(tmp_path: Any) -> None:
    settings = settings_for(tmp_path, public_url=BASE, quota_pending_consents="2")
    async with world(settings) as keyrack:
        globex = keyrack.tenants["Globex"]
        component = await keyrack.add_component(globex, "own", oauth_component(AUTH, TOKEN))
        await add_oauth_client(keyrack, "Globex", component, "globex-id", "globex-secret")
        related = {"component": relationship("component", component)}
        answers = [await make_link(globex.integrator, globex.workspace_id, related) for _ in range(3)]
        assert [each.status_code for each in answers] == [201, 201, 409]
        assert error_of(answers[-1])[:2] == (409, "quota_exceeded")
