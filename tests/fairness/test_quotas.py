"""What one tenant may store is limited, and what another has does not count (contract 0.25)."""

import random
import string
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from keyrack.errors import RateLimited
from keyrack.service.authz.quotas import Quotas, over, usage
from keyrack.store.contracts import ContractRows
from keyrack.store.quota_usage import Quota, QuotaUsage
from support.app import TenantInTest, World, error_of, settings_for, world
from support.consent import add_oauth_client, oauth_component
from support.flows import flow_body
from support.grants import add_auth_client, add_secret
from support.secrets import add_client, body

LIMIT = 2
LIMITS = {f"quota_{name}": str(LIMIT) for name in ("pending_consents", "api_keys", "webhooks", "secrets", "flows")}


@pytest.fixture
async def limited(tmp_path: Path, url_with_tenants: str | None) -> Any:
    settings = settings_for(
        tmp_path,
        url_with_tenants,
        allow_insecure_providers="true",
        quota_credentials=str(LIMIT),
        quota_document_megabytes="1",
        **LIMITS,
    )
    async with world(settings) as keyrack:
        quotas = keyrack.services.flows._access._quotas
        assert quotas is not None
        quotas._monotonic = lambda: 0.0  # no count takes long, however busy the machine is
        yield keyrack


Make = Callable[[World, TenantInTest], Awaitable[Any]]


async def a_key(_: World, tenant: TenantInTest) -> Any:
    return await tenant.admin.post(
        "/v2/users/me/api-keys", {"data": {"type": "api-key", "attributes": {"name": "another"}}}
    )


async def a_webhook(_: World, tenant: TenantInTest) -> Any:
    sent = {"data": {"type": "webhook", "attributes": {"url": "https://hooks.example/here"}}}
    return await tenant.admin.post(f"/v2/tenants/{tenant.id}/webhooks", sent)


async def a_secret(keyrack: World, tenant: TenantInTest) -> Any:
    client_id = await add_client(keyrack, tenant)
    return await tenant.admin.post(f"/v2/workspaces/{tenant.workspace_id}/secrets", body(client_id))


_components: dict[str, str] = {}


async def a_component(keyrack: World, tenant: TenantInTest) -> str:
    """Return a component that is connected with the tenant's OAuth client; one for each tenant."""
    key = f"{keyrack.settings.home} {tenant.id}"
    if key not in _components:
        descriptor = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
        made = await keyrack.add_component(tenant, f"component-{tenant.id}", descriptor)
        owner = next(each for each, of in keyrack.tenants.items() if of is tenant)
        await add_oauth_client(keyrack, owner, made, "client", "secret")
        _components[key] = made
    return _components[key]


async def a_consent(keyrack: World, tenant: TenantInTest) -> Any:
    link = {"component": {"data": {"type": "component", "id": await a_component(keyrack, tenant)}}}
    sent = {"data": {"type": "oauth-consent", "attributes": {"fields": {}}, "relationships": link}}
    return await tenant.admin.post(f"/v2/workspaces/{tenant.workspace_id}/oauth-consents", sent)


async def a_credential(keyrack: World, tenant: TenantInTest) -> Any:
    links = {
        "component": {"data": {"type": "component", "id": await a_component(keyrack, tenant)}},
        "workspace": {"data": {"type": "workspace", "id": tenant.workspace_id}},
    }
    return await tenant.admin.post("/v2/credentials", {"data": {"type": "credential", "relationships": links}})


async def a_flow(keyrack: World, tenant: TenantInTest) -> Any:
    await a_component(keyrack, tenant)
    team = next(each for each, of in keyrack.tenants.items() if of is tenant).lower()
    command = f"{team}/component-{tenant.id}:run"
    return await tenant.admin.post("/v2/flows", flow_body(tenant.workspace_id, command))


WAYS: dict[Quota, Make] = {
    Quota.api_keys: a_key,
    Quota.webhooks: a_webhook,
    Quota.secrets: a_secret,
    Quota.pending_consents: a_consent,
    Quota.credentials: a_credential,
    Quota.flows: a_flow,
}


async def used(keyrack: World, tenant: TenantInTest, quota: Quota) -> int:
    async with keyrack.store.unit(tenant.id) as unit:
        return await QuotaUsage(unit).used(quota)


@pytest.mark.parametrize("quota", WAYS)
async def test_a_quota_refuses_one_tenant_and_no_other(limited: World, quota: Quota) -> None:
    acme, globex = limited.tenants["Acme"], limited.tenants["Globex"]
    if quota is Quota.api_keys:  # the tenants' people have keys already: as many as the limit, and more
        assert await used(limited, acme, quota) > LIMIT
    else:
        for _ in range(LIMIT):
            made = await WAYS[quota](limited, acme)
            assert made.status_code == 201, made.text
    before = await used(limited, acme, quota)
    refused = await WAYS[quota](limited, acme)
    assert error_of(refused) == (409, "quota_exceeded", None)
    told = refused.json()["errors"][0]["meta"]
    assert (told["quota"], told["limit"]) == (quota.value, LIMIT)
    assert told["counts"]
    assert await used(limited, acme, quota) == before, "nothing is left of what was refused"
    if quota is not Quota.api_keys:
        assert (await WAYS[quota](limited, globex)).status_code == 201
    text = (await limited.http.get("/metrics", headers=limited.support.headers)).text
    assert f'keyrack_quota_exceeded_total{{quota="{quota.value}"}}' in text


async def test_what_has_no_quota_of_its_own_has_one_together(tmp_path: Path, url_with_tenants: str | None) -> None:
    async with world(settings_for(tmp_path, url_with_tenants, quota_other_rows="14")) as keyrack:
        acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
        before = await used(keyrack, acme, Quota.other_rows)
        assert before == 7, "four users, a contract, a workspace, a team"

        async def team(owner: TenantInTest, name: str) -> Any:
            link = {"contract": {"data": {"type": "contract", "id": owner.contract_id}}}
            sent = {"data": {"type": "team", "attributes": {"name": name}, "relationships": link}}
            return await owner.admin.post("/v2/teams", sent)

        for number in range(7):
            made = await team(acme, f"team{number}")
            assert made.status_code == 201, made.text
        refused = await team(acme, "toomany")
        assert error_of(refused) == (409, "quota_exceeded", None)
        assert "KEYRACK_QUOTA_OTHER_ROWS" in refused.text
        assert await used(keyrack, acme, Quota.other_rows) == 14
        assert (await team(globex, "theirs")).status_code == 201


async def test_room_comes_back_when_something_is_deleted(limited: World) -> None:
    acme = limited.tenants["Acme"]
    made = [await a_webhook(limited, acme) for _ in range(LIMIT)]
    assert (await a_webhook(limited, acme)).status_code == 409
    gone = made[0].json()["data"]["id"]
    assert (await acme.admin.delete(f"/v2/tenants/{acme.id}/webhooks/{gone}")).status_code == 204
    assert (await a_webhook(limited, acme)).status_code == 201


def noise(size: int, seed: int) -> dict[str, str]:
    """Return a document of so many bytes without a pattern, since what is stored may be compressed."""
    return {"noise": "".join(random.Random(seed).choices(string.ascii_letters, k=size))}


async def test_documents_have_a_number_of_bytes(limited: World) -> None:
    acme, globex = limited.tenants["Acme"], limited.tenants["Globex"]
    async with limited.store.unit(acme.id, writes=True) as unit:
        second = await ContractRows(unit).add("second", [], {}, None)

    async def change(contract_id: str, custom_data: dict[str, str]) -> Any:
        sent = {"data": {"type": "contract", "id": contract_id, "attributes": {"custom_data": custom_data}}}
        return await limited.support.patch(f"/v2/contracts/{contract_id}", sent)

    assert (await change(acme.contract_id, noise(600_000, 1))).status_code == 200
    refused = await change(second, noise(700_000, 2))
    assert error_of(refused) == (409, "quota_exceeded", None)
    assert refused.json()["errors"][0]["meta"]["quota"] == "document_bytes"
    assert (await change(globex.contract_id, noise(600_000, 1))).status_code == 200
    assert (await change(acme.contract_id, noise(10, 3))).status_code == 200, "less is always possible"
    assert (await change(second, noise(700_000, 2))).status_code == 200


async def test_a_tenant_far_below_its_limit_costs_no_query(limited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    real = QuotaUsage.used

    async def counting(self: QuotaUsage, quota: Quota) -> int:
        counted.append(quota)
        return await real(self, quota)

    monkeypatch.setattr(QuotaUsage, "used", counting)
    time = [0.0]
    quotas = Quotas({Quota.webhooks: 10}, lambda: time[0])
    async with limited.store.unit(limited.tenants["Acme"].id) as unit:
        for _ in range(5):
            await quotas.require_room(unit, "webhook.create")
        assert counted == [Quota.webhooks]
        time[0] = 31.0
        await quotas.require_room(unit, "webhook.create")
    assert counted == [Quota.webhooks] * 2


async def test_usage_is_shown_of_one_tenant_or_of_all(limited: World) -> None:
    acme, globex = limited.tenants["Acme"], limited.tenants["Globex"]
    await a_webhook(limited, acme)
    limits = {Quota.webhooks: LIMIT}
    everybody = {each.tenant_id: each for each in await usage(limited.store, limits, None)}
    assert everybody[acme.id].used[Quota.webhooks] == 1
    assert everybody[globex.id].used[Quota.webhooks] == 0
    (one,) = await usage(limited.store, limits, acme.id)
    assert one == everybody[acme.id]
    for limit, more, told in ((1, 0, 0), (1, 1, 1), (0, 9, 0), (2, 1, 0), (2, 2, 1)):
        found = await over(limited.store, {Quota.webhooks: limit}, acme.id, {Quota.webhooks: more})
        assert len(found) == told, (limit, more)
        assert all("KEYRACK_QUOTA_WEBHOOKS" in each for each in found)


async def test_consents_do_not_lead_past_the_quotas_of_what_they_end_in(limited: World) -> None:
    """What consents of before have brought is over the limit already."""
    acme = limited.tenants["Acme"]
    client = await add_auth_client(limited.store, acme.id, "https://login.example.com/token")
    for _ in range(LIMIT):
        await add_secret(limited.store, acme, client, {"access_token": "at"})
    assert (await a_consent(limited, acme)).status_code == 201
    await add_secret(limited.store, acme, client, {"access_token": "at"})
    quotas = limited.services.flows._access._quotas
    assert quotas is not None
    quotas._known.clear()
    refused = await a_consent(limited, acme)
    assert error_of(refused) == (409, "quota_exceeded", None)
    assert refused.json()["errors"][0]["meta"]["quota"] == Quota.secrets.value


async def test_a_count_that_takes_long_is_not_made_again_at_once(
    limited: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite nobody else can write meanwhile."""
    at, counted = 1000.0, 0

    async def slow(_self: object, _quota: Quota) -> int:
        nonlocal at, counted
        counted += 1
        at += 2.0
        return 100

    monkeypatch.setattr(QuotaUsage, "used", slow)
    quotas = Quotas({Quota.flows: 100}, lambda: at)
    async with limited.store.unit(limited.tenants["Acme"].id) as unit:
        await quotas.require_room(unit, "flow.create")
        for _ in range(5):
            with pytest.raises(RateLimited):
                await quotas.require_room(unit, "flow.create")
        assert counted == 1
        at += 20.0
        await quotas.require_room(unit, "flow.create")
        assert counted == 2
