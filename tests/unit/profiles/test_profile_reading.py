"""Provider profiles as JSON: what a profile says is read as it was written, and what is wrong is named by its place."""

from typing import Any

import pytest

from keyrack.errors import ValidationFailed
from keyrack.oauth.profiles.kinds import AuthMethod, Grant
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.reading import document_of, profile_of
from keyrack.oauth.profiles.request_parts import TokenRequest
from keyrack.oauth.profiles.templates import filled

SLACK: dict[str, Any] = {
    "name": "slack",
    "title": "Slack",
    "inputs": {"team": {"title": "Team", "pattern": "T[A-Z0-9]+", "required": False}},
    "endpoints": {
        "authorization": "https://slack.com/oauth/v2/authorize",
        "token": "https://slack.com/api/oauth.v2.access",
    },
    "authorization": {"parameters": {"team": "{team}"}},
    "scopes": {"separator": ",", "user_parameter": "user_scope"},
    "answer": {"objects": ["authed_user"], "fails_where": {"ok": False}, "account": ["team.name"]},
    "rules": [{"since": "2021-02-24", "says": "Classic apps cannot be made any more."}],
}


def changed(**members: Any) -> dict[str, Any]:
    return {**SLACK, **members}


def test_a_profile_is_written_as_it_was_read() -> None:
    profile = profile_of(SLACK)
    assert profile.grant is Grant.AUTHORIZATION_CODE
    assert profile.client_authentication.method is AuthMethod.CLIENT_SECRET_POST
    assert document_of(profile) == SLACK
    assert profile_of(document_of(profile)) == profile


def test_a_refresh_request_of_its_own_stays_one_even_if_it_is_as_usual() -> None:
    profile = profile_of(changed(refresh={}, token={"parameters": {"x": "y"}}))
    assert profile.refresh == TokenRequest()
    assert profile_of(document_of(profile)) == profile


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"name": "Slack"}, "/name"),
        ({"nmae": "x"}, ""),
        ({"grant": "implicit"}, "/grant"),
        ({"endpoints": {"token": "https://slack.com/t"}}, "/endpoints/authorization"),
        ({"endpoints": {"token": "http://slack.com/t", "authorization": "https://slack.com/a"}}, "/endpoints/token"),
        ({"endpoints": {"token": "https://{host}/t", "authorization": "https://slack.com/a"}}, "/endpoints/token"),
        ({"authorization": {"parameters": {"team": "{nowhere}"}}}, "/authorization/parameters/team"),
        ({"token": {"headers": {"x-key": "{nowhere}"}}}, "/token/headers/x-key"),
        ({"token": {"body": "xml"}}, "/token/body"),
        ({"inputs": {"team": {"pattern": "("}}}, "/inputs/team/pattern"),
        ({"inputs": {"team": {"enum": ["a"], "default": "b"}}}, "/inputs/team/default"),
        ({"client_authentication": {"method": "fields"}}, "/client_authentication/method"),
        ({"grant": "oauth1"}, "/endpoints/temporary_credentials"),
        ({"oauth1": {}}, "/oauth1"),
        ({"rules": [{"since": "soon", "says": "x"}]}, "/rules/0/since"),
        ({"callback": {"code": "state"}}, "/callback"),
        ({"callback": {"state": "iss"}}, "/callback"),
        ({"callback": {"learned": ["code"]}}, "/callback/learned"),
        ({"callback": {"state": "mine", "learned": ["mine"]}}, "/callback/learned"),
        ({"token": {"headers": {"x-secret": "{client_secret}"}}}, "/token"),
        ({"refresh": {"parameters": {"key": "{client_secret}"}}}, "/refresh"),
        (
            {
                "client_authentication": {"method": "client_secret_basic"},
                "token": {"parameters": {"client_secret": "{client_secret}"}},
            },
            "/token",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        profile_of(changed(**members))
    assert pointer in [problem.pointer for problem in refused.value.problems]


def test_what_is_wrong_is_told_once() -> None:
    twice = {"parameters": {"key": "{client_secret}"}}
    with pytest.raises(ValidationFailed) as refused:
        profile_of(changed(oauth1={}, callback={"code": "state"}, token=twice))
    assert sorted(str(problem.pointer) for problem in refused.value.problems) == ["/callback", "/oauth1", "/token"]


@pytest.mark.parametrize(
    ("members", "pointer", "told"),
    [
        ({"authorisation": {}}, "", "has an unknown field authorisation; is it authorization?"),
        ({"oauth1": {"wat": 1}}, "/oauth1", "has an unknown field wat; there are "),
        ({"inputs": {"good": {}, "a/b": {"titel": "T"}}}, "/inputs/a~1b", "is it title?"),
        ({"client_authentication": {"method": "basic"}}, "/client_authentication/method", "must be one of client_"),
        ({"dpop": "RS1"}, "/dpop", "must be one of ES256"),
        ({"rules": [{"since": "2027-01-01", "says": "x", "scopes": [1]}]}, "/rules/0/scopes/0", "Expected str"),
        ({"answer": 1}, "/answer", "Expected object"),
    ],
)
def test_what_has_not_the_form_is_named_with_what_there_is(members: dict[str, Any], pointer: str, told: str) -> None:
    with pytest.raises(ValidationFailed) as wrong:
        profile_of(changed(**members))
    (problem,) = wrong.value.problems
    assert problem.pointer == pointer
    assert told in problem.detail


def test_a_host_is_filled_in_only_with_what_has_a_bound() -> None:
    endpoints = {"authorization": "https://{shop}.myshopify.com/a", "token": "https://{shop}.myshopify.com/t"}
    base = {"name": "shopify", "endpoints": endpoints}
    with pytest.raises(ValidationFailed):
        profile_of({**base, "inputs": {"shop": {}}})
    assert profile_of({**base, "inputs": {"shop": {"pattern": "[a-z0-9-]+"}}}).inputs == {
        "shop": Input(pattern="[a-z0-9-]+")
    }


def test_the_first_template_counts_whose_placeholders_are_known() -> None:
    addresses = ("https://accounts.zoho.{extension}/t", "{accounts-server}/t", "https://accounts.zoho.com/t")
    assert filled(addresses, {"extension": "eu", "accounts-server": "https://x"}) == "https://accounts.zoho.eu/t"
    assert filled(addresses, {"extension": "", "accounts-server": "https://x"}) == "https://x/t"
    assert filled(addresses, {}) == "https://accounts.zoho.com/t"
    assert filled("{a}", {}) is None
    assert filled("{a}{b}", {"a": "{b}", "b": "x"}) == "{b}x"  # what was filled in is no placeholder


def test_nothing_is_in_a_profile_that_is_as_usual() -> None:
    assert document_of(ProviderProfile(name="x")) == {"name": "x"}
