"""Contract sections 0.8, 0.17, 19.1, 19.2, 19.4 and 20.2; rules 24.11, 24.13 and 24.14."""

from typing import Any, ClassVar

import pytest

from keyrack.crypto.secret import Secret
from keyrack.descriptor.context import build_context
from keyrack.descriptor.fields import CleanFields, clean_fields
from keyrack.descriptor.first_generation import ResolvedOAuth, needed_variables, resolve
from keyrack.descriptor.link import ClientKeys
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import ValidationFailed
from support.components import load_descriptor

PREFIX = "/data/attributes/fields"
BY_ADMIN = "a tenant admin creates an OAuth client for the component"
BY_DEVELOPER = "its developer sets it with PUT /v2/components/{C}/env"
CLIENT = ClientKeys("globex-id", Secret("globex-secret"))


def resolved(
    raw: dict[str, Any],
    *,
    env: dict[str, str] | None = None,
    values: dict[str, Any] | None = None,
    client: ClientKeys | None = None,
) -> ResolvedOAuth:
    descriptor = parse_descriptor(raw)
    clean = clean_fields(descriptor, values or {}, PREFIX)
    return resolve(descriptor, env=env or {}, values=clean, client=client, pointer_prefix=PREFIX)


def problems(raw: dict[str, Any], **inputs: Any) -> dict[str, str | None]:
    with pytest.raises(ValidationFailed) as caught:
        resolved(raw, **inputs)
    return {problem.detail: problem.pointer for problem in caught.value.problems}


def test_the_tenants_client_is_used_and_not_the_owners_variables() -> None:
    env = {"PIZZAVAN_KEY": "acme-id", "PIZZAVAN_SECRET": "acme-secret"}
    found = resolved(load_descriptor("pizza-van"), env=env, client=CLIENT)
    assert (found.client_id, found.client_secret.reveal()) == ("globex-id", "globex-secret")
    assert found.authorization_endpoint == "https://login.pizzavan.example.com/oauth/authorize"
    assert found.token_endpoint == "https://login.pizzavan.example.com/oauth/token"
    assert found.scope == "orders.read orders.write"
    assert found.token_endpoint_auth_method == "client_secret_post"
    assert found.pkce
    assert found.token_path == ("oauth",)


def test_without_a_client_the_variables_serve() -> None:
    env = {"PIZZAVAN_KEY": "acme-id", "PIZZAVAN_SECRET": "acme-secret"}
    found = resolved(load_descriptor("pizza-van"), env=env)
    assert (found.client_id, found.client_secret.reveal()) == ("acme-id", "acme-secret")


def test_without_either_the_variables_are_named() -> None:
    assert problems(load_descriptor("pizza-van"), env={"PIZZAVAN_KEY": ""}) == {
        f"variable PIZZAVAN_KEY of client_id has no value; {BY_ADMIN}, or {BY_DEVELOPER}": None,
        f"variable PIZZAVAN_SECRET of client_secret has no value; {BY_ADMIN}, or {BY_DEVELOPER}": None,
    }


@pytest.mark.parametrize("literal", ["", "acme-literal", None, "{{MISSING}}", "{{A}}-{{B}}"])
def test_a_client_overrides_whatever_stands_in_its_place(literal: str | None) -> None:
    raw = load_descriptor("pizza-van")
    raw["credentials"]["oauth2"] |= {"client_id": literal, "client_secret": literal}
    found = resolved(raw, client=CLIENT)
    assert (found.client_id, found.client_secret.reveal()) == ("globex-id", "globex-secret")


def test_a_client_is_not_used_where_the_component_does_not_ask_for_it() -> None:
    env = {"LEDGER_ID": "acme-id", "LEDGER_SECRET": "acme-secret", "LEDGER_REGION": "eu"}
    found = resolved(load_descriptor("ledger-basic"), env=env, client=CLIENT)
    assert found.client_id == "acme-id"
    assert found.client_secret.reveal() == "acme-secret"
    assert found.token_endpoint_auth_method == "client_secret_basic"
    assert not found.pkce
    assert found.token_endpoint == "https://ledger.example.com/eu/token?resource=https%3A%2F%2Fapi.ledger.example.com"
    assert found.authorization_endpoint.endswith("?resource=https%3A%2F%2Fapi.ledger.example.com&ui=")
    assert found.token_path == ("bookkeeping",)


def test_a_selected_environment_goes_into_both_uris() -> None:
    found = resolved(load_descriptor("cloud-crm"), values={"prodEnv": "test"}, client=CLIENT)
    assert found.authorization_endpoint == "https://test.example.com/services/oauth2/authorize"
    assert found.token_endpoint == "https://test.example.com/services/oauth2/token"
    assert found.scope == ""


def test_a_field_that_is_missing_is_pointed_at_once() -> None:
    assert problems(load_descriptor("cloud-crm"), client=CLIENT) == {
        "variable prodEnv has no value": f"{PREFIX}/prodEnv"
    }


def test_a_hostile_shop_name_goes_nowhere() -> None:
    (detail,) = problems(
        load_descriptor("shop-string-scopes"), env={"SHOP_KEY": "k", "SHOP_SECRET": "s"}, values={"shop": "evil.com/"}
    )
    assert detail.startswith("variable shop stands in the host")


def test_text_scopes_are_sent_verbatim() -> None:
    env = {"SHOP_KEY": "k", "SHOP_SECRET": "s"}
    found = resolved(load_descriptor("shop-string-scopes"), env=env, values={"shop": "corner"})
    assert found.scope == "read_products,write_orders"
    assert found.token_endpoint == "https://corner.shops.example.com/admin/oauth/access_token"


def test_extras_become_text() -> None:
    found = resolved(load_descriptor("office-sheets"), client=CLIENT)
    assert found.extra == {
        "access_type": "offline",
        "prompt": "consent",
        "include_granted_scopes": "true",
        "max_age": "0",
    }


def test_the_merged_block_is_used() -> None:
    found = resolved(load_descriptor("parcel-top-level"), client=CLIENT)
    assert found.token_endpoint == "https://id.parcel.example.com/token"
    assert found.authorization_endpoint == "https://id.parcel.example.com/authorize"
    assert found.scope == "track"


def test_elsewhere_a_missing_variable_is_empty_and_values_are_never_expanded() -> None:
    raw = load_descriptor("office-sheets")
    raw["credentials"]["oauth2"] |= {"scopes": ["{{NONE}}", "a{{sheetLimit}}"], "hint": "{{sheetLimit}}|{{NONE}}|&"}
    found = resolved(raw, env={"X": "leak"}, values={"sheetLimit": "{{X}}"}, client=CLIENT)
    assert found.scope == "a{{X}}"
    assert found.extra["hint"] == "{{X}}||&"


@pytest.mark.parametrize("name", ["PIZZAVAN_SECRET", "OAUTH_CLIENT_SECRET"])
@pytest.mark.parametrize("member", ["auth_uri", "scopes", "hint"])
def test_a_client_secret_never_goes_into_what_a_browser_sees(name: str, member: str) -> None:
    raw = load_descriptor("pizza-van")
    text = f"https://as.example/?x={{{{{name}}}}}"
    raw["credentials"]["oauth2"][member] = text
    assert problems(raw, client=CLIENT) == {f"the descriptor puts the client secret, {name}, into {member}": None}


def test_all_problems_of_a_consent_come_together() -> None:
    raw: dict[str, Any] = {
        "credentials": {
            "fields": {"oauth": {"viewClass": "OAuthFieldView"}, "host": {"viewClass": "TextFieldView"}},
            "oauth2": {"client_id": "", "token_uri": "https://{{host}}/t"},
        }
    }
    assert problems(raw, values={"host": "a/b"}) == {
        "the component's descriptor has no auth_uri": None,
        "the component's descriptor has no client_id": None,
        "the component's descriptor has no client_secret": None,
        "variable host stands in the host of a URI and may hold only ASCII letters, digits, dots, - and _": (
            f"{PREFIX}/host"
        ),
    }


@pytest.mark.parametrize("name", ["timer-plain", "warehouse-array-model"])
def test_what_has_no_block_cannot_be_resolved(name: str) -> None:
    assert len(problems(load_descriptor(name))) == 1


def test_an_oauth1_block_is_resolved_with_the_tenants_client_or_the_variables() -> None:  # 21
    env = {"BIRDSONG_KEY": "acme-key", "BIRDSONG_SECRET": "acme-secret"}
    found = resolved(load_descriptor("birdsong-oauth1"), env=env)
    assert (found.client_id, found.client_secret.reveal()) == ("acme-key", "acme-secret")
    base = "https://api.birdsong.example.com/oauth"
    assert found.endpoints == {
        "request_token_uri": f"{base}/request_token",
        "auth_uri": f"{base}/authenticate",
        "access_token_uri": f"{base}/access_token",
    }
    assert found.token_path == ("oauth",)
    found = resolved(load_descriptor("birdsong-oauth1") | {"useOAuthClient": True}, env=env, client=CLIENT)
    assert (found.client_id, found.client_secret.reveal()) == ("globex-id", "globex-secret")


def test_an_oauth1_block_names_what_it_lacks() -> None:  # 19.4, 21
    raw = load_descriptor("birdsong-oauth1")
    raw["credentials"]["oauth1"] |= {"auth_uri": "https://{{BIRDSONG_SECRET}}.example.com/", "request_token_uri": None}
    assert problems(raw, env={"BIRDSONG_KEY": "k"}) == {
        "the component's descriptor has no request_token_uri": None,
        "the descriptor puts the client secret, BIRDSONG_SECRET, into auth_uri": None,
        f"variable BIRDSONG_SECRET of consumer_secret has no value; {BY_DEVELOPER}": None,
    }


def test_a_resolved_block_shows_neither_secret_nor_input() -> None:
    found = resolved(load_descriptor("cloud-crm"), values={"prodEnv": "test"}, client=CLIENT)
    assert "globex-secret" not in repr(found)
    assert "test.example" not in repr(found)


def test_needed_variables_decide_what_a_required_one_blocks() -> None:
    assert needed_variables(parse_descriptor(load_descriptor("ledger-basic"))) == {
        "LEDGER_ID",
        "LEDGER_SECRET",
        "LEDGER_REGION",
    }
    assert needed_variables(parse_descriptor(load_descriptor("cloud-crm"))) == {"CRM_KEY", "CRM_SECRET", "prodEnv"}
    assert needed_variables(parse_descriptor(load_descriptor("timer-plain"))) == frozenset()
    assert needed_variables(parse_descriptor(load_descriptor("birdsong-oauth1"))) == {"BIRDSONG_KEY", "BIRDSONG_SECRET"}
    raw = load_descriptor("office-sheets")
    raw["oauth2"] = {"scopes": ["x"], "hint": "{{H}}"}
    assert needed_variables(parse_descriptor(raw)) == {"H"}


class TestContext:
    def test_later_sources_win(self) -> None:
        raw = load_descriptor("pizza-van")
        raw["credentials"]["fields"] |= {"REGION": {"viewClass": "TextFieldView"}, "PIZZAVAN_KEY": {}}
        descriptor = parse_descriptor(raw)
        values = clean_fields(descriptor, {"REGION": "field", "PIZZAVAN_KEY": "field", "UNDECLARED": "x"}, PREFIX)
        env = {"REGION": "env", "PIZZAVAN_KEY": "env", "OTHER": "env"}
        context = build_context(descriptor, env=env, values=values, client=CLIENT)
        assert context == {
            "REGION": "field",
            "OTHER": "env",
            "PIZZAVAN_KEY": "globex-id",
            "PIZZAVAN_SECRET": "globex-secret",
            "OAUTH_CLIENT_ID": "globex-id",
            "OAUTH_CLIENT_SECRET": "globex-secret",
        }
        assert "globex-secret" not in repr(context)
        assert "globex-secret" not in str(context)

    def test_scalars_of_declared_fields_are_taken_and_nothing_else(self) -> None:
        values = {"site": 7, "zones": ["cold"], "audit": True, "shelf": 2.0, "user": "u", "foreign": "x"}
        descriptor = parse_descriptor(load_descriptor("warehouse-array-model"))
        clean = clean_fields(descriptor, values, PREFIX)
        context = build_context(descriptor, env={"foreign": "env"}, values=clean, client=None)
        assert context == {"site": "7", "audit": "true", "shelf": "2", "user": "u", "foreign": "env"}


class TestHttpAuth:
    OWN: ClassVar[dict[str, Any]] = {
        "clientId": "my-id",
        "clientSecret": "my-secret",
        "authUri": "https://as.example/authorize?x=1",
        "tokenUri": "https://as.example/token",
        "scopes": ["a", " b "],
        "additionalProperties": {"prompt": "consent", "n": 1, "list": []},
    }

    def value(self, **changes: object) -> dict[str, Any]:
        return {"auth": {"type": "OAuth2", "oauth2": self.OWN | changes}}

    def test_the_fields_own_values_are_used(self) -> None:
        found = resolved(load_descriptor("rest-caller"), values=self.value())
        assert (found.client_id, found.client_secret.reveal()) == ("my-id", "my-secret")
        assert found.authorization_endpoint == "https://as.example/authorize?x=1"
        assert found.token_endpoint == "https://as.example/token"
        assert found.scope == "a b"
        assert found.extra == {"prompt": "consent", "n": "1"}
        assert found.token_path == ("auth", "oauth2", "keys")

    def test_scopes_may_be_text_with_commas(self) -> None:
        assert resolved(load_descriptor("rest-caller"), values=self.value(scopes="a, b,,c")).scope == "a b c"
        assert resolved(load_descriptor("rest-caller"), values=self.value(scopes="")).scope == ""

    def test_a_descriptor_without_a_block_will_do(self) -> None:
        raw = load_descriptor("rest-caller")
        del raw["credentials"]["oauth2"]
        assert resolved(raw, values=self.value()).client_id == "my-id"

    def test_what_is_missing_is_pointed_at(self) -> None:
        value = self.value(clientId="", clientSecret=None, authUri="as.example", tokenUri="https://u@as.example")
        at = f"{PREFIX}/auth/oauth2"
        with pytest.raises(ValidationFailed) as caught:
            resolved(load_descriptor("rest-caller"), values=value)
        assert {problem.pointer for problem in caught.value.problems} == {
            f"{at}/clientId",
            f"{at}/clientSecret",
            f"{at}/authUri",
            f"{at}/tokenUri",
        }

    @pytest.mark.parametrize("values", [{}, {"auth": {"type": "Basic Auth"}}])
    def test_only_its_oauth2_can_be_connected(self, values: dict[str, Any]) -> None:
        assert problems(load_descriptor("rest-caller"), values=values) == {
            "must be OAuth2 to connect": f"{PREFIX}/auth/type"
        }

    def test_no_secret_of_a_tenant_or_an_owner_can_be_drawn_to_the_users_address(self) -> None:
        raw = load_descriptor("rest-caller") | {"useOAuthClient": True}
        raw["credentials"]["oauth2"] |= {
            "client_id": "{{OAUTH_CLIENT_ID}}",
            "client_secret": "{{OWNER_SECRET}}",
            "hint": "{{OWNER_TOKEN}}",
            "more": "{{clientId}}",
        }
        value = self.value()
        value["auth"]["oauth2"] |= {"OWNER_TOKEN": "x", "clientId": "{{OWNER_SECRET}}"}
        env = {"OWNER_SECRET": "acme-secret", "OWNER_TOKEN": "acme-token"}
        found = resolved(raw, env=env, values=value, client=CLIENT)
        assert (found.client_id, found.client_secret.reveal()) == ("{{OWNER_SECRET}}", "my-secret")
        assert found.extra == {"hint": "", "more": "{{OWNER_SECRET}}", "prompt": "consent", "n": "1"}

    def test_its_members_cannot_take_the_place_of_other_variables(self) -> None:
        raw = load_descriptor("cloud-crm")
        raw["credentials"]["fields"]["http"] = {"viewClass": "HTTPAuthView"}
        value = {"type": "OAuth2", "oauth2": {"prodEnv": "evil.com", "REGION": "evil", "clientId": "c"}}
        descriptor = parse_descriptor(raw)
        clean = clean_fields(descriptor, {"http": value}, PREFIX)
        context = build_context(descriptor, env={"REGION": "eu"}, values=clean, client=None)
        assert context == {"REGION": "eu", "clientId": "c"}


def test_values_are_read_as_stored_even_if_unchecked() -> None:
    # A caller that skips `clean_fields` breaks the type check, and still cannot leave the host of a template.
    descriptor = parse_descriptor(load_descriptor("cloud-crm"))
    values = CleanFields({"prodEnv": "evil.com/"})
    with pytest.raises(ValidationFailed):
        resolve(descriptor, env={}, values=values, client=CLIENT, pointer_prefix=PREFIX)
