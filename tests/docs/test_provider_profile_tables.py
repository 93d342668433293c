"""The tables of docs/providers.md have every member of a profile, every profile that comes along, and no other."""

import re
from pathlib import Path

import pytest

from keyrack.errors import ValidationFailed
from keyrack.oauth.profiles import answer_parts, call_parts, model, request_parts
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.kinds import AuthMethod
from keyrack.service.clients.profile_rules import ProfileRules

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
PARTS = {
    "The profile": model.ProviderProfile,
    "`inputs`, each": model.Input,
    "`endpoints`": request_parts.Endpoints,
    "`client_authentication`": request_parts.ClientAuthentication,
    "`authorization`": request_parts.AuthorizationRequest,
    "`token`, `refresh` and `exchange`": request_parts.TokenRequest,
    "`revocation`": request_parts.RevocationRequest,
    "`introspection`": request_parts.EndpointRequest,
    "`scopes`": request_parts.Scopes,
    "`callback`": answer_parts.Callback,
    "`answer`": answer_parts.Answer,
    "`after_connecting`, each": call_parts.Call,
    "`lifetimes`": answer_parts.Lifetimes,
    "`oauth1`": request_parts.OAuth1,
    "`assertion`": request_parts.Assertion,
    "`token_exchange`": request_parts.TokenExchange,
    "`rules`, each": model.DatedRule,
}


@pytest.mark.parametrize("heading", PARTS)
def test_a_table_has_all_members_in_their_order(heading: str) -> None:
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(PARTS[heading].__struct_fields__)


def test_every_way_to_authenticate_is_there() -> None:
    assert [each for each in AuthMethod if f"`{each.value}`" not in PAGE] == []


def test_the_profiles_that_come_along_are_all_there_with_their_inputs() -> None:
    section = PAGE.partition("## Those that come along\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z0-9_-]+)` \| ([^|]+) \| ([^|]*) \| ([^|]*) \|$", section, re.MULTILINE)
    said = [(name, title, re.findall(r"`(\w+)`", inputs)) for name, title, inputs, _ in rows]
    assert said == [(name, each.title, list(each.inputs)) for name, each in catalogue().items()]
    assert [name for name, *_, missing in rows if missing.strip()] == [name for name in catalogue() if not usable(name)]


def usable(name: str) -> bool:
    try:
        ProfileRules(allow_insecure=False).checked(name, "/p")
    except ValidationFailed:
        return False
    return True
