"""The tables of docs/providers.md have every member of a provider profile, and no other."""

import re
from pathlib import Path

import pytest

from keyrack.oauth.profiles import model
from keyrack.oauth.profiles.model import AuthMethod

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text("utf-8")
PARTS = {
    "The profile": model.ProviderProfile,
    "`inputs`, each": model.Input,
    "`endpoints`": model.Endpoints,
    "`client_authentication`": model.ClientAuthentication,
    "`authorization`": model.AuthorizationRequest,
    "`token` and `refresh`": model.TokenRequest,
    "`scopes`": model.Scopes,
    "`callback`": model.Callback,
    "`answer`": model.Answer,
    "`lifetimes`": model.Lifetimes,
    "`oauth1`": model.OAuth1,
    "`rules`, each": model.DatedRule,
}


@pytest.mark.parametrize("heading", PARTS)
def test_a_table_has_all_members_in_their_order(heading: str) -> None:
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(PARTS[heading].__struct_fields__)


def test_every_way_to_authenticate_is_there() -> None:
    assert [each for each in AuthMethod if f"`{each.value}`" not in PAGE] == []
