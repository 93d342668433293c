"""Contract sections 0.9, 19.1 to 19.3 and 21."""

import copy
from typing import Any

import pytest

from keyrack.descriptor.model import Generation, OAuth1Block
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import ValidationFailed
from support.components import DESCRIPTORS, load_descriptor


def problems(raw: object) -> dict[str | None, str]:
    with pytest.raises(ValidationFailed) as caught:
        parse_descriptor(raw)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_fixture_parses_and_stays_as_it_was(name: str) -> None:
    raw = load_descriptor(name)
    descriptor = parse_descriptor(raw)
    assert descriptor.raw == load_descriptor(name)
    assert descriptor.title == raw["title"]


def test_a_shared_component_with_an_oauth_client() -> None:
    descriptor = parse_descriptor(load_descriptor("pizza-van"))
    assert descriptor.use_oauth_client
    assert descriptor.generation is Generation.CREDENTIALS
    assert descriptor.oauth_field == "oauth"
    assert descriptor.functions == {"newOrder", "placeOrder"}
    assert {name: var.required for name, var in descriptor.env_vars.items()} == {
        "PIZZAVAN_KEY": True,
        "PIZZAVAN_SECRET": True,
    }
    assert descriptor.oauth2 is not None
    assert descriptor.oauth2.scopes == ("orders.read", "orders.write")
    assert descriptor.oauth2.pkce
    assert descriptor.oauth2.extra == {}


def test_fields_keep_their_order_and_a_select_its_keys() -> None:
    descriptor = parse_descriptor(load_descriptor("cloud-crm"))
    assert list(descriptor.fields) == ["prodEnv", "oauth"]
    assert descriptor.fields["prodEnv"].options == ("login", "test")
    assert descriptor.fields["prodEnv"].label == "Environment"


def test_scalar_extras_are_kept_with_their_types() -> None:
    oauth2 = parse_descriptor(load_descriptor("office-sheets")).oauth2
    assert oauth2 is not None
    assert oauth2.extra == {
        "access_type": "offline",
        "prompt": "consent",
        "include_granted_scopes": True,
        "max_age": 0,
    }


def test_arrays_among_extras_are_joined_and_some_parameters_are_json() -> None:
    raw = load_descriptor("office-sheets")
    raw["credentials"]["oauth2"] |= {
        "prompt": ["login", "consent"], "list": [1, True, "a"], "resource": ["https://a.example"], "empty": [],
        "claims": {"id_token": {"acr": None}}, "authorization_details": [{"type": "x"}], "nothing": None,
    }  # fmt: skip
    oauth2 = parse_descriptor(raw, new=True).oauth2
    assert oauth2 is not None
    extra = dict(oauth2.extra)
    assert extra.pop("claims") == '{"id_token":{"acr":null}}'
    assert extra.pop("authorization_details") == '[{"type":"x"}]'
    assert (extra["prompt"], extra["list"], extra["resource"]) == ("login consent", "1 true a", "https://a.example")
    assert extra.keys().isdisjoint({"empty", "nothing"})


def test_what_cannot_be_sent_is_refused_when_it_is_new_and_left_out_when_it_is_stored() -> None:
    raw = load_descriptor("office-sheets")
    odd = {"object": {}, "nested": [[1]], "mixed": ["a", None], "resource": ["a", "b"], "huge": 10**400}
    raw["credentials"]["oauth2"] |= odd
    raw["oauth2"] = {"outer": {"a": 1}, "scope": 5}
    with pytest.raises(ValidationFailed) as refused:
        parse_descriptor(raw, new=True)
    inner = {f"/credentials/oauth2/{name}" for name in odd}
    assert {problem.pointer for problem in refused.value.problems} == {*inner, "/oauth2/outer"}
    oauth2 = parse_descriptor(raw).oauth2
    assert oauth2 is not None
    assert oauth2.extra.keys().isdisjoint({*odd, "outer", "scope"})


@pytest.mark.parametrize(
    ("block", "scopes"),
    [
        ({"scope": "a b"}, "a b"),
        ({"scope": ["a", "b"]}, ("a", "b")),
        ({"scope": "a", "scopes": None}, "a"),
        ({"scope": "a", "scopes": ["b"]}, ("b",)),
        ({"scope": {}}, None),
    ],
)
def test_scope_is_scopes_by_its_other_name(block: dict[str, Any], scopes: object) -> None:
    oauth2 = parse_descriptor({"oauth2": block}).oauth2
    assert oauth2 is not None
    assert (oauth2.scopes, oauth2.extra) == (scopes, {})


def test_basic_authentication_and_no_pkce() -> None:
    oauth2 = parse_descriptor(load_descriptor("ledger-basic")).oauth2
    assert oauth2 is not None
    assert (oauth2.client_auth, oauth2.pkce) == ("basic", False)


def test_scopes_may_be_one_text() -> None:
    oauth2 = parse_descriptor(load_descriptor("shop-string-scopes")).oauth2
    assert oauth2 is not None
    assert oauth2.scopes == "read_products,write_orders"


def test_blocks_are_merged_and_the_inner_one_wins() -> None:
    descriptor = parse_descriptor(load_descriptor("parcel-top-level"))
    assert descriptor.use_oauth_client
    assert list(descriptor.env_vars) == ["PARCEL_ID", "PARCEL_SECRET"]
    assert descriptor.oauth2 is not None
    assert descriptor.oauth2.client_id == "{{PARCEL_ID}}"
    assert descriptor.oauth2.token_uri == "https://id.parcel.example.com/token"
    assert descriptor.oauth2.scopes == ("track",)


def test_oauth1_is_parsed() -> None:
    descriptor = parse_descriptor(load_descriptor("birdsong-oauth1"))
    assert descriptor.generation is Generation.CREDENTIALS
    assert descriptor.oauth2 is None
    assert descriptor.oauth1 == OAuth1Block(
        consumer_key="{{BIRDSONG_KEY}}",
        consumer_secret="{{BIRDSONG_SECRET}}",
        request_token_uri="https://api.birdsong.example.com/oauth/request_token",
        auth_uri="https://api.birdsong.example.com/oauth/authenticate",
        access_token_uri="https://api.birdsong.example.com/oauth/access_token",
    )


def test_auth_client_types_win() -> None:
    descriptor = parse_descriptor(load_descriptor("calendar-secrets"))
    assert descriptor.auth_client_types == ("oauth2", "basic")
    assert descriptor.use_oauth_client
    assert descriptor.generation is Generation.SECRETS
    assert descriptor.uses_http_auth


def test_an_empty_list_of_auth_client_types_is_none() -> None:
    assert parse_descriptor({"authClientTypes": []}).generation is Generation.PLAIN


def test_a_plain_component_without_credentials() -> None:
    descriptor = parse_descriptor(load_descriptor("timer-plain"))
    assert descriptor.generation is Generation.PLAIN
    assert not descriptor.has_credentials
    assert descriptor.functions == {"tick"}
    assert descriptor.oauth_field is None


def test_an_array_model_and_missing_labels() -> None:
    fields = parse_descriptor(load_descriptor("warehouse-array-model")).fields
    assert fields["site"].options == ("north", "south", "7")
    assert fields["site"].label is None
    assert fields["shelf"].view_class == "ShelfView3000"
    assert fields["depot"].options is None


@pytest.mark.parametrize(("credentials", "has"), [({}, True), ({"fields": {}}, True), (None, False)])
def test_empty_credentials_are_credentials(credentials: object, *, has: bool) -> None:
    assert parse_descriptor({"credentials": credentials}).has_credentials is has


@pytest.mark.parametrize("where", ["top", "credentials", "both"])
def test_use_oauth_client_counts_in_both_places(where: str) -> None:
    raw: dict[str, Any] = {"credentials": {}}
    if where != "credentials":
        raw["useOAuthClient"] = True
    if where != "top":
        raw["credentials"]["useOAuthClient"] = True
    assert parse_descriptor(raw).use_oauth_client
    assert not parse_descriptor({"useOAuthClient": False, "credentials": {"useOAuthClient": False}}).use_oauth_client


def test_env_is_an_alias_as_object_and_as_array_and_env_vars_wins() -> None:
    raw = {"env": {"A": {"required": True}, "B": {"required": True}}, "envVars": {"B": None, "C": {}}}
    assert {name: var.required for name, var in parse_descriptor(raw).env_vars.items()} == {
        "A": True,
        "B": False,
        "C": False,
    }
    assert list(parse_descriptor({"envVars": ["X"]}).env_vars) == ["X"]


def test_the_oauth_field_is_preferred_to_an_http_field() -> None:
    fields = {"http": {"viewClass": "HTTPAuthView"}, "late": {"viewClass": "OAuthFieldView"}}
    descriptor = parse_descriptor({"credentials": {"fields": fields}})
    assert descriptor.oauth_field == "late"
    assert not descriptor.uses_http_auth


@pytest.mark.parametrize(
    ("raw", "is_one"), [(None, "null"), ([], "an array"), ("x", "a string"), (5, "a number"), (True, "true or false")]
)
def test_only_an_object_is_a_descriptor(raw: object, is_one: str) -> None:
    assert problems(raw) == {"": f"must be an object, not {is_one}"}


def test_every_wrong_type_is_named_at_once() -> None:
    wrong = {
        "title": 5,
        "useOAuthClient": "true",
        "authClientTypes": ["oauth2", 7],
        "envVars": {"A": "x", "B": {"required": "yes"}},
        "env": 7,
        "actions": [],
        "triggers": "t",
        "credentials": {
            "useOAuthClient": 1,
            "fields": {
                "a/b~c": {"viewClass": 1, "label": [], "required": "no", "model": 5},
                "text": "TextFieldView",
            },
            "oauth2": {"client_id": 1, "scopes": [1, "a"], "pkce": "false", "client_auth": {}},
            "oauth1": [],
        },
        "oauth2": {"client_id": 5, "auth_uri": [], "scopes": 9},
    }
    before = copy.deepcopy(wrong)
    assert problems(wrong).keys() == {
        "/title",
        "/useOAuthClient",
        "/authClientTypes/1",
        "/envVars/A",
        "/envVars/B/required",
        "/env",
        "/actions",
        "/triggers",
        "/credentials/useOAuthClient",
        "/credentials/fields/a~1b~0c/viewClass",
        "/credentials/fields/a~1b~0c/label",
        "/credentials/fields/a~1b~0c/required",
        "/credentials/fields/a~1b~0c/model",
        "/credentials/fields/text",
        "/credentials/oauth2/client_id",
        "/credentials/oauth2/scopes/0",
        "/credentials/oauth2/pkce",
        "/credentials/oauth2/client_auth",
        "/credentials/oauth1",
        "/oauth2/auth_uri",
    }
    assert wrong == before


def test_wrong_containers_are_named() -> None:
    assert problems({"credentials": []}).keys() == {"/credentials"}
    assert problems({"credentials": {"fields": []}}).keys() == {"/credentials/fields"}
    assert problems({"authClientTypes": "oauth2"}).keys() == {"/authClientTypes"}
    assert problems({"oauth2": {"scopes": 5}}).keys() == {"/oauth2/scopes"}


def test_members_we_do_not_read_may_be_anything() -> None:
    raw = {"description": 5, "buildType": [], "version": None, "actions": {"a": 7}, "service": {"x": [1]}}
    assert parse_descriptor(raw).functions == {"a"}


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", float("nan"), float("inf")])
def test_what_cannot_be_stored_is_refused_anywhere(bad: object) -> None:
    assert problems({"description": {"deep": [1, bad]}}).keys() == {"/description/deep/1"}


def test_names_that_cannot_be_stored_are_refused() -> None:
    assert problems({"x": {"\udfff": 1}}).keys() == {"/x"}
    assert problems({"x": {"a\0": 1}}).keys() == {"/x"}


def test_deep_nesting_is_refused_without_recursion() -> None:
    raw: dict[str, Any] = {}
    for _ in range(100_000):
        raw = {"a": raw}
    assert list(problems(raw).values()) == ["is nested deeper than 100 levels"]


def test_the_number_of_problems_is_bounded() -> None:
    fields = {f"f{index}": 5 for index in range(5000)}
    assert len(problems({"credentials": {"fields": fields}})) == 100
    assert len(problems({"x": ["\0"] * 5000})) == 100


def test_a_descriptors_repr_shows_no_literal_secret() -> None:
    raw = {"oauth2": {"client_secret": "hunter22"}, "oauth1": {"consumer_secret": "hunter22"}}
    assert "hunter22" not in repr(parse_descriptor(raw))
