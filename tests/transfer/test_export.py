"""An export is the inverse of an import, byte for byte, also from one database to another (issue 4.8)."""

import json
from base64 import b64encode
from pathlib import Path

import pytest
from sqlalchemy import select

from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.model.identity import PrincipalKind
from keyrack.oauth.dpop import new_proof_key
from keyrack.oauth.profiles.kinds import ProofAlgorithm
from keyrack.service.importers.platform.exporting import Exporter
from keyrack.store.authenticators import Authenticators
from keyrack.store.schema import auth_clients, oauth_clients
from support.app import BASE, World, settings_for, world
from support.images import png
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


async def test_the_second_step_of_signing_in_is_in_no_export_and_no_import_changes_it(keyrack: World) -> None:
    await imported(keyrack.store, json.dumps(platform_file()).encode())
    user, secret, hashed = identifier("user"), Secret("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"), "ab" * 32  # decision 29
    async with keyrack.store.unit(identifier("tenant"), writes=True) as unit:
        rows = Authenticators(unit)
        await rows.begin(PrincipalKind.user, user, secret, "session")
        found = await rows.find(PrincipalKind.user, user)
        assert found is not None
        await rows.confirm(found.id, 7, [hashed])
    content = await exported(keyrack, secrets=True)
    assert secret.reveal().encode() not in content
    assert hashed.encode() not in content
    assert list((await imported(keyrack.store, content)).problems) == []
    async with keyrack.store.unit(identifier("tenant")) as unit:
        after = await Authenticators(unit).find(PrincipalKind.user, user)
    assert after is not None
    assert (after.secret, after.last_step, after.recovery_hashes) == (secret, 7, (hashed,))


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


async def test_the_key_that_tokens_are_bound_to_is_carried(keyrack_on_each: World) -> None:  # decision 41
    file, key = platform_file(), json.loads(new_proof_key(ProofAlgorithm.ES256).reveal())
    (record,), given = file["auth_secrets"], file["auth_clients"][0]["attributes"]["credentials"]
    endpoints = {"authorization": given["auth_uri"], "token": given["token_uri"]}
    given["provider_profile"] = {"name": "bound", "endpoints": endpoints, "dpop": "ES256"}
    record["attributes"]["credentials"]["token_type"] = "DPoP"
    for wrong in ({}, {"dpop_key": {**key, "d": None}}, {"dpop_key": {**key, "alg": "ES384"}}):
        record["meta"] = wrong
        (problem,) = (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems
        assert problem.pointer == "/auth_secrets/0/meta/dpop_key"
    record["meta"] = {"dpop_key": key}
    assert (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems == ()
    content = await exported(keyrack_on_each, secrets=True)
    (written,) = json.loads(content)["auth_secrets"]
    assert written["meta"]["dpop_key"] == key
    assert written["attributes"]["credentials"]["token_type"] == "DPoP"
    again = await imported(keyrack_on_each.store, content)
    assert (again.problems, again.counts["auth_secrets"]["updated"]) == ((), 0)
    assert key["d"].encode() not in await exported(keyrack_on_each, secrets=False)
    del given["provider_profile"]
    other = json.dumps({**file, "auth_clients": [], "auth_secrets": [record]}).encode()
    assert (await imported(keyrack_on_each.store, other)).problems == ()


async def test_when_secrets_of_clients_end_is_carried(keyrack_on_each: World) -> None:  # decision 27
    file, sections = platform_file(), ("oauth_clients", "auth_clients")

    def said(date: str | None) -> bytes:
        for section in sections:
            file[section][0]["attributes"]["secret_expires_at"] = date
        return json.dumps(file).encode()

    def others() -> bytes:
        left_out = json.loads(json.dumps(file))
        for section in sections:
            del left_out[section][0]["attributes"]["secret_expires_at"]
        left_out["oauth_clients"][0]["attributes"]["client_secret"] = "another"
        left_out["auth_clients"][0]["attributes"]["credentials"]["client_secret"] = "another"
        return json.dumps(left_out).encode()

    async def stored() -> list[object]:
        written = json.loads(await exported(keyrack_on_each, secrets=True))
        assert all(
            counts["updated"] == 0
            for counts in (await imported(keyrack_on_each.store, json.dumps(written).encode())).counts.values()
        )
        return [written[section][0]["attributes"].get("secret_expires_at") for section in sections]

    async def take(content: bytes) -> None:
        assert (await imported(keyrack_on_each.store, content)).problems == ()

    await take(said("2031-05-06T07:08:09.123456Z"))
    assert await stored() == ["2031-05-06T07:08:09.123Z"] * 2
    async with keyrack_on_each.store.installation() as unit:
        for table in (oauth_clients, auth_clients):
            (reminder,) = (await unit.connection.execute(select(table.c.reminder_at))).column()
            assert iso(reminder) == "2031-04-06T07:08:09.123Z"
    await take(others())
    assert await stored() == [None, None], "another secret ends at another time"
    await take(said("2032-01-01T00:00:00Z"))
    assert await stored() == ["2032-01-01T00:00:00.000Z"] * 2
    await take(json.dumps(platform_file()).encode())
    assert await stored() == ["2032-01-01T00:00:00.000Z"] * 2, "what is left out stays"
    await take(said(None))
    assert await stored() == [None, None]
    wrong = await imported(keyrack_on_each.store, said("9999-12-31T23:59:59Z"))
    assert [problem.pointer for problem in wrong.problems] == [
        f"/{each}/0/attributes/secret_expires_at" for each in sections
    ]


async def test_the_look_of_connect_pages_is_carried(keyrack_on_each: World) -> None:  # decision 36
    file = platform_file()
    theme = {
        "display_name": "Carried",
        "accent_color": "#0a7d4f",
        "show_keyrack": False,
        "return_origins": ["https://app.carried.example"],
        "logo_data": b64encode(png()).decode(),
    }
    meta = file["tenants"][0].setdefault("meta", {})
    meta["connect_theme"] = theme
    assert (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems == ()
    written = json.loads(await exported(keyrack_on_each, secrets=False))
    assert written["tenants"][0]["meta"]["connect_theme"] == theme
    again = await imported(keyrack_on_each.store, json.dumps(written).encode())
    assert all(counts["updated"] == 0 for counts in again.counts.values()), again.counts
    meta["connect_theme"] = {"display_name": "New", "logo_data": None}
    assert (await imported(keyrack_on_each.store, json.dumps(file).encode())).problems == ()
    written = json.loads(await exported(keyrack_on_each, secrets=False))
    assert written["tenants"][0]["meta"]["connect_theme"] == {**theme, "display_name": "New", "logo_data": None}
    meta["connect_theme"] = {
        "accent_color": "red; x",
        "logo_data": b64encode(b"<svg/>").decode(),
        "return_origins": ["https://app.example/path"],
    }
    wrong = await imported(keyrack_on_each.store, json.dumps(file).encode())
    at = "/tenants/0/meta/connect_theme"
    assert [problem.pointer for problem in wrong.problems] == [f"{at}/accent_color"]
    meta["connect_theme"]["accent_color"] = None
    wrong = await imported(keyrack_on_each.store, json.dumps(file).encode())
    assert [problem.pointer for problem in wrong.problems] == [f"{at}/logo_data", f"{at}/return_origins/0"]
