"""An export is the inverse of an import, byte for byte, also from one database to another (issue 4.8)."""

import json
from pathlib import Path

import pytest

from keyrack.service.importers.platform.exporting import Exporter
from support.app import BASE, World, settings_for, world
from support.platform import CANARY, Silent, identifier, imported, platform_file


async def exported(made: World, *, secrets: bool) -> bytes:
    parts: list[bytes] = []

    async def write(part: bytes) -> None:
        parts.append(part)

    await Exporter(made.store).run(write, [identifier("tenant")], Silent(), secrets=secrets)
    return b"".join(parts)


async def test_export_and_import_are_inverse_across_databases(
    keyrack_on_each: World, postgres_url: str, tmp_path: Path
) -> None:
    await imported(keyrack_on_each.store, json.dumps(platform_file()).encode())
    first = await exported(keyrack_on_each, secrets=True)
    records = {name: len(part) for name, part in json.loads(first).items() if isinstance(part, list)}
    assert records == {name: len(part) for name, part in platform_file().items() if isinstance(part, list)}
    again = await imported(keyrack_on_each.store, first)
    assert all(counts["created"] == counts["updated"] == 0 for counts in again.counts.values()), again.counts
    url = postgres_url if keyrack_on_each.settings.database_url is None else None
    other = settings_for(tmp_path / "other", url, allow_insecure_providers="true", public_url=BASE)
    async with world(other) as target:
        done = await imported(target.store, first)
        assert list(done.problems) == []
        assert await exported(target, secrets=True) == first


@pytest.mark.parametrize("secrets", [False, True])
async def test_secret_values_are_there_only_when_asked_for(keyrack_on_each: World, secrets: bool) -> None:
    await imported(keyrack_on_each.store, json.dumps(platform_file()).encode())
    content = await exported(keyrack_on_each, secrets=secrets)
    assert (CANARY.encode() in content) == secrets
    assert (b"key_hash" in content) == secrets
    again = await imported(keyrack_on_each.store, content)
    assert list(again.problems) == []
    assert all(counts["created"] == counts["updated"] == 0 for counts in again.counts.values()), again.counts


async def test_how_clients_authenticate_is_carried(keyrack_on_each: World) -> None:  # contract 0.23
    file = platform_file()
    oauth_client, auth_client = file["oauth_clients"][0]["attributes"], file["auth_clients"][0]["attributes"]
    oauth_client |= {"client_secret": "", "client_auth": "none"}
    auth_client["credentials"] = {**auth_client["credentials"], "client_auth": "none"}
    del auth_client["credentials"]["client_secret"]
    file["auth_secrets"][0].setdefault("meta", {})["auth_method"] = "client_secret_basic_raw"
    assert (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems == ()
    written = json.loads(await exported(keyrack_on_each, secrets=True))
    assert written["oauth_clients"][0]["attributes"] == oauth_client
    assert "client_secret" not in written["auth_clients"][0]["attributes"]["credentials"]
    assert written["auth_secrets"][0]["meta"]["auth_method"] == "client_secret_basic_raw"
    again = await imported(keyrack_on_each.store, json.dumps(written).encode())
    assert all(counts["updated"] == 0 for counts in again.counts.values()), again.counts
    kept = {name: value for name, value in oauth_client.items() if name != "client_auth"}
    file["oauth_clients"][0]["attributes"] = kept
    assert (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems == (), "what is left out stays"
    for wrong, name in (({"client_auth": None}, "client_secret"), ({"client_auth": "mtls"}, "client_auth")):
        file["oauth_clients"][0]["attributes"] = {**kept, **wrong}
        (problem,) = (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems
        assert problem.pointer == f"/oauth_clients/0/attributes/{name}"
