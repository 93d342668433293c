"""`keyrack import vault-oauthapp`: servers and credentials become auth clients and secrets (decision 52)."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyrack.service.importers.other_systems.oauthapp_export import OauthappExport
from keyrack.service.importers.other_systems.profiles import Profiles
from keyrack.store.auth_clients import AuthClientRows
from support.app import World
from support.bringing import bring, secret_of
from support.nango import lines

NAMES = ["hub", "own", "alice", "bob"]


def hashed(prefix: str, digest: str) -> str:
    return f"{prefix}/{digest[:4]}/{digest[4:8]}/{digest[8:]}"


def server(name: str, provider: str = "github", **data: Any) -> dict[str, Any]:
    """Return a server as the plugin's storage has it."""
    return {"path": hashed("servers", hashlib.sha224(name.encode()).hexdigest()), "data": {
        "client_id": f"id-of-{name}", "client_secret": "cs", "auth_url_params": None, "provider_name": provider,
        "provider_version": 1, "provider_options": None, **data}}  # fmt: skip


def creds(name: str, server_name: str = "hub", **data: Any) -> dict[str, Any]:
    """Return a credential as the plugin's storage has it."""
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return {"path": hashed("creds", digest), "data": {
        "access_token": f"at-{name}", "token_type": "bearer", "refresh_token": f"rt-{name}",
        "expiry": "2026-11-30T09:00:00.123456789Z", "auth_server_name": server_name,
        "last_issue_time": "2026-11-30T08:00:00.123456789Z", "last_attempted_issue_time": "0001-01-01T00:00:00Z",
        "extra_data": {"scope": "repo", "team": "core"}, **data}}  # fmt: skip


def oauthapp(names: list[str] | None = None) -> OauthappExport:
    return OauthappExport(Profiles("vault-oauthapp"), NAMES if names is None else names)


async def test_entries_of_the_storage_are_found_again_by_their_names(keyrack: World, tmp_path: Path) -> None:
    options = {"auth_code_url": "https://id.example/a", "token_url": "https://id.example/t", "auth_style": "in_params"}
    rows = [server("hub"), server("own", "custom", provider_options=options), creds("alice"), creds("bob", "own")]
    found = await bring(keyrack, oauthapp(), lines(tmp_path / "v", rows))
    assert set(found.fates.values()) == {"made"}
    secret = await secret_of(keyrack, found, "alice")
    assert secret.credentials["refresh_token"] == "rt-alice"
    assert secret.credentials["scope"] == "repo"
    assert secret.credentials["undefined_params"] == {"team": "core"}
    assert secret.expires_at is not None
    assert secret.expires_at.replace(microsecond=0) == datetime(2026, 11, 30, 9, tzinfo=UTC)
    async with keyrack.store.unit(keyrack.tenants["Acme"].id) as unit:
        clients = await AuthClientRows(unit).find_many([found.of(name).resource_id or "" for name in ("hub", "own")])
    by_name = {client.name: client.credentials for client in clients.values()}
    assert by_name["hub"]["provider_profile"]["name"] == "github"
    assert (by_name["own"]["token_uri"], by_name["own"]["client_auth"]) == ("https://id.example/t", "post")
    newer = creds("alice", last_issue_time="2026-11-30T08:30:00Z", refresh_token="rt-2")
    again = await bring(keyrack, oauthapp(), lines(tmp_path / "v", [*rows[:2], newer, rows[3]]))
    assert (again.of("alice").outcome.value, again.of("bob").outcome.value) == ("renewed", "unchanged")


async def test_what_the_api_tells_and_what_cannot_be_brought(keyrack: World, tmp_path: Path) -> None:
    rows = [
        {"path": "servers/hub", "data": {"client_id": "i", "provider": "github", "client_secret": "added by hand"}},
        {"path": "servers/silent", "data": {"client_id": "i", "provider": "github"}},
        {"path": "creds/alice", "data": {"access_token": "at", "type": "Bearer", "server": "hub"}},
        {"path": "self/robot", "data": {}}, creds("nobody knows"), creds("bob", user_error="revoked"),
        {"path": "creds/new", "data": {}}, {"path": "config", "data": {}}, {"data": 5}, server("unknown name"),
    ]  # fmt: skip
    found = await bring(keyrack, oauthapp(), lines(tmp_path / "v", rows))
    assert found.fates["auth-secret alice"] == "made"
    assert not (await secret_of(keyrack, found, "alice")).refreshable
    why = found.left_out
    assert "does not tell client secrets" in why["silent"]
    assert "no person" in why["self/robot"]
    assert "ended it" in why["bob"]
    assert "no token" in why["new"]
    assert "no entry" in why["config"]
    assert "no entry" in why["object 9"]
    assert sum("--names" in text for text in why.values()) == 2
