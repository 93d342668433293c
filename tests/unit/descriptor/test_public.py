"""Contract section 13.1: what anyone who sees a component may read of its descriptor."""

import copy

import pytest

from keyrack.descriptor.public import public
from support.components import DESCRIPTORS, load_descriptor


@pytest.mark.parametrize("name", [name for name in DESCRIPTORS if name != "office-sheets"])
def test_fixtures_with_templates_pass_through_whole(name: str) -> None:
    assert public(load_descriptor(name)) == load_descriptor(name)


def test_an_empty_secret_is_no_template() -> None:
    raw = load_descriptor("office-sheets")
    shown = public(raw)
    assert "client_secret" not in shown["credentials"]["oauth2"]
    assert shown["credentials"]["oauth2"]["client_id"] == ""
    assert raw == load_descriptor("office-sheets")


@pytest.mark.parametrize(
    "secret",
    [
        "hunter22",
        "{{A}}hunter22",
        "hunter22{{A}}",
        " {{A}} hunter22",
        "{{A}}\n",
        "{{}}hunter22",
        22,
        ["hunter22"],
        {"x": "hunter22"},
    ],
)
def test_literal_secrets_are_removed_wherever_a_block_stands(secret: object) -> None:
    raw = {
        "client_secret": "hunter22",
        "oauth2": {"client_secret": secret, "client_id": "id"},
        "oauth1": {"consumer_secret": secret},
        "credentials": {
            "oauth2": {"client_secret": secret, "nested": {"client_secret": secret}},
            "oauth1": {"consumer_secret": secret, "consumer_key": "k"},
        },
        "actions": {"a": {"samples": [{"client_secret": "hunter22", "rest": 1}]}},
    }
    before = copy.deepcopy(raw)
    shown = public(raw)
    assert shown == {
        "oauth2": {"client_id": "id"},
        "oauth1": {},
        "credentials": {"oauth2": {"nested": {}}, "oauth1": {"consumer_key": "k"}},
        "actions": {"a": {"samples": [{"rest": 1}]}},
    }
    assert raw == before


def test_a_field_of_that_name_is_no_secret() -> None:
    raw = {"credentials": {"fields": {"client_secret": {"viewClass": "PasswordFieldView", "label": "Secret"}}}}
    assert public(raw) == raw
