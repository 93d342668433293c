"""`keyrack providers`: other projects' catalogues as they are published, and the profiles that come along."""

import json
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.reading import profile_of
from keyrack.service.clients.profile_trace import EXAMPLE_SECRETS, example_requests
from support.keyrack_processes import run_command
from support.node import MODULES
from support.parts import require_part, why_not_installed

NANGO = MODULES / "@nangohq" / "providers" / "providers.yaml"
GRANT = MODULES / "grant" / "config" / "oauth.json"
CODE_OF_NANGO = {"post_connection_script", "pre_connection_deletion_script"}
UNSAYABLE = {
    "certn-partner": "has no address for tokens",
    "sentry-oauth": "is given its code by a webhook",
}


def keyrack(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command where there is no installation and no database."""
    return run_command(home / "no-home", *words, KEYRACK_DATABASE_URL="postgresql://a:canary@127.0.0.1:1/x")


def converted(home: Path, file: Path, kind: str, *more: str) -> list[dict[str, Any]]:
    if not file.exists():
        require_part("catalogues from npm", why_not_installed("node"))
    done = keyrack(home, "providers", "import", "--format", kind, str(file), "--json", *more)
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, Any]] = json.loads(done.stdout)["entries"]
    return entries


def test_nangos_catalogue_is_converted_but_for_its_code(tmp_path: Path) -> None:
    entries = converted(tmp_path, NANGO, "nango", "--out", str(tmp_path / "out"))
    text = NANGO.read_text("utf-8")
    assert len(entries) >= sum(text.count(f"auth_mode: {mode}\n") for mode in ("OAUTH2", "OAUTH2_CC", "OAUTH1"))
    assert {each["auth_mode"] for each in entries} == {"OAUTH2", "OAUTH2_CC", "OAUTH1"}
    lost = {each["name"]: set(each["not_expressed"]) - CODE_OF_NANGO for each in entries if not each["lossless"]}
    assert {name for name, members in lost.items() if members} == set(UNSAYABLE)
    assert len(lost) <= 7, sorted(lost)
    files = list((tmp_path / "out").glob("*.json"))
    assert len(files) == len(entries)
    for file in files:
        if file.stem not in UNSAYABLE:
            profile_of(json.loads(file.read_text("utf-8")))


def test_grants_catalogue_is_converted_without_loss(tmp_path: Path) -> None:
    entries = converted(tmp_path, GRANT, "grant")
    assert len(entries) == len(json.loads(GRANT.read_text("utf-8")))
    assert [each["name"] for each in entries if not each["lossless"]] == []


def test_for_people_it_says_what_is_lost_and_counts(tmp_path: Path) -> None:
    file = tmp_path / "providers.yaml"
    file.write_text(
        "p: {auth_mode: OAUTH2, authorization_url: 'https://p.example/a', token_url: 'https://p.example/t', new: 1}\n"
        "k: {auth_mode: API_KEY}\n"
    )
    done = keyrack(tmp_path, "providers", "import", "--format", "nango", str(file))
    assert done.stdout.splitlines() == ["p: not expressed: new", f"{file}: 1 OAuth entries, 0 without loss"]
    file.write_text("[1]")
    refused = keyrack(tmp_path, "providers", "import", "--format", "nango", str(file))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "keyrack: the file is not in the format of nango: it has no entries by name\n"
    file.write_text('{"a": {"b": 1}}')
    refused = keyrack(tmp_path, "providers", "import", "--format", "grant", str(file))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "keyrack: the file is not in the format of grant: no entry of it has oauth\n"


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_profile_that_comes_along_says_where_it_is_from(name: str) -> None:
    profile = catalogue()[name]
    assert profile.title
    assert (profile.documentation or "").startswith("https://")
    assert profile.written is not None
    assert profile.registration


def test_a_profile_is_shown_to_people_and_programs(tmp_path: Path) -> None:
    shown = keyrack(tmp_path, "providers", "show", "slack")
    assert shown.stdout.startswith("Slack (slack), authorization_code\n")
    assert "Beware:" in shown.stdout
    assert json.loads(keyrack(tmp_path, "providers", "show", "slack", "--json").stdout)["name"] == "slack"
    assert keyrack(tmp_path, "providers", "show", "slak").stderr == "keyrack: there is no such profile; is it slack?\n"
    assert names_of(tmp_path) == sorted(catalogue())
    assert "False" not in keyrack(tmp_path, "providers", "list").stdout
    assert names_of(tmp_path, "--search", "GOOG") == ["google", "google-service-account"]


def names_of(home: Path, *words: str) -> list[str]:
    return [each["name"] for each in json.loads(keyrack(home, "providers", "list", "--json", *words).stdout)]


@pytest.mark.parametrize("name", ["notion", "shopify", "trello"])
def test_the_requests_of_a_profile_can_be_read_before_a_client_is_there(tmp_path: Path, name: str) -> None:
    profile = catalogue()[name]
    traced = example_requests(profile)
    token = next(each.text for each in traced if each.purpose == "Token request")
    wanted = {
        "notion": ["POST https://api.notion.com/v1/oauth/token", "Authorization: Basic ***", '"code": "***"'],
        "shopify": [
            "POST https://acme-store.myshopify.com/admin/oauth/access_token",
            "client_secret=***",
            "expiring=1",
        ],
        "trello": ["POST https://trello.com/1/OAuthGetAccessToken", "Authorization: OAuth ***"],
    }
    assert all(text in token for text in wanted[name]), token
    if name == "notion":
        done = keyrack(tmp_path, "providers", "show", name, "--trace")
        assert done.returncode == 0, done.stderr
        for each in traced:
            assert f"--- {each.purpose}" in done.stdout


def test_no_request_of_any_profile_shows_a_secret() -> None:
    found = [(name, each) for name, profile in catalogue().items() for each in example_requests(profile)]
    assert len(found) > 200
    for name, each in found:
        for secret in EXAMPLE_SECRETS:
            assert secret.reveal() not in each.text, (name, each.purpose)
            assert b64encode(f"example-client-id:{secret.reveal()}".encode()).decode() not in each.text, name
        assert each.text.startswith(("GET http", "POST http", "(its address")), (name, each)


@pytest.mark.parametrize(
    ("members", "purposes", "shown"),
    [
        (
            {"authorization": {"pushed": True}},
            ["Pushed authorization request", "Authorization request, by the browser", "Token request"],
            "code_challenge=",
        ),
        ({"grant": "device_code"}, ["Device authorization request", "Token request"], "device_code=***"),
        ({"grant": "client_credentials"}, ["Token request"], "grant_type=client_credentials"),
        (
            {"grant": "jwt_bearer", "assertion": {"algorithm": "ES256"}},
            ["Token request"],
            "assertion=***",
        ),
    ],
)
def test_each_grant_shows_the_requests_that_it_has(members: dict[str, Any], purposes: list[str], shown: str) -> None:
    names = ("authorization", "token", "pushed_authorization", "device_authorization", "revocation")
    endpoints = {name: f"https://provider.example/{name}" for name in names}
    traced = example_requests(profile_of({"name": "own", "endpoints": endpoints, **members}))
    refreshes = [] if purposes == ["Token request"] else ["Refresh request"]
    assert [each.purpose for each in traced] == [*purposes, *refreshes, "Revocation request"]
    assert any(shown in each.text for each in traced)


def test_example_requests_have_what_real_ones_have() -> None:
    endpoints = {name: f"https://provider.example/{name}" for name in ("authorization", "token")}
    signed = {"client_authentication": {"method": "private_key_jwt", "algorithm": "ES256"}}
    repeats = {"sends_scope": True, "sends_redirect_uri": True}
    said = {"name": "own", "endpoints": endpoints, "scopes": {"default": ["openid"]}, "token": signed}
    traced = example_requests(profile_of({**said, "refresh": repeats, "pkce": "plain", "dpop": "ES256"}))
    browser, token, refresh = (each.text for each in traced)
    assert {"nonce", "dpop_jkt"} <= dict(parse_qsl(urlsplit(browser.split()[1]).query)).keys()
    assert "code_challenge=***&code_challenge_method=plain" in browser  # it is the verifier itself
    assert "client_assertion=***" in token
    assert "client_assertion" not in refresh
    assert "scope=openid&redirect_uri=https%3A%2F%2F" in refresh
    assert all("DPoP: ***" in each for each in (token, refresh))
