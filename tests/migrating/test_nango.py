"""`keyrack import nango`: integrations and connections of Nango become auth clients and secrets (decision 52)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import BadRequest, ConfigurationError
from keyrack.service.importers.cutover import Cutover
from keyrack.service.importers.other_systems import undoing
from keyrack.service.importers.other_systems.entries import EntryKind
from keyrack.service.importers.other_systems.nango_export import NangoExport
from keyrack.service.importers.other_systems.profiles import Profiles
from keyrack.service.importers.other_systems.target import ClientMapping, Destination, MappingFile
from keyrack.service.importers.other_systems.undoing import Undoing
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.unit import Unit
from keyrack.store.import_batches import ImportEntries, ImportEntry
from support.app import World
from support.bringing import bring, secret_of, wanted
from support.nango import KEY, NOW, config, connection, encrypted, encrypted_config, lines, oauth2
from support.secrets import add_client


def nango(key: str | None = KEY, **more: Any) -> NangoExport:
    return NangoExport(Profiles("nango"), None if key is None else Secret(key), **more)


async def test_encrypted_rows_become_clients_and_grants(keyrack_on_each: World, tmp_path: Path) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    rows = [encrypted(connection()), encrypted_config()]  # in whichever order
    found = await bring(keyrack_on_each, nango(), lines(tmp_path / "n", rows))
    assert found.fates == {"auth-client crm": "made", "auth-secret crm/customer-1": "made"}
    secret = await secret_of(keyrack_on_each, found, "crm/customer-1")
    assert (secret.name, secret.workspace_id, secret.user_id) == ("customer-1", acme.workspace_id, acme.admin.id)
    assert secret.credentials == {
        "access_token": "at-1", "refresh_token": "rt-1", "scope": "contacts oauth", "expires_in": 1800,
        "undefined_params": {"hub_id": 42},
    }  # fmt: skip
    assert secret.expires_at == NOW + timedelta(minutes=30)
    assert secret.issued_at == NOW
    assert secret.connected_at == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert found.batch is not None
    assert secret.cutover_batch_id == found.batch.id
    async with keyrack_on_each.store.unit(acme.id) as unit:
        client = await AuthClientRows(unit).find(secret.auth_client_id)
        (told,) = await AuditLog(unit).newest({"action": "import.bring"}, None, limit=5)
    assert client is not None
    assert (client.name, client.tenant_id) == ("crm", acme.id)
    assert client.credentials["client_secret"] == "cs-1"
    assert client.credentials["scope"] == "contacts oauth"
    assert client.credentials["provider_profile"]["name"] == "hubspot"
    assert (told.target_id, told.outcome) == (found.batch.id, "allowed")


async def test_a_second_run_brings_what_is_new_or_newer(keyrack: World, tmp_path: Path) -> None:
    file = tmp_path / "n"
    first = await bring(keyrack, nango(), lines(file, [config(), connection(), connection("customer-2")]))
    again = await bring(keyrack, nango(), file)
    assert set(again.fates.values()) == {"unchanged"}
    newer = connection(credentials=oauth2(2), updated_at="2026-11-30T09:00:00+00:00")
    older = connection(
        "customer-2", credentials=oauth2(3), last_refresh_success=None, updated_at="2026-11-29T08:00:00Z"
    )
    rows = [config(secret="cs-2", updated_at="2026-11-30T09:00:00Z"), newer, older, connection("customer-3")]
    third = await bring(keyrack, nango(), lines(file, rows))
    assert third.fates == {
        "auth-client crm": "renewed", "auth-secret crm/customer-1": "renewed",
        "auth-secret crm/customer-2": "unchanged", "auth-secret crm/customer-3": "made",
    }  # fmt: skip
    assert "as new or newer" in third.of("crm/customer-2").why
    secret = await secret_of(keyrack, first, "crm/customer-1")
    assert secret.credentials["refresh_token"] == "rt-2"
    assert (await secret_of(keyrack, first, "crm/customer-2")).credentials["refresh_token"] == "rt-1"
    assert (await secret_of(keyrack, third, "crm/customer-1")).id == secret.id
    stale = await bring(keyrack, nango(), lines(file, [config(), connection()]))
    assert set(stale.fates.values()) == {"unchanged"}
    assert "stored is newer" in stale.of("crm").why
    async with keyrack.store.unit(secret.tenant_id) as unit:
        client = await AuthClientRows(unit).find(secret.auth_client_id)
    assert client is not None
    assert client.credentials["client_secret"] == "cs-2"
    assert (await secret_of(keyrack, first, "crm/customer-1")).credentials["refresh_token"] == "rt-2"


async def test_what_was_changed_or_deleted_in_keyrack_stays_so(keyrack: World, tmp_path: Path) -> None:
    acme = keyrack.tenants["Acme"]
    rows = [config(), connection(), connection("customer-2")]
    first = await bring(keyrack, nango(), lines(tmp_path / "n", rows))
    secrets = f"/v2/workspaces/{acme.workspace_id}/secrets"
    deleted = (await secret_of(keyrack, first, "crm/customer-2")).id
    assert (await acme.admin.delete(f"{secrets}/{deleted}")).status_code == 204
    kept = (await secret_of(keyrack, first, "crm/customer-1")).id
    body = {"data": {"type": "auth-secret", "attributes": {"credentials": {"access_token": "by hand"}}}}
    assert (await acme.admin.patch(f"{secrets}/{kept}", json=body)).status_code == 200
    client = f"/v2/auth-clients/{first.of('crm').resource_id}"
    body = {"data": {"type": "auth-client", "attributes": {"credentials": {"client_secret": "by hand"}}}}
    assert (await acme.admin.patch(client, json=body)).status_code == 200
    later = {"updated_at": "2026-11-30T09:00:00+00:00"}
    rows = [config(secret="cs-9"), *(connection(f"customer-{n}", credentials=oauth2(9), **later) for n in (1, 2))]
    again = await bring(keyrack, nango(), lines(tmp_path / "n", rows))
    assert again.fates == {
        "auth-client crm": "unchanged", "auth-secret crm/customer-1": "left_out",
        "auth-secret crm/customer-2": "left_out",
    }  # fmt: skip
    assert "changed in Keyrack" in again.of("crm").why
    assert "changed in Keyrack" in again.of("crm/customer-1").why
    assert "deleted in Keyrack" in again.of("crm/customer-2").why
    assert (await secret_of(keyrack, first, "crm/customer-1")).credentials["access_token"] == "by hand"


async def test_each_entry_that_is_not_brought_has_its_reason(keyrack: World, tmp_path: Path) -> None:
    rows = [
        config(), config("unknown", "no-such-provider"),
        config("shared", oauth_client_id=None, shared_credentials_id=4),
        config("gone", deleted=True), connection("gone", deleted=True),
        connection("key", credentials={"type": "API_KEY", "apiKey": "k"}),
        connection("machine", credentials={"type": "OAUTH2_CC", "token": "t", "client_id": "i", "client_secret": "s"}),
        connection("lost", "unknown"), connection("empty", credentials={"type": "OAUTH2", "raw": {}}),
        connection("odd", credentials={"type": "OAUTH2", "access_token": {"a": 1}, "raw": 5}),
        encrypted(connection("other key"), "q" * 43 + "="), {"hello": "world"}, connection("", ""),
        encrypted(connection("fine")),
    ]  # fmt: skip
    found = await bring(keyrack, nango(), lines(tmp_path / "n", rows))
    made = {name for name, fate in found.fates.items() if fate == "made"}
    assert made == {"auth-client crm", "auth-secret crm/fine"}
    why = found.left_out
    assert "no provider profile for 'no-such-provider'" in why["unknown"]
    assert "Nango's own" in why["shared"]
    assert "API key" in why["crm/key"]
    assert "no person" in why["crm/machine"]
    assert "client was not brought" in why["unknown/lost"]
    assert "access_token" in why["crm/empty"]
    assert "access_token" in why["crm/odd"]
    assert "another one" in why["crm/other key"]
    assert "neither" in why["object 12"]
    assert "object 13" in why
    assert "crm/gone" not in why
    unlocked = await bring(keyrack, nango(None), tmp_path / "n", replace(wanted(keyrack), batch_name="again"))
    assert "no key was given" in unlocked.of("crm/other key").why


async def test_a_dry_run_tells_the_same_and_writes_nothing(keyrack_on_each: World, tmp_path: Path) -> None:
    file = lines(tmp_path / "n", [config(), connection(), connection("x", "y")])
    dry = await bring(keyrack_on_each, nango(), file, wanted(keyrack_on_each, dry=True))
    assert dry.batch is None
    acme = keyrack_on_each.tenants["Acme"]
    async with keyrack_on_each.store.unit(acme.id) as unit:
        assert await AuditLog(unit).newest({"action": "import.bring"}, None, limit=1) == []
    real = await bring(keyrack_on_each, nango(), file)
    assert dry.fates == real.fates
    assert await bring(keyrack_on_each, nango(), file, wanted(keyrack_on_each, dry=True)) != dry


async def test_a_mapping_says_where_what_goes(keyrack: World, tmp_path: Path) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    ours = await add_client(keyrack, acme)
    mapping = MappingFile(
        clients={"crm": ClientMapping(auth_client=ours), "old": ClientMapping(skip=True)},
        connections={"skipped": Destination(skip=True)},
        end_users={"u-7": Destination(user=acme.integrator.id)},
        organizations={"theirs": Destination(workspace=globex.workspace_id)},
    )
    rows = [
        config(), config("old"), connection("skipped"),
        connection("of a user", end_user={"id": "u-7", "organization": {"id": "o-1"}}),
        connection("foreign", end_user={"id": "u-7", "organization": {"id": "theirs"}}),
    ]  # fmt: skip
    found = await bring(keyrack, nango(), lines(tmp_path / "n", rows), wanted(keyrack, mapping=mapping))
    assert found.of("crm").resource_id == ours
    assert "mapping file" in found.of("old").why
    assert "mapping file" in found.of("crm/skipped").why
    assert "no such workspace" in found.of("crm/foreign").why  # of another tenant
    secret = await secret_of(keyrack, found, "crm/of a user")
    assert (secret.user_id, secret.auth_client_id) == (acme.integrator.id, ours)


async def test_the_api_and_several_environments(keyrack: World, tmp_path: Path) -> None:
    integration = {"data": {"unique_key": "mail", "provider": "google-mail", "credentials": {
        "type": "OAUTH2", "client_id": "i", "client_secret": "s", "scopes": "openid,email"}}}  # fmt: skip
    answer = {key: value for key, value in connection("me", "mail").items() if not key.endswith(("_iv", "_tag"))}
    del answer["environment_id"]
    found = await bring(keyrack, nango(None), lines(tmp_path / "n", [integration, answer]))
    assert set(found.fates.values()) == {"made"}
    rows = [config(), config("crm", environment_id=4), connection(), connection(environment_id=4)]
    with pytest.raises(BadRequest, match="--environment"):
        await bring(keyrack, nango(), lines(tmp_path / "n", rows))
    chosen = replace(wanted(keyrack), batch_name="four")
    found = await bring(keyrack, nango(environment="4"), tmp_path / "n", chosen)
    assert len(found.results) == 2


async def test_an_import_that_was_not_cut_over_is_taken_back_and_nothing_is_revoked(
    keyrack_on_each: World, tmp_path: Path
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    file = lines(tmp_path / "n", [config(), *(connection(f"c-{n}") for n in range(3))])
    first = await bring(keyrack_on_each, nango(), file)
    gone = (await secret_of(keyrack_on_each, first, "crm/c-2")).id
    assert first.batch is not None
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await AuthSecrets(unit).remove(gone)
    done = await Undoing(keyrack_on_each.store).run(first.batch.id)
    assert (done.deleted, done.kept, done.gone) == (3, 0, 1)
    again = await bring(keyrack_on_each, nango(), file)
    assert set(again.fates.values()) == {"made"}
    assert again.batch is not None
    assert again.batch.id != first.batch.id
    await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/secrets")
    async with keyrack_on_each.store.unit(acme.id) as unit:
        assert await AuditLog(unit).newest({"action": "secret.revoke"}, None, limit=1) == []


async def test_an_import_into_which_something_came_while_it_was_taken_back_stays_known(
    keyrack: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its grants would wait for a cutover that nobody could ask for."""
    first = await bring(keyrack, nango(), lines(tmp_path / "n", [config(), connection()]))
    assert first.batch is not None
    batch = first.batch
    original = undoing._undo

    async def brought_behind(unit: Unit, kind: EntryKind, *others: Any) -> None:
        await original(unit, kind, *others)
        if kind is EntryKind.client:  # the grants have been gone through by then
            late = ImportEntry("nango", EntryKind.grant, "crm/late", batch.id, "a" * 24, 1, None)
            await ImportEntries(unit).add([late])

    monkeypatch.setattr(undoing, "_undo", brought_behind)
    done = await Undoing(keyrack.store).run(batch.id)
    assert (done.deleted, done.kept, done.gone) == (2, 0, 0)
    assert [each.batch.id for each in await Cutover(keyrack.store, keyrack.store.clock).status()] == [batch.id]
    monkeypatch.undo()
    assert (await Undoing(keyrack.store).run(batch.id)).gone == 1
    assert await Cutover(keyrack.store, keyrack.store.clock).status() == []


@pytest.mark.parametrize("key", ["", "short", "q" * 40, "not base64 at all, but long enough to be one"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        nango(key)
