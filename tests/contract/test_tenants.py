"""Tenants (contract section 7): whole documents, defaults and refusals."""

from support.app import TenantInTest, World, error_of
from support.documents import ID

HOSTS = {"app_domain": "new.example", "code": "p {}", "mandrill_email_from": "a@new.example"}
FLAGS = {
    "contract_component_whitelist": False,
    "enabled_totp": False,
    "forced_totp": False,
    "sensitive_actions_reauth": False,
    "email_verification": True,
}


async def test_tenant(keyrack: World) -> None:
    given = {"name": "New", **HOSTS}
    made = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": given}})
    document = made.json()
    tenant = document["data"]["id"]
    assert made.status_code == 201
    assert ID.fullmatch(tenant)
    assert document == {
        "data": {
            "id": tenant,
            "type": "tenant",
            "links": {"self": f"/v2/tenants/{tenant}"},
            "attributes": {**given, "default_workspace_type": "full", "feature_flags": FLAGS},
        },
        "meta": {},
    }
    assert (await keyrack.support.get(f"/v2/tenants/{tenant}")).json() == document
    listed = (await keyrack.support.get("/v2/tenants")).json()
    assert listed["data"][-1] == document["data"]
    assert listed["meta"] == {}
    roles = (await keyrack.support.get(f"/v2/tenants/{tenant}/roles")).json()["data"]["attributes"]["roles"]
    assert len(roles) == 7, "a new tenant has the default policy"


async def test_tenant_optional_attributes_are_echoed(keyrack: World) -> None:
    optional = {
        "api_domain": "api.new.example",
        "webhooks_domain": "in.new.example",
        "api_docs_url": "https://docs.new.example/",
        "git_receiver_host": "git.new.example",
        "default_workspace_type": "limited",
        "feature_flags": {**FLAGS, "contract_component_whitelist": True},
        "flow_stats_enabled_default": True,
        "support_user_id": "0" * 24,
        "email_domains_blacklist": ["evil.example"],
        "is_default": True,
        "main_logo_url": "https://new.example/logo.png",
        "hide_docs_link": True,
        "custom_css": {"any": ["json", None, 1.5]},
        "html_meta": "<meta>",
        "signin_v_2": True,
        "docs_base_url": "https://docs.new.example",
    }
    given = {"name": "New", **HOSTS, **optional}
    made = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": given}})
    assert made.json()["data"]["attributes"] == given
    again = {"data": {"type": "tenant", "attributes": {**given, "app_domain": "second.example"}}}
    default = await keyrack.support.post("/v2/tenants", again)
    assert error_of(default) == (409, "already_exists", "/data/attributes/is_default"), "one per installation"


async def test_tenant_feature_flags_have_defaults_one_by_one(keyrack: World) -> None:
    attributes = {"name": "New", **HOSTS, "feature_flags": {"email_verification": False}}
    made = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": attributes}})
    assert made.json()["data"]["attributes"]["feature_flags"] == {**FLAGS, "email_verification": False}


async def test_tenant_domain_is_taken_once(keyrack: World) -> None:
    attributes = {"name": "New", **HOSTS, "app_domain": "ACME.example"}
    answer = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": attributes}})
    assert error_of(answer) == (409, "already_exists", "/data/attributes/app_domain")


async def test_tenant_list_has_the_callers_own(keyrack: World, acme: TenantInTest) -> None:
    assert [tenant["id"] for tenant in (await acme.admin.get("/v2/tenants")).json()["data"]] == [acme.id]
    assert len((await keyrack.support.get("/v2/tenants")).json()["data"]) == 3
