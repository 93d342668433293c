"""What a component.json is refused for, and what only looks wrong in it: contract sections 0.9, 19.1 to 19.4 and 21."""

import copy
from typing import Any

import pytest

from keyrack.descriptor.lint import lint
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.uri import render_uri, template_fault
from support.components import DESCRIPTORS, load_descriptor

OAUTH2 = "/credentials/oauth2"
INSECURE = "KEYRACK_ALLOW_INSECURE_PROVIDERS"


def changed(name: str = "pizza-van", /, oauth2: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """Return a descriptor with changed members of its block and at the top; None takes one away."""
    raw = copy.deepcopy(load_descriptor(name)) | top
    block = raw["credentials"]["oauth2"] | (oauth2 or {})
    raw["credentials"]["oauth2"] = {name: value for name, value in block.items() if value is not None}
    return {name: value for name, value in raw.items() if value is not None}


def errors(raw: object) -> dict[str | None, str]:
    return {problem.pointer: problem.detail for problem in lint(raw).errors}


def warnings(raw: object) -> dict[str | None, str]:
    found = lint(raw)
    assert found.errors == ()
    return {problem.pointer: problem.detail for problem in found.warnings}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_real_descriptors_are_right(name: str) -> None:
    assert (errors(load_descriptor(name)), warnings(load_descriptor(name))) == ({}, {})


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no token_uri", changed(oauth2={"token_uri": None}), f"{OAUTH2}/token_uri", "token_uri is required"),
    ("an empty auth_uri", changed(oauth2={"auth_uri": " "}), f"{OAUTH2}/auth_uri", "auth_uri is required"),
    ("no URI", changed(oauth2={"auth_uri": "login"}), f"{OAUTH2}/auth_uri", "not an absolute http(s) URL"),
    ("ftp", changed(oauth2={"token_uri": "ftp://a.example/t"}), f"{OAUTH2}/token_uri", "http(s)"),
    ("single braces", changed(oauth2={"auth_uri": "https://{host}/a"}), f"{OAUTH2}/auth_uri", "{ }"),
    ("a user name", changed(oauth2={"auth_uri": "https://me@a.example/a"}), f"{OAUTH2}/auth_uri", "user name"),
    ("a varying scheme", changed(oauth2={"auth_uri": "http{{s}}://a.example/a"}), f"{OAUTH2}/auth_uri", "scheme"),
    ("a scheme variable", changed(oauth2={"auth_uri": "{{s}}://a.example/a"}), f"{OAUTH2}/auth_uri", "host"),
    ("a wrong issuer", changed(oauth2={"issuer": "me"}), f"{OAUTH2}/issuer", "not an absolute http(s) URL"),
    ("a query in it", changed(oauth2={"issuer": "https://a.example/?a=1"}), f"{OAUTH2}/issuer", "query"),
    ("client_auth", changed(oauth2={"client_auth": "jwt"}), f"{OAUTH2}/client_auth", "basic, basic_raw, none, post"),
    (
        "signature_method",
        {
            "credentials": {
                "fields": {"o": {"viewClass": "OAuthFieldView"}},
                "oauth1": {
                    **dict.fromkeys(("request_token_uri", "auth_uri", "access_token_uri"), "https://a.example"),
                    "signature_method": "RSA-SHA1",
                },
            }
        },
        "/credentials/oauth1/signature_method",
        "HMAC-SHA1, HMAC-SHA256, PLAINTEXT",
    ),
    ("envVars as a list", changed(envVars=["PIZZAVAN_KEY"]), "/envVars", "not an array"),
    ("envVars as a text", changed(envVars="PIZZAVAN_KEY"), "/envVars", "must be an object, not a string"),
    (
        "the secret shown",
        changed(oauth2={"auth_uri": "https://a.example/{{PIZZAVAN_SECRET}}"}),
        f"{OAUTH2}/auth_uri",
        "PIZZAVAN_SECRET",
    ),
    ("the secret in scopes", changed(oauth2={"scopes": ["a", "{{PIZZAVAN_SECRET}}"]}), f"{OAUTH2}/scopes/1", "browser"),
    ("the secret in a parameter", changed(oauth2={"hint": "{{OAUTH_CLIENT_SECRET}}"}), f"{OAUTH2}/hint", "browser"),
    (
        "oauth1 too",
        {
            "credentials": {
                "fields": {"o": {"viewClass": "OAuthFieldView"}},
                "oauth1": {"auth_uri": "https://a.example", "access_token_uri": "https://a.example/t"},
            }
        },
        "/credentials/oauth1/request_token_uri",
        "required",
    ),
    (
        "at the top level",
        {
            "credentials": {"fields": {"o": {"viewClass": "OAuthFieldView"}}},
            "oauth2": {"auth_uri": "https://a.example"},
        },
        "/oauth2/token_uri",
        "required",
    ),
]


@pytest.mark.parametrize(("_name", "raw", "pointer", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_can_never_work_is_refused_when_new_and_taken_when_stored(
    _name: str, raw: dict[str, Any], pointer: str, words: str
) -> None:
    found = errors(raw)
    assert list(found) == [pointer]
    assert words in found[pointer]
    if raw.get("envVars") != "PIZZAVAN_KEY":  # a wrong type of what is read was never accepted
        assert parse_descriptor(raw).oauth_field is not None


def test_all_that_is_wrong_is_told_at_once_and_beside_it_what_looks_wrong() -> None:
    raw = changed(oauth2={"token_uri": None, "auth_uri": "ftp://x", "client_id": ""}, useOauthClient=True)
    assert list(errors(raw)) == [f"{OAUTH2}/auth_uri", f"{OAUTH2}/token_uri"]
    assert [each.pointer for each in lint(raw).warnings] == ["/useOauthClient", f"{OAUTH2}/client_id"]
    wrong_type = changed(title=5, useOauthClient=True)
    assert list(errors(wrong_type)) == ["/title"]
    assert [each.pointer for each in lint(wrong_type).warnings] == ["/useOauthClient"]
    assert (list(errors([])), lint([]).warnings) == ([""], ())


@pytest.mark.parametrize(
    "raw",
    [
        {"authClientTypes": ["oauth2"], "credentials": {"oauth2": {"scopes": ["a"]}}},
        {"useOAuthClient": True, "credentials": {"oauth2": {"client_id": "{{K}}", "client_secret": "{{S}}"}}},
        {"oauth2": {"prompt": "login"}},
        {"credentials": {"fields": {"auth": {"viewClass": "HTTPAuthView"}}, "oauth2": {"auth_uri": "ftp://x"}}},
        {"authClientTypes": ["oauth2"], "credentials": {"oauth2": {"auth_uri": "ftp://x"}}},
    ],
    ids=["second generation", "variables only", "no field", "the user's own client", "an auth client's addresses"],
)
def test_what_may_work_without_addresses_is_not_refused(raw: dict[str, Any]) -> None:
    assert errors(raw) == {}


WARNED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "useOauthClient",
        changed(useOAuthClient=None, useOauthClient=True),
        "/useOauthClient",
        "useOAuthClient is probably meant",
    ),
    ("use_oauth_client", changed(use_oauth_client=True), "/use_oauth_client", "useOAuthClient"),
    ("authClientType", changed(authClientType=["oauth2"]), "/authClientType", "authClientTypes"),
    ("token_url", changed(oauth2={"token_url": "x"}), f"{OAUTH2}/token_url", "token_uri is probably meant"),
    ("client_id outside", changed(client_id="x"), "/client_id", "belongs in oauth2"),
    (
        "inside the block",
        changed(oauth2={"useOAuthClient": True}),
        f"{OAUTH2}/useOAuthClient",
        "belongs at the top level",
    ),
    (
        "a view class",
        {"credentials": {"fields": {"o": {"viewClass": "OauthFieldView"}}}},
        "/credentials/fields/o/viewClass",
        "OAuthFieldView",
    ),
    (
        "a field's member",
        {"credentials": {"fields": {"a/b": {"viewClass": "TextView", "lable": "A"}}}},
        "/credentials/fields/a~1b/lable",
        "label",
    ),
    ("a variable's", {"envVars": {"A": {"requird": True}}}, "/envVars/A/requird", "required"),
    ("an empty client_id", changed(oauth2={"client_id": ""}), f"{OAUTH2}/client_id", "write {{NAME}}"),
    ("no client_secret", changed(oauth2={"client_secret": None}), f"{OAUTH2}/client_secret", "write {{NAME}}"),
    ("a literal secret", changed(oauth2={"client_secret": "hunter22"}), f"{OAUTH2}/client_secret", "write {{NAME}}"),
    (
        "more than a name",
        changed(oauth2={"client_id": "x{{PIZZAVAN_KEY}}"}),
        f"{OAUTH2}/client_id",
        "exactly one {{NAME}}",
    ),
    (
        "no client at all",
        changed(oauth2={"client_id": ""}, useOAuthClient=None, envVars={}) | {"env": {}},
        f"{OAUTH2}/client_id",
        "useOAuthClient is not set",
    ),
    ("http", changed(oauth2={"auth_uri": "http://a.example"}), f"{OAUTH2}/auth_uri", INSECURE),
    ("loopback", changed(oauth2={"token_uri": "https://127.0.0.1:9/t"}), f"{OAUTH2}/token_uri", INSECURE),
    ("localhost", changed(oauth2={"token_uri": "https://localhost/t"}), f"{OAUTH2}/token_uri", INSECURE),
    ("private IPv6", changed(oauth2={"token_uri": "https://[fd00::1]/t"}), f"{OAUTH2}/token_uri", INSECURE),
    ("undeclared", changed(oauth2={"auth_uri": "https://{{ZONE}}.a.example"}), f"{OAUTH2}/auth_uri", "ZONE"),
    ("no block", {"useOAuthClient": True}, "/useOAuthClient", "neither an oauth2 nor an oauth1"),
    (
        "a field, no block",
        {"credentials": {"fields": {"o": {"viewClass": "OAuthFieldView"}}}},
        "/credentials/fields/o",
        "neither",
    ),
    ("a near type", {"authClientTypes": ["oauth"]}, "/authClientTypes/0", "oauth2 is probably meant"),
    ("addresses unused", {"authClientTypes": ["oauth2"], "oauth2": {"auth_uri": "ftp://x"}}, "/oauth2/auth_uri", "URL"),
]


@pytest.mark.parametrize(("_name", "raw", "pointer", "words"), WARNED, ids=[row[0] for row in WARNED])
def test_what_looks_wrong_is_a_warning(_name: str, raw: dict[str, Any], pointer: str, words: str) -> None:
    found = warnings(raw)
    assert words in found.get(pointer, ""), found
    assert "hunter22" not in str(found)


def test_no_field_for_the_token_is_a_warning_and_so_is_what_is_missing_then() -> None:
    raw = changed(oauth2={"token_uri": None})
    raw["credentials"]["fields"] = {}
    found = warnings(raw)
    assert "OAuthFieldView" in found["/credentials/fields"]
    assert f"{OAUTH2}/token_uri" in found


def test_parameters_of_providers_are_no_spelling_mistakes() -> None:
    parameters = (
        "access_type", "prompt", "audience", "resource", "login_hint", "hd", "display", "ui_locales", "acr_values",
        "auth_type", "token_access_type", "user_scope", "optional_scope", "response_mode", "include_granted_scopes",
        "duration", "team", "nonce", "id_token_hint", "approval_prompt", "owner", "tenant", "claims", "account_type",
    )  # fmt: skip
    assert warnings(changed(oauth2=dict.fromkeys(parameters, "x"))) == {}


def test_there_are_never_more_than_a_hundred_of_each() -> None:
    found = lint({"credentials": {"fields": {f"f{n}": {"lable": "x"} for n in range(5000)}}, "envVars": {}})
    assert len(found.warnings) == 100
    found = lint({"credentials": {"fields": {f"f{n}": 5 for n in range(5000)}}})
    assert (len(found.errors), len(found.warnings)) == (100, 0)


@pytest.mark.parametrize(
    ("template", "context"),
    [
        ("https://{{x}}.example.com/a", {"x": "eu"}),
        ("https://{{x}}/a", {"x": "a.example"}),
        ("https://a.example:{{x}}/a", {"x": "8443"}),
        ("https://{{x}}:{{y}}/a", {"x": "a.example", "y": "8443"}),
        ("https://[{{x}}::1]/a", {"x": "fd00"}),
        ("https://10.0.0.{{x}}/a", {"x": "7"}),
        ("{{x}}/a", {"x": "https://a.example"}),
        ("{{x}}", {"x": "https://a.example/a?b=c"}),
        ("{{x}}.example.com/a", {"x": "https://eu"}),
        ("{{x}}@b", {"x": "https://a.example/a"}),
        ("https://a.example/{{x}}/../b?c={{y}}", {}),
        ("https://{{x}}..example.com/", {}),
        ("https://a.example/{{ x y }}", {}),
        ("mailto:{{x}}@a.example", {}),
    ],
)
def test_only_a_template_that_no_value_can_make_a_url_of_has_a_fault(template: str, context: dict[str, str]) -> None:
    if context:
        assert render_uri(template, context)
        assert template_fault(template) is None
    else:
        assert template_fault(template)
