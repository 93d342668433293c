"""No descriptor makes the parser fail otherwise than by saying what is wrong, and no value leaves its host."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from keyrack.crypto.secret import Secret
from keyrack.descriptor.fields import clean_fields
from keyrack.descriptor.first_generation import resolve
from keyrack.descriptor.link import ClientKeys, protected_names
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.public import public
from keyrack.descriptor.template import placeholders, render
from keyrack.descriptor.uri import absolute_uri, render_uri
from keyrack.errors import Problem, ValidationFailed
from support.components import DESCRIPTORS, load_descriptor

CANARY = "canary-4711-canary"
TEXT = st.text(st.characters(), max_size=12)
HOSTILE = st.text(
    st.sampled_from(
        "abz019.-_/\\?#@:%[]{}&=;, \t\n\r\0\u3002\uff0e\uff61\uff0f\uff1a\uff20\u2044\u00ad\u200b\u2028\u2100ß\ud800"
    ),
    min_size=1,
    max_size=10,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("{{A}}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = [
    "title",
    "useOAuthClient",
    "authClientTypes",
    "envVars",
    "env",
    "actions",
    "triggers",
    "oauth2",
    "oauth1",
    "fields",
    "viewClass",
    "label",
    "required",
    "model",
    "client_id",
    "client_secret",
    "auth_uri",
    "token_uri",
    "scopes",
    "client_auth",
    "pkce",
    "consumer_key",
    "consumer_secret",
]


def documents() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(MEMBERS) | TEXT
    level = JSON
    for _ in range(3):
        level = JSON | st.dictionaries(names, level, max_size=4)
    return st.fixed_dictionaries({}, optional=dict.fromkeys((*MEMBERS[:9], "credentials"), level))


@settings(max_examples=200, deadline=None)
@given(documents() | JSON, st.dictionaries(TEXT, JSON, max_size=3))
def test_any_document_is_parsed_or_refused_with_pointers(raw: object, values: dict[str, Any]) -> None:
    refusals: Sequence[Problem] = ()
    try:
        descriptor = parse_descriptor(raw)
    except ValidationFailed as failed:
        refusals = failed.problems
    else:
        check_parsed(descriptor, values)
    assert all(problem.pointer is not None for problem in refusals)


def check_parsed(descriptor: Descriptor, values: dict[str, Any]) -> None:
    json.dumps(public(descriptor.raw), allow_nan=False, ensure_ascii=False).encode()
    protected_names(descriptor)
    with suppress(ValidationFailed):
        clean = clean_fields(descriptor, values | dict.fromkeys(descriptor.fields, "x"), "/fields")
        resolve(descriptor, env={}, values=clean, client=None, pointer_prefix="/fields")


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A fixture with one value somewhere replaced."""
    raw = load_descriptor(draw(st.sampled_from(DESCRIPTORS)))
    place: Any = raw
    while True:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not inner or not isinstance(inner, dict | list) or draw(st.integers(0, 3)) == 0:
            place[key] = draw(JSON)
            return raw
        place = inner


@settings(max_examples=300, deadline=None)
@given(mutated(), st.dictionaries(st.sampled_from(["prodEnv", "shop", "auth", "oauth", "site", "LEDGER_REGION"]), JSON))
def test_a_mutated_descriptor_resolves_or_says_why_and_shows_nothing(
    raw: dict[str, Any], values: dict[str, Any]
) -> None:
    client = ClientKeys("id", Secret(CANARY))
    env = {"PIZZAVAN_SECRET": CANARY, "LEDGER_SECRET": CANARY, "LEDGER_ID": "i", "LEDGER_REGION": "eu"}
    try:
        descriptor = parse_descriptor(raw)
        clean = clean_fields(descriptor, values, "/fields")
        found = resolve(descriptor, env=env, values=clean, client=client, pointer_prefix="/fields")
    except ValidationFailed as failed:
        shown = "".join(f"{problem.detail}{problem.pointer}" for problem in failed.problems)
    else:
        shown = repr(found) + found.authorization_endpoint + found.scope + str(found.extra)
        assert found.client_secret
    assert CANARY not in shown


@settings(max_examples=500, deadline=None)
@given(HOSTILE)
def test_a_value_in_the_host_never_changes_the_suffix(value: str) -> None:
    with suppress(ValidationFailed):
        uri = render_uri("https://{{x}}.example.com/token?a={{x}}", {"x": value})
        for host in (urlsplit(uri).hostname, URL(uri).host, URL(uri, encoded=True).host):
            assert host is not None
            assert host.endswith(".example.com")
        assert URL(uri).user is None
        assert URL(uri).port == 443


@settings(max_examples=500, deadline=None)
@given(
    HOSTILE, st.sampled_from(["https://as.example/{{x}}", "https://as.example/a/{{x}}/b", "https://as.example/?{{x}}"])
)
def test_a_value_behind_the_host_never_changes_the_host(value: str, template: str) -> None:
    with suppress(ValidationFailed):
        uri = render_uri(template, {"x": value})
        assert uri.isascii()
        assert uri.isprintable()
        assert URL(uri).host == urlsplit(uri).hostname == "as.example"
        assert not URL(uri).fragment
        assert " " not in uri


@settings(max_examples=500, deadline=None)
@given(st.one_of(HOSTILE, HOSTILE.map("https://".__add__), HOSTILE.map("https://as.example".__add__), TEXT))
def test_an_accepted_uri_means_the_same_to_every_parser(text: str) -> None:
    try:
        uri = absolute_uri(text)
    except ValueError:
        return
    assert absolute_uri(uri) == uri
    split, url = urlsplit(uri), URL(uri)
    assert split.hostname == url.host == url.raw_host
    assert (split.username, split.fragment, url.user, url.fragment) == (None, "", None, "")
    assert split.port is None or split.port == url.port


@settings(max_examples=300, deadline=None)
@given(
    st.text("{}AB \n\\x", max_size=20),
    st.dictionaries(st.sampled_from(["A", "B", "x"]), st.text("{}AB\\1", max_size=8)),
)
def test_rendering_replaces_placeholders_and_nothing_else(text: str, context: dict[str, str]) -> None:
    names = placeholders(text)
    rendered = render(text, context)
    if not names:
        assert rendered == text
    marked = render(text, {name: f"<{name}>" for name in names})
    assert marked.count("<") == len(names)
    assert len(rendered) == len(marked) + sum(len(context.get(name, "")) - len(name) - 2 for name in names)
