"""Contract sections 0.8, 18.1 and 21; rules 24.2, 24.10 and 24.11."""

from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.descriptor.link import (
    ClientKeys,
    linked_names,
    oauth_client_variables,
    protected_names,
    shared_env,
)
from keyrack.descriptor.parse import parse_descriptor
from support.components import load_descriptor

FIXED = {"OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"}
KEYS = ClientKeys("globex-id", Secret("globex-secret"))


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("pizza-van", ("PIZZAVAN_KEY", "PIZZAVAN_SECRET")),
        ("office-sheets", (None, None)),
        ("parcel-top-level", ("PARCEL_ID", "PARCEL_SECRET")),
        ("birdsong-oauth1", ("BIRDSONG_KEY", "BIRDSONG_SECRET")),
        ("timer-plain", (None, None)),
        ("calendar-secrets", (None, None)),
    ],
)
def test_linked_names(name: str, link: tuple[str | None, str | None]) -> None:
    assert linked_names(parse_descriptor(load_descriptor(name))) == link


@pytest.mark.parametrize("template", ["x{{A}}", "{{A}}{{B}}", "literal", "", "{{}}", " {{A}}"])
def test_only_a_sole_placeholder_links_but_all_its_variables_are_protected(template: str) -> None:
    descriptor = parse_descriptor({"oauth2": {"client_id": template, "client_secret": "{{ S }}"}})
    assert linked_names(descriptor) == (None, "S")
    assert protected_names(descriptor) == {"S"} | {name for name in "AB" if f"{{{{{name}}}}}" in template}


def test_protected_names_come_from_every_block_in_every_place() -> None:
    descriptor = parse_descriptor(
        {
            "oauth2": {"client_id": "{{HIDDEN_BY_THE_INNER_ONE}}", "client_secret": "{{A}}-{{B}}"},
            "oauth1": {"consumer_key": "{{C}}", "auth_uri": "https://{{NOT}}"},
            "credentials": {"oauth2": {"client_id": "{{D}}"}, "oauth1": {"consumer_secret": "x{{E}}"}},
        }
    )
    assert protected_names(descriptor) == {"HIDDEN_BY_THE_INNER_ONE", "A", "B", "C", "D", "E"}


def test_with_an_oauth_client_the_fixed_names_are_protected_too() -> None:
    assert (
        protected_names(parse_descriptor(load_descriptor("pizza-van"))) == {"PIZZAVAN_KEY", "PIZZAVAN_SECRET"} | FIXED
    )
    assert protected_names(parse_descriptor(load_descriptor("ledger-basic"))) == {"LEDGER_ID", "LEDGER_SECRET"}


def test_an_owners_environment_without_its_keys() -> None:
    env = {"PIZZAVAN_KEY": "acme", "PIZZAVAN_SECRET": "s", "OAUTH_CLIENT_SECRET": "s", "REGION": "eu"}
    assert shared_env(parse_descriptor(load_descriptor("pizza-van")), env) == {"REGION": "eu"}


def test_a_client_sets_linked_and_fixed_names() -> None:
    assert oauth_client_variables(parse_descriptor(load_descriptor("pizza-van")), KEYS) == {
        "PIZZAVAN_KEY": "globex-id",
        "PIZZAVAN_SECRET": "globex-secret",
        "OAUTH_CLIENT_ID": "globex-id",
        "OAUTH_CLIENT_SECRET": "globex-secret",
    }
    assert oauth_client_variables(parse_descriptor(load_descriptor("office-sheets")), KEYS).keys() == FIXED


@pytest.mark.parametrize("name", ["ledger-basic", "timer-plain"])
def test_a_client_sets_nothing_where_it_is_not_used(name: str) -> None:
    assert oauth_client_variables(parse_descriptor(load_descriptor(name)), KEYS) == {}


def test_a_client_plays_the_consumer_of_oauth1() -> None:
    raw: dict[str, Any] = load_descriptor("birdsong-oauth1") | {"useOAuthClient": True}
    variables = oauth_client_variables(parse_descriptor(raw), KEYS)
    assert (variables["BIRDSONG_KEY"], variables["BIRDSONG_SECRET"]) == ("globex-id", "globex-secret")


def test_keys_do_not_show_their_secret() -> None:
    assert "globex-secret" not in repr(KEYS)
