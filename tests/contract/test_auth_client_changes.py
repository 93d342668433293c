"""Changing and deleting auth clients: contract 14.3, and what attached secrets block (section 22)."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from keyrack import clock, ids
from keyrack.errors import RelatedNotFound
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.authz.access import Access
from keyrack.service.clients.auth_client_availability import available_client
from keyrack.service.clients.auth_client_values import ChangedAuthClient
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.contracts import ContractMembers
from keyrack.store.schema import auth_clients, auth_secrets
from support.app import Caller, World, error_of, relationship
from support.auth_clients import OAUTH2, PATH, SECOND_GENERATION, auth_client, change, make, one_of_each, scopes_of

STORED = OAUTH2 | {"refresh_token_uri": OAUTH2["token_uri"]}


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Acme"], "ledger", SECOND_GENERATION, access="global")


@pytest.fixture
async def client(keyrack: World, component: str) -> str:
    body = auth_client([component], ("tenant", keyrack.tenants["Globex"].id), OAUTH2 | {"client_auth": "basic"})
    return await make(keyrack.tenants["Globex"].admin, body)


def secret_of(auth_client_id: str, world: World, tenant: str = "Globex", who: Caller | None = None) -> AuthSecret:
    where, now = world.tenants[tenant], clock.now()
    return AuthSecret(
        id=ids.new_id(), tenant_id=where.id, workspace_id=where.workspace_id, user_id=(who or where.integrator).id,
        auth_client_id=auth_client_id, name="n", type="oauth2", credentials={}, auth_method=None, refreshable=False,
        state=SecretState.ready, error=None, error_code=None, error_at=None, issued_at=None, expires_at=None,
        generation=1, due_at=None, retry_at=None, refreshed_at=None, ambiguous_since=None, failure=None,
        failure_count=0, failed_at=None, last_used_at=None, created_at=now, updated_at=now,
    )  # fmt: skip


async def attach(world: World, auth_client_id: str, tenant: str = "Globex") -> str:
    secret = secret_of(auth_client_id, world, tenant)
    async with world.store.unit(secret.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).add(secret)
    return secret.id


async def test_name_secret_lifetime_and_components_can_change(keyrack: World, client: str) -> None:
    admin = keyrack.tenants["Globex"].admin
    other = await keyrack.add_component(keyrack.tenants["Globex"], "other", SECOND_GENERATION)
    body = change(
        {"name": "New", "credentials": {"client_secret": "new", "token_expires_in": "60"}},
        components={"data": [{"id": other, "type": "component"}]},
    )
    changed = await admin.patch(f"{PATH}/{client}/", body)
    assert changed.status_code == 200, changed.text
    data = changed.json()["data"]
    assert data["attributes"]["name"] == "New"
    assert data["attributes"]["credentials"] == STORED | {
        "client_secret": "new",
        "token_expires_in": 60,
        "client_auth": "basic",
    }
    assert data["relationships"]["components"]["data"] == [{"id": other, "type": "component"}]
    assert (await admin.get(f"{PATH}/{client}")).json() == changed.json()


async def test_what_is_left_out_stays_and_null_removes_what_is_optional(keyrack: World, client: str) -> None:
    admin = keyrack.tenants["Globex"].admin
    before = (await admin.get(f"{PATH}/{client}")).json()
    for nothing in (change(), change({}), change({"credentials": {}})):
        assert (await admin.patch(f"{PATH}/{client}", nothing)).json() == before
    removed = await admin.patch(f"{PATH}/{client}", change({"credentials": {"client_auth": None, "pkce": None}}))
    assert removed.json()["data"]["attributes"]["credentials"] == STORED | {"token_expires_in": 3600}
    answer = await admin.patch(f"{PATH}/{client}", change({"credentials": {"client_secret": None}}))
    assert error_of(answer) == (400, "validation_error", "/data/attributes/credentials/client_secret")


async def test_the_document_can_be_sent_back_as_it_came(keyrack: World, client: str) -> None:
    admin = keyrack.tenants["Globex"].admin
    before = (await admin.get(f"{PATH}/{client}")).json()
    again = await admin.patch(f"{PATH}/{client}", {"data": before["data"]})
    assert again.status_code == 200, again.text
    assert again.json() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", "other"),
        ("auth_uri", "https://evil.example/authorize"),
        ("token_uri", "https://evil.example/token"),
        ("refresh_token_uri", "https://evil.example/token"),
        ("refresh_token_uri", None),
        ("revocation_uri", "https://evil.example/revoke"),
    ],
)
async def test_client_id_and_uris_cannot_change(keyrack: World, client: str, name: str, value: object) -> None:
    answer = await keyrack.tenants["Globex"].admin.patch(f"{PATH}/{client}", change({"credentials": {name: value}}))
    assert error_of(answer) == (400, "validation_error", f"/data/attributes/credentials/{name}")


async def test_type_and_scope_cannot_change_but_may_be_repeated(keyrack: World, client: str) -> None:
    globex = keyrack.tenants["Globex"]
    answer = await globex.admin.patch(f"{PATH}/{client}", change({"type": "basic"}))
    assert error_of(answer) == (400, "validation_error", "/data/attributes/type")
    for kind, wrong in (
        ("workspace", globex.workspace_id),
        ("contract", globex.contract_id),
        ("tenant", keyrack.tenants["Acme"].id),
    ):
        answer = await globex.admin.patch(f"{PATH}/{client}", change(**{kind: relationship(kind, wrong)}))
        assert error_of(answer) == (400, "validation_error", f"/data/relationships/{kind}/data/id")
    same = change({"type": "oauth2"}, tenant=relationship("tenant", globex.id))
    assert (await globex.admin.patch(f"{PATH}/{client}", same)).status_code == 200


async def test_body_of_a_change_is_checked(keyrack: World, client: str, component: str) -> None:  # 4
    admin = keyrack.tenants["Globex"].admin
    body = change({"name": "n"})
    body["data"]["id"] = "0" * 24
    assert error_of(await admin.patch(f"{PATH}/{client}", body))[:2] == (409, "id_conflict")
    body = change({"name": "n"})
    body["data"]["type"] = "flow"
    assert error_of(await admin.patch(f"{PATH}/{client}", body))[:2] == (409, "type_conflict")
    for links in ([], [{"id": component, "type": "team"}]):
        answer = await admin.patch(f"{PATH}/{client}", change(components={"data": links}))
        assert error_of(answer)[:2] == (400, "validation_error")
    hidden = await keyrack.add_component(keyrack.tenants["Acme"], "hidden", SECOND_GENERATION)
    links = [{"id": each, "type": "component"} for each in (component, hidden)]
    answer = await admin.patch(f"{PATH}/{client}", change(components={"data": links}))
    assert error_of(answer) == (404, "related_not_found", "/data/relationships/components/data/1/id")


async def test_credentials_of_other_types_are_replaced_as_a_whole(keyrack: World, component: str) -> None:
    globex = keyrack.tenants["Globex"]
    body = auth_client([component], ("workspace", globex.workspace_id), {"name": "a", "value": "b"}, kind="api_key")
    made = await make(globex.integrator, body)
    changed = await globex.integrator.patch(f"{PATH}/{made}", change({"credentials": {"value": "c"}}))
    assert changed.json()["data"]["attributes"]["credentials"] == {"value": "c"}
    kept = await globex.integrator.patch(f"{PATH}/{made}", change({"name": "New"}))
    assert kept.json()["data"]["attributes"] == {"type": "api_key", "name": "New", "credentials": {"value": "c"}}


async def test_setting_credentials_again_ends_a_rejection_and_revives_what_waited(
    keyrack: World, client: str
) -> None:  # 0.13
    globex, now = keyrack.tenants["Globex"], clock.now()
    expires_at = now + timedelta(hours=1)
    waiting = replace(secret_of(client, keyrack), refreshable=True, issued_at=now, expires_at=expires_at)
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await AuthSecrets(unit).add(waiting)

    async def reject() -> None:
        async with keyrack.store.unit(globex.id, writes=True) as unit:
            rejected = {"rejected_at": now, "rejection": {"error": "x"}}
            await unit.connection.execute(auth_clients.update().values(rejected))
            await unit.connection.execute(auth_secrets.update().values(due_at=None))

    async def state() -> tuple[bool, datetime | None]:
        async with keyrack.store.unit(globex.id) as unit:
            found, secret = await AuthClientRows(unit).find(client), await AuthSecrets(unit).find(waiting.id)
        assert found is not None
        assert secret is not None
        return found.rejected_at is not None, secret.due_at

    await reject()
    renamed = await globex.admin.patch(f"{PATH}/{client}", change({"name": "New"}))
    assert (renamed.status_code, await state()) == (200, (True, None)), "a new name mends nothing"
    for secret in ("shh", "new"):
        await reject()
        again = await globex.admin.patch(f"{PATH}/{client}", change({"credentials": {"client_secret": secret}}))
        assert again.status_code == 200, again.text
        rejected, due_at = await state()
        assert not rejected
        assert due_at is not None
        assert timedelta(seconds=29) < expires_at - due_at < timedelta(seconds=31)


@pytest.mark.parametrize("name", ["global", "tenant", "contract", "workspace"])
async def test_delete_is_refused_while_a_secret_is_attached(keyrack: World, component: str, name: str) -> None:
    wanted = (await one_of_each(keyrack, component))[name]
    secret = await attach(keyrack, wanted)
    blocked = await keyrack.support.delete(f"{PATH}/{wanted}")
    assert error_of(blocked)[:2] == (409, "in_use")
    named = [] if name == "global" else [secret]
    assert blocked.json()["errors"][0]["meta"] == {"secret_ids": named, "secrets": 1}
    async with keyrack.store.unit(keyrack.tenants["Globex"].id, writes=True) as unit:
        assert await AuthSecrets(unit).remove(secret)
    assert (await keyrack.support.delete(f"{PATH}/{wanted}")).status_code == 204
    assert (await keyrack.support.get(f"{PATH}/{wanted}")).status_code == 404
    assert (await keyrack.support.delete(f"{PATH}/{wanted}")).status_code == 404


async def test_a_secret_in_another_tenant_blocks_a_global_client(keyrack: World, component: str) -> None:
    shared = await make(keyrack.support, auth_client([component]))
    await attach(keyrack, shared, "Acme")
    await attach(keyrack, shared, "Globex")
    blocked = await keyrack.support.delete(f"{PATH}/{shared}")
    assert blocked.json()["errors"][0]["meta"]["secrets"] == 2


async def test_secrets_of_foreign_workspaces_are_a_number(keyrack: World, component: str) -> None:  # 0.15
    globex = keyrack.tenants["Globex"]
    owner = await keyrack.add_user(globex.id, "owner@globex.example")
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await ContractMembers(unit).add(globex.contract_id, owner.id, ["owner"])
    made = await make(owner, auth_client([component], scopes_of(keyrack)["contract"]))
    secret = await attach(keyrack, made)
    blocked = await owner.delete(f"{PATH}/{made}")
    assert blocked.json()["errors"][0]["meta"] == {"secret_ids": [], "secrets": 1}
    assert secret not in blocked.text
    blocked = await globex.admin.delete(f"{PATH}/{made}")
    assert blocked.json()["errors"][0]["meta"] == {"secret_ids": [secret], "secrets": 1}


@pytest.mark.parametrize("first", ["attach", "delete"])
async def test_attaching_and_deleting_at_once_never_leaves_a_secret_without_client(
    keyrack_on_each: World, first: str
) -> None:
    """Whoever comes first wins, and the other is told: 409 for the deletion, 404 for the attachment."""
    world, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    component = await world.add_component(globex, "ledger", SECOND_GENERATION)
    who = Principal(PrincipalKind.user, globex.integrator.id, globex.integrator.name, globex.id)
    for scope in ("global", "workspace"):
        wanted = await make(
            world.support, auth_client([await _shared(world, component, scope)], scopes_of(world)[scope])
        )
        secret = secret_of(wanted, world)
        begun = asyncio.Event()

        async def attach_slowly(
            wanted: str = wanted, secret: AuthSecret = secret, begun: asyncio.Event = begun
        ) -> None:
            async with Access(world.store).workspace(who, globex.workspace_id, "auth-secret.create") as entered:
                await available_client(entered, wanted, held=True)
                begun.set()
                await asyncio.sleep(0.2)
                await AuthSecrets(entered.unit).add(secret)
                entered.audit_target("auth-secret", secret.id)

        if first == "attach":
            attaching = asyncio.create_task(attach_slowly())
            await begun.wait()
            assert error_of(await world.support.delete(f"{PATH}/{wanted}"))[:2] == (409, "in_use")
            await attaching
        else:
            assert (await world.support.delete(f"{PATH}/{wanted}")).status_code == 204
            with pytest.raises(RelatedNotFound, match="no such auth client"):
                await attach_slowly()


def _same(command: ChangedAuthClient) -> ChangedAuthClient:
    return command


async def _shared(world: World, component: str, scope: str) -> str:
    """A global client takes only components that everybody sees."""
    if scope != "global":
        return component
    return await world.add_component(world.tenants["Acme"], "shared", SECOND_GENERATION, access="global")


async def test_an_issuer_can_be_added_once(keyrack: World, client: str) -> None:  # 0.23
    admin = keyrack.tenants["Globex"].admin
    named, pointer = "https://login.example.com", "/data/attributes/credentials/issuer"
    wrong = await admin.patch(f"{PATH}/{client}", change({"credentials": {"issuer": "https://a.example?b"}}))
    assert error_of(wrong) == (400, "validation_error", pointer)
    for given in ({"issuer": named}, {"issuer": named, "authorization_response_iss_parameter_supported": True}):
        changed = await admin.patch(f"{PATH}/{client}", change({"credentials": given}))
        assert changed.status_code == 200, changed.text
        assert changed.json()["data"]["attributes"]["credentials"]["issuer"] == named
    for other in ("https://other.example", f"{named}/", None):
        refused = await admin.patch(f"{PATH}/{client}", change({"credentials": {"issuer": other}}))
        assert error_of(refused) == (400, "validation_error", pointer), other
