"""Other projects' catalogues become profiles; what one does not say is named, whatever a file holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.errors import BadRequest
from keyrack.oauth.profiles.kinds import AuthMethod, BodyFormat, Grant, Pkce
from keyrack.oauth.profiles.reading import document_of
from keyrack.service.importers.providers.conversion import ConvertedEntry
from keyrack.service.importers.providers.files import MAX_BYTES, converted_file
from keyrack.service.importers.providers.nango import converted

BASE = {"auth_mode": "OAUTH2", "authorization_url": "https://p.example/a", "token_url": "https://p.example/t"}


def one(**members: Any) -> ConvertedEntry:
    (entry,) = converted({"p": {**BASE, **members}})
    return entry


def said(**members: Any) -> dict[str, Any]:
    """Return what the profile of an entry says that it would not without these members."""
    entry = one(**members)
    assert entry.lossless, entry.not_expressed
    assert entry.profile is not None
    plain = one().profile
    assert plain is not None
    usual = document_of(plain)
    return {name: value for name, value in document_of(entry.profile).items() if usual.get(name) != value}


@pytest.mark.parametrize(
    ("members", "profile"),
    [
        ({"display_name": "P"}, {"title": "P"}),
        ({"authorization_params": {"response_type": "code", "access_type": "offline", "session": False}},
         {"authorization": {"parameters": {"access_type": "offline", "session": False}}}),
        ({"authorization_params": {"nonce": "${random}"}}, {"authorization": {"sends_nonce": True}}),
        ({"authorization_params": {"jti": "${random}"}}, {"authorization": {"parameters": {"jti": "{random}"}}}),
        ({"authorization_url_replacements": {"client_id=": "appKey=", "scope": "scp", "response_type": ""}},
         {"authorization": {"parameters": {"response_type": None}, "rename": {"client_id": "appKey", "scope": "scp"}}}),
        ({"authorization_url_skip_encode": ["scopes"]}, {"authorization": {"unencoded": ["scope"]}}),
        ({"decode_url": True}, {"authorization": {"unencoded": ["*"]}}),
        ({"authorization_url_fragment": "oauth/authorize"}, {"authorization": {"in_fragment": "/oauth/authorize"}}),
        ({"authorization_method": "header"}, {"client_authentication": {"method": "client_secret_basic"}}),
        ({"token_request_auth_method": "private_key_jwt"}, {"client_authentication": {"method": "private_key_jwt"}}),
        ({"require_client_certificate": True}, {"client_authentication": {"mutual_tls": True}}),
        ({"body_format": "json"}, {"token": {"body": "json"}}),
        ({"scope_separator": ",", "default_scopes": ["a"]}, {"scopes": {"separator": ",", "default": ["a"]}}),
        ({"disable_pkce": True}, {"pkce": "off"}),
        ({"token_response_metadata": ["team.id"]}, {"answer": {"learned": ["team.id"]}}),
        ({"alternate_access_token_response_path": "authed_user"}, {"answer": {"objects": ["authed_user"]}}),
        ({"expires_in_unit": "milliseconds"}, {"answer": {"lifetime_unit": "milliseconds"}}),
        ({"token_expires_in_ms": 0, "token_expiration_buffer": 30},
         {"lifetimes": {"access_token": 0, "refresh_before": 30}}),
        ({"redirect_uri_metadata": ["realmId"]}, {"callback": {"learned": ["realmId"]}}),
        ({"authorization_code_param_in_callback": "auth"}, {"callback": {"code": "auth"}}),
        ({"refresh_url": "https://p.example/r"},
         {"endpoints": {"authorization": "https://p.example/a", "token": "https://p.example/t", "refresh": "https://p.example/r"}}),
        ({"proxy": {"base_url": "https://api.p.example"}}, {"kept": {"proxy": {"base_url": "https://api.p.example"}}}),
    ],
)  # fmt: skip
def test_each_member_is_said_by_the_profile(members: dict[str, Any], profile: dict[str, Any]) -> None:
    assert said(**members) == profile


def test_requests_say_only_what_is_not_as_usual() -> None:
    usual = {"token_params": {"grant_type": "authorization_code"}, "refresh_params": {"grant_type": "refresh_token"}}
    assert said(**usual) == {}
    resource = "https://${connectionConfig.host}"
    found = one(token_params={"grant_type": "x", "resource": resource}, refresh_params={"grant_type": "refresh_token"})
    assert found.profile is not None
    assert found.profile.token.parameters == {"grant_type": "x", "resource": "https://{host}"}
    assert found.profile.refresh is not None
    assert found.profile.refresh.parameters == {}
    assert set(found.profile.inputs) == {"host"}


def test_addresses_with_alternatives_and_inputs() -> None:
    entry = one(
        token_url="https://a.${connectionConfig.region}.p.example/t || https://p.example/t",
        connection_config={
            "region": {
                "type": "string",
                "title": "Region",
                "optional": True,
                "enum": ["eu"],
                "doc_section": "#x",
                "order": 1,
            },
            "key": {"type": "string", "title": "Key", "secret": True, "automated": True},
        },
        credentials={"client_id": {"type": "string"}, "audience": {"type": "string", "title": "Audience"}},
    )
    assert entry.lossless
    assert entry.profile is not None
    assert entry.profile.endpoints.token == ("https://a.{region}.p.example/t", "https://p.example/t")
    inputs = entry.profile.inputs
    assert (inputs["region"].required, inputs["region"].enum, inputs["region"].documentation) == (False, ("eu",), "#x")
    assert (inputs["key"].secret, inputs["key"].learned) == (True, True)
    assert inputs["audience"].per_client
    assert "client_id" not in inputs


def test_an_alias_has_the_members_of_the_other_beside_its_own() -> None:
    catalogue = {
        "base": {**BASE, "disable_pkce": True, "body_format": "json"},
        "child": {"alias": "base", "body_format": "form"},
        "round": {"alias": "about"},
        "about": {"alias": "round"},
        "key": {"auth_mode": "API_KEY"},
    }
    found = {each.name: each.profile for each in converted(catalogue)}
    assert set(found) == {"base", "child"}
    child = found["child"]
    assert child is not None
    assert (child.pkce, child.token.body) == (Pkce.OFF, BodyFormat.FORM)


@pytest.mark.parametrize(
    ("members", "not_expressed"),
    [
        ({"post_connection_script": "x"}, ["post_connection_script"]),
        ({"a_member_of_tomorrow": 1}, ["a_member_of_tomorrow"]),
        ({"token_request_auth_method": "custom"}, ["token_request_auth_method", "authorization_method"]),
        ({"body_format": "xml"}, ["body_format"]),
        ({"token_params": {"a": {}}}, ["token_params.a"]),
        ({"token_url": None}, ["/endpoints/token"]),
        ({"token_url": "http://p.example"}, ["/endpoints/token"]),
        ({"connection_config": {"x": {"type": "string", "new": 1}}}, ["connection_config.x.new"]),
    ],
)
def test_what_a_profile_does_not_say_is_named(members: dict[str, Any], not_expressed: list[str]) -> None:
    entry = one(**members)
    assert not entry.lossless
    assert any(name.startswith(each) for name in entry.not_expressed for each in not_expressed)


def test_scripts_that_ask_once_are_said_by_the_profile_and_others_are_named() -> None:
    asking = one(post_connection_script="mailchimpPostConnection")
    assert asking.lossless
    assert asking.profile.endpoints.userinfo == "https://login.mailchimp.com/oauth2/metadata"
    assert asking.profile.answer.userinfo_learned == {"dc": "dc"}
    keeping = one(post_connection_script="highlevelPostConnection", token_response_metadata=["userId"])
    assert keeping.profile.answer.learned == ("userId", "companyId", "locationId")
    for script in ("jiraPostConnection", 5):
        assert one(post_connection_script=script).not_expressed == ("post_connection_script",)


API = {"proxy": {"base_url": "https://api.${connectionConfig.place}.p.example/ || https://api.p.example"}}


def test_scripts_that_ask_in_turn_ask_the_api_that_the_entry_names() -> None:
    found = one(post_connection_script="jiraPostConnection", **API)
    assert found.lossless, found.not_expressed
    assert [call.endpoint for call in found.profile.after_connecting[:2]] == [
        (f"https://api.{{place}}.p.example{path}", f"https://api.p.example{path}")
        for path in ("/oauth/token/accessible-resources", "/ex/jira/{cloudId}/rest/api/3/myself")
    ]
    assert one(post_connection_script="microsoftTeamsPostConnection").profile.answer.token_claims == {"tenantId": "tid"}
    config = {"username": {"type": "string"}, "password": {"type": "string", "secret": True}}
    params = {"authorization_params": {"u": "${connectionConfig.username}", "p": "${connectionConfig.password}"}}
    forgetting = one(post_connection_script="bullhornPostConnection", connection_config=config, **params)
    assert {name for name, said in forgetting.profile.inputs.items() if said.once} == {"username", "password"}


def test_scripts_that_revoke_are_the_revocation() -> None:
    found = one(pre_connection_deletion_script="hubspotPreConnectionDeletion")
    assert found.lossless, found.not_expressed
    assert found.profile.revocation.method == "DELETE"
    assert "token" not in found.profile.inputs
    linear = one(pre_connection_deletion_script="linearPreConnectionDeletion", **API)
    assert linear.profile.revocation.headers == {"Authorization": "Bearer {token}"}
    assert one(pre_connection_deletion_script="linearPreConnectionDeletion").not_expressed == (
        "pre_connection_deletion_script",
    )


def test_a_client_that_is_called_as_a_person_is_so_with_its_own_grant_only() -> None:
    (machine,) = converted({"p": {**BASE, "auth_mode": "OAUTH2_CC", "token_request_auth_method": "custom"}})
    assert machine.lossless, machine.not_expressed
    assert machine.profile.token.parameters == {
        "grant_type": None, "username": "{client_id}", "password": "{client_secret}",
    }  # fmt: skip
    assert machine.profile.answer.access_token == ("access_token", "jwt")


def test_whole_hosts_are_the_clients_and_what_is_told_is_one_of_those_that_are_named() -> None:
    config = {"host": {"type": "string", "example": "a.b"}, "place": {"enum": ["eu", "us"]}, "key": {"automated": True}}
    token = "https://accounts.${connectionConfig.place}.example || ${connectionConfig.server}/t"
    found = one(
        connection_config=config,
        authorization_url="https://${connectionConfig.host}/a?k=${connectionConfig.key}",
        token_url=token,
        redirect_uri_metadata=["server"],
    )
    inputs = found.profile.inputs
    assert (inputs["host"].per_client, inputs["key"].per_client, inputs["place"].per_client) == (True, True, False)
    assert not inputs["key"].learned
    assert inputs["server"].enum == ("https://accounts.eu.example", "https://accounts.us.example")
    assert inputs["server"].learned


def test_client_credentials_and_oauth1() -> None:
    catalogue = {
        "cc": {"auth_mode": "OAUTH2_CC", "token_url": "https://p.example/t", "token_request_auth_method": "basic"},
        "one": {**BASE, "auth_mode": "OAUTH1", "request_url": "https://p.example/r", "signature_method": "PLAINTEXT"},
    }
    machine, one_a = list(converted(catalogue))
    assert machine.profile is not None
    assert one_a.profile is not None
    assert (machine.lossless, one_a.lossless) == (True, True)
    assert (machine.profile.grant, one_a.profile.grant) == (Grant.CLIENT_CREDENTIALS, Grant.OAUTH1)
    assert machine.profile.client_authentication.method is AuthMethod.CLIENT_SECRET_BASIC
    assert one_a.profile.oauth1 is not None
    assert one_a.profile.oauth1.signature_method == "PLAINTEXT"


def test_entries_of_grant() -> None:
    content = {
        "zendesk": {
            "authorize_url": "https://[subdomain].zendesk.com/a", "access_url": "https://[subdomain].zendesk.com/t",
            "oauth": 2, "scope_delimiter": " ", "token_endpoint_auth_method": "client_secret_basic",
        },
        "tumblr": {"request_url": "https://t.example/r", "authorize_url": "https://t.example/a",
                   "access_url": "https://t.example/t", "oauth": 1},
        "else": {"oauth": 3},
    }  # fmt: skip
    zendesk, tumblr = list(converted_file(json.dumps(content).encode(), "grant"))
    assert zendesk.profile is not None
    assert zendesk.profile.endpoints.token == "https://{subdomain}.zendesk.com/t"
    assert (zendesk.auth_mode, tumblr.auth_mode) == ("OAUTH2", "OAUTH1")
    assert (zendesk.lossless, tumblr.lossless) == (True, True)


@pytest.mark.parametrize(
    ("content", "catalogue"),
    [
        (b"[1]", "grant"), (b"{", "grant"), (b"a: [", "nango"), (b"- a", "nango"), (b"\xff\xfe\x00", "nango"),
        (b"a: &x {auth_mode: OAUTH2}\nb: *x\n", "nango"), (b"a: !!python/object:os.system {}", "nango"),
        (b" " * (MAX_BYTES + 1), "grant"), (b"[" * 100_000, "grant"),
        (b'{"a": {"b": 1}}', "grant"), (b"a: {oauth: 2}", "nango"),
    ],
)  # fmt: skip
def test_a_file_in_another_form_is_refused(content: bytes, catalogue: str) -> None:
    with pytest.raises(BadRequest):
        list(converted_file(content, catalogue))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["OAUTH2", "${a.b}", "https://x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["alias", "auth", "authorization_params", "authorization_url", "authorization_url_replacements", "body_format",
     "connection_config", "credentials", "decode_url", "default_scopes", "docs", "expires_in_unit", "installation",
     "proxy", "refresh_params", "scope_separator", "token_headers", "token_params", "token_url"]
)  # fmt: skip


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_whatever_an_entry_holds_it_is_converted_or_named(members: dict[str, Any]) -> None:
    (entry,) = converted({"p": {**BASE, **members}})
    assert entry.lossless or entry.not_expressed
    if entry.profile is not None:
        json.dumps(document_of(entry.profile))


@pytest.mark.parametrize(
    ("members", "not_expressed"),
    [
        ({"token_headers": {"X-Api": 5}}, ("token_headers.X-Api",)),
        ({"token_request_auth_method": "odd"}, ("token_request_auth_method",)),
        ({"alias": "nobody"}, ("alias",)),
    ],
)
def test_only_the_member_itself_is_named(members: dict[str, Any], not_expressed: tuple[str, ...]) -> None:
    (entry,) = converted({"p": {**BASE, **members}})
    assert (entry.lossless, entry.not_expressed) == (False, not_expressed)
