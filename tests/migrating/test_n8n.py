"""`keyrack import n8n`: OAuth 2 credentials of n8n become auth clients and secrets (decision 52)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.service.importers.other_systems.n8n_export import N8nExport
from keyrack.service.importers.other_systems.profiles import Profiles
from keyrack.store.auth_clients import AuthClientRows
from support.app import World
from support.bringing import bring, secret_of
from support.n8n import KEY, credential, sealed

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)


def written(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(entries, indent=2))
    return path


def n8n(key: str | None = KEY) -> N8nExport:
    return N8nExport(Profiles("n8n"), None if key is None else Secret(key))


async def test_decrypted_and_encrypted_credentials_are_brought(keyrack: World, tmp_path: Path) -> None:
    plain, other = credential(1), credential(2)
    file = written(tmp_path / "n8n.json", [plain, {**other, "data": sealed(other["data"])}])
    found = await bring(keyrack, n8n(), file)
    (client,) = [each for each in found.results if each.kind.value == "auth-client" and each.outcome.value == "made"]
    assert client.external_id.startswith("slackOAuth2Api/id-1/")
    for number in (1, 2):
        secret = await secret_of(keyrack, found, f"n8n{number}")
        assert (secret.name, secret.auth_client_id) == (f"Slack {number}", client.resource_id)
        assert secret.credentials["refresh_token"] == f"rt-{number}"
        assert secret.credentials["scope"] == "chat:write"
        assert secret.credentials["undefined_params"] == {"team": {"id": "T1"}}
        assert (secret.issued_at, secret.expires_at) == (AT, AT + timedelta(hours=12))
        assert secret.cutover_batch_id is not None
    again = await bring(keyrack, n8n(), file)
    assert set(again.fates.values()) == {"unchanged"}
    later = await bring(keyrack, n8n(), written(file, [credential(1, at="09", oauthTokenData={"access_token": "new"})]))
    assert later.of("n8n1").outcome.value == "renewed"
    assert not (await secret_of(keyrack, later, "n8n1")).refreshable


async def test_generic_credentials_bring_their_own_addresses(keyrack: World, tmp_path: Path) -> None:
    acme = keyrack.tenants["Acme"]
    data = {"authUrl": "https://id.example/authorize", "accessTokenUrl": "https://id.example/token"}
    data |= {"authentication": "header", "scope": "a,b", "grantType": "authorizationCode"}
    entries = [credential(1, "oAuth2Api", **data), credential(2, "googleSheetsOAuth2Api"), credential(3, "gmailOAuth2")]
    found = await bring(keyrack, n8n(), written(tmp_path / "n8n.json", entries))
    made: dict[str, Any] = {}
    async with keyrack.store.unit(acme.id) as unit:
        for number in (1, 2, 3):
            secret = await secret_of(keyrack, found, f"n8n{number}")
            client = await AuthClientRows(unit).find(secret.auth_client_id)
            assert client is not None
            made[secret.id] = client.credentials
    generic, *google = made.values()
    assert generic["token_uri"] == "https://id.example/token"
    assert (generic["client_auth"], generic["scope"]) == ("basic", "a b")
    assert [each["provider_profile"]["name"] for each in google] == ["google", "google"]


async def test_what_cannot_be_brought_has_its_reason(keyrack: World, tmp_path: Path) -> None:
    entries = [
        credential(1, "httpBasicAuth"), credential(2, "unheardOfOAuth2Api"), credential(3, oauthTokenData={}),
        credential(4, clientId="", oauthTokenData={"access_token": "x"}),
        credential(5, grantType="clientCredentials"),
        {**credential(6), "data": sealed(credential(6)["data"], "another")},
        {**credential(7), "data": f"key-9:{sealed({})}"}, {**credential(8), "data": "AAAA"}, {"no": "id"},
        {**credential(9), "data": [1]},
    ]  # fmt: skip
    found = await bring(keyrack, n8n(), written(tmp_path / "n8n.json", entries))
    why = found.left_out
    for number, said in {
        1: "no OAuth 2 grant", 2: "client was not brought", 3: "nobody has connected", 4: "n8n's own",
        5: "without a person", 6: "another one", 7: "--decrypted", 8: "--decrypted", 9: "--decrypted",
    }.items():  # fmt: skip
        assert said in why[f"n8n{number}"], (number, why[f"n8n{number}"])
    assert "no id and type" in why["object 9"]
    assert not any("another one" in text for name, text in why.items() if name in {"n8n1", "n8n2"})
    unlocked = await bring(keyrack, n8n(None), tmp_path / "n8n.json")
    assert "N8N_ENCRYPTION_KEY" in unlocked.of("n8n6").why
    assert all("cs-1" not in each.why and "rt-" not in each.why for each in found.results)
