"""What an import takes, refuses and leaves as it is, on both databases (issue 4.8, docs/import.md)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.service.importers.platform.importing import Imported
from keyrack.store.auth_secrets import AuthSecrets
from support.app import Caller, World
from support.platform import CANARY, DESCRIPTOR, REVISION, identifier, imported, link, platform_file, step


async def take(world: World, file: dict[str, Any]) -> Imported:
    return await imported(world.store, json.dumps(file).encode())


def found(done: Imported) -> set[str]:
    return {str(problem.pointer) for problem in done.problems}


def ada(world: World) -> Caller:
    return Caller(world.http, "ada@moved.example", f"{CANARY} 1", identifier("user"))


def bob(world: World) -> Caller:
    return Caller(world.http, "bob@moved.example", f"{CANARY} 2", identifier("user", 2))


async def test_an_imported_tenant_works_over_the_api(keyrack_on_each: World) -> None:
    done = await take(keyrack_on_each, platform_file())
    assert (list(done.problems), list(done.warnings)) == ([], [])
    assert all(counts["created"] == len(platform_file()[name]) for name, counts in done.counts.items())
    who, workspace = bob(keyrack_on_each), identifier("workspace")
    secret = (await who.get(f"/v2/workspaces/{workspace}/secrets?page[size]=5")).json()["data"]
    assert [each["id"] for each in secret] == [identifier("auth-secret")]
    assert secret[0]["attributes"]["credentials"]["access_token"] == f"{CANARY}-access"
    assert secret[0]["attributes"]["requested_scopes"] == ["pets.read", "pets.write"]
    missing = (await who.get(f"/v2/workspaces/{workspace}/secrets?filter[scopes]=missing")).json()["data"]
    assert [each["attributes"]["missing_scopes"] for each in missing] == [["pets.write"]]
    credential = (await who.get(f"/v2/credentials/{identifier('credential')}")).json()["data"]
    assert credential["attributes"]["keys"] == {"key": f"{CANARY}-key"}
    whose = [
        (each["attributes"]["account_label"], each["attributes"]["account_subject"]) for each in (credential, *secret)
    ]
    assert whose == [("bob@pets.example", "b1"), ("bob@pets.example", "b2")]
    flow = (await who.get(f"/v2/flows/{identifier('flow')}")).json()["data"]
    assert flow["attributes"]["status"] == "active"
    assert flow["attributes"]["graph"]["nodes"][0]["component_id"] == identifier("component")
    in_use = await ada(keyrack_on_each).delete(f"/v2/components/{identifier('component')}")
    assert in_use.status_code == 409, in_use.text
    used = await who.delete(f"/v2/credentials/{identifier('credential')}")
    assert used.status_code == 409, used.text
    stopped = await who.post(f"/v2/flows/{identifier('flow')}/stop")
    assert stopped.status_code == 202, stopped.text
    assert (await who.post(f"/v2/flows/{identifier('flow')}/start")).status_code == 202


async def test_the_same_file_again_changes_nothing(keyrack_on_each: World) -> None:
    await take(keyrack_on_each, platform_file())
    again = await take(keyrack_on_each, platform_file())
    assert again.problems == ()
    assert all(counts["created"] == counts["updated"] == 0 for counts in again.counts.values()), again.counts


async def test_what_differs_is_updated_and_nothing_twice(keyrack_on_each: World) -> None:
    await take(keyrack_on_each, platform_file())
    changed = platform_file()
    changed["contracts"][0]["meta"]["members"].pop()
    changed["workspaces"][0]["meta"]["members"] = []
    changed["credentials"][0]["attributes"]["name"] = "another name"
    changed["flows"][0]["attributes"]["graph"]["nodes"].append(step(3))
    done = await take(keyrack_on_each, changed)
    assert list(done.problems) == []
    updated = {name for name, counts in done.counts.items() if counts["updated"]}
    assert updated == {"contracts", "workspaces", "credentials", "flows"}
    assert sum(counts["created"] for counts in done.counts.values()) == 0
    versions = await keyrack_on_each.support.get(f"/v2/flows/{identifier('flow')}/versions")
    assert len(versions.json()["data"]) == 2


async def test_a_file_with_problems_names_all_of_them_and_writes_nothing(keyrack_on_each: World) -> None:
    file = platform_file()
    file["users"][1]["attributes"]["email"] = "ADA@moved.example"
    file["contracts"][0]["meta"]["members"][0]["attributes"]["roles"] = ["emperor"]
    file["workspaces"].append({**file["workspaces"][0], "id": "not an id"})
    file["teams"][0]["relationships"]["users"]["data"] = [{"id": identifier("nobody"), "type": "user"}]
    file["components"].append({**file["components"][0], "id": identifier("component", 2), "meta": {}})
    file["components"][0]["meta"]["versions"][0]["descriptor"] = {**DESCRIPTOR, "title": 5}
    file["oauth_clients"].append({**file["oauth_clients"][0], "id": identifier("oauth-client", 2)})
    file["auth_clients"][0]["relationships"]["workspace"] = link("workspace")
    file["credentials"][0]["relationships"]["workspace"] = link("workspace", 9)
    file["auth_secrets"].append({**file["auth_secrets"][0], "id": identifier("auth-secret", 2)})
    file["auth_secrets"][1]["relationships"] = {
        **file["auth_secrets"][0]["relationships"], "auth_client": link("auth-client", 7),
    }  # fmt: skip
    file["flows"][0]["attributes"]["graph"]["edges"][0]["target"] = "step_9"
    done = await take(keyrack_on_each, file)
    assert found(done) == {
        "/users/1/attributes/email",
        "/contracts/0/meta/members/0/attributes/roles/0",
        "/workspaces/1/id",
        "/teams/0/relationships/users/data/0/id",
        "/components/0/meta/versions/0/descriptor/title",
        "/components/1/attributes/name",
        "/oauth_clients/1/relationships/component/data/id",
        "/auth_clients/0/relationships",
        "/credentials/0/relationships/workspace/data/id",
        "/auth_secrets/1/relationships/auth_client/data/id",
        "/flows/0/attributes/graph/edges/0/target",
    }
    clean = await take(keyrack_on_each, platform_file())
    assert all(counts["updated"] == counts["unchanged"] == 0 for counts in clean.counts.values()), "something was there"


async def test_what_a_running_flow_names_must_be_there(keyrack_on_each: World) -> None:
    file = platform_file()
    nodes = file["flows"][0]["attributes"]["graph"]["nodes"]
    nodes[0]["credentials_id"], nodes[1]["secret_id"] = identifier("credential", 2), identifier("auth-secret", 2)
    nodes += [step(3), step(4), {**step(5), "command": f"moved-team/petstore:run@{REVISION[::-1]}"}]
    nodes[2]["command"], nodes[3]["command"] = "moved-team/nothing:run", "moved-team/petstore:swim"
    base = "/flows/0/attributes/graph/nodes"
    assert found(await take(keyrack_on_each, file)) == {
        f"{base}/0/credentials_id",
        f"{base}/1/secret_id",
        f"{base}/2/command",
        f"{base}/3/command",
        f"{base}/4/command",
    }


@pytest.mark.parametrize(
    ("section", "member", "value", "pointer"),
    [
        ("contracts", "tenant", "other", "/contracts/0/id"),
        ("credentials", "component", None, "/credentials/0/relationships/component/data/id"),
    ],
)
async def test_an_id_that_is_stored_elsewhere_is_a_problem(
    keyrack_on_each: World, section: str, member: str, value: str | None, pointer: str
) -> None:
    await take(keyrack_on_each, platform_file())
    file = platform_file()
    other = keyrack_on_each.tenants["Acme"].id if value else identifier("component", 5)
    file[section][0]["relationships"][member] = {"data": {"id": other, "type": member}}
    assert pointer in found(await take(keyrack_on_each, file))


async def test_emails_domains_and_names_of_others_are_refused(keyrack_on_each: World) -> None:
    file = platform_file()
    file["tenants"][0]["attributes"]["app_domain"] = "ACME.example"
    file["users"][0]["attributes"]["email"] = "Admin@acme.example"
    file["teams"][0]["attributes"]["name"] = "acme"
    pointers = found(await take(keyrack_on_each, file))
    assert {
        "/tenants/0/attributes/app_domain",
        "/users/0/attributes/email",
        "/teams/0/attributes/name",
    } <= pointers


async def test_nothing_is_due_at_once_after_an_import(keyrack_on_each: World) -> None:
    file = platform_file()
    one = file["auth_secrets"][0]
    file["auth_secrets"] = [{**one, "id": identifier("auth-secret", number)} for number in range(1, 41)]
    started = datetime.now(UTC)
    assert (await take(keyrack_on_each, file)).problems == ()
    async with keyrack_on_each.store.unit(identifier("tenant")) as unit:
        rows = await AuthSecrets(unit).all(AuthSecrets(unit).select())
    due = sorted(row.due_at - started for row in rows)
    assert due[0] >= timedelta(0)
    assert due[-1] - due[0] > timedelta(minutes=5)
    assert {row.expires_at for row in rows} == {datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)}


async def test_what_is_only_true_when_it_is_read_is_not_stored(keyrack_on_each: World) -> None:
    """Documents of the API may be pasted in: what they tell of a secret must not end it."""
    file = platform_file()
    one = file["auth_secrets"][0]
    codes = ["token_expired", "provider_unavailable", "provider_refused", "client_rejected", "reauthorization_required"]
    file["auth_secrets"] = []
    for number, code in enumerate(codes, 1):
        said = {"state": "error", "error": "as it was told", "error_code": code, "error_at": "2024-05-06T07:08:09Z"}
        changed = {**one, "id": identifier("auth-secret", number), "attributes": {**one["attributes"], **said}}
        file["auth_secrets"].append(changed)
    assert (await take(keyrack_on_each, file)).problems == ()
    async with keyrack_on_each.store.unit(identifier("tenant")) as unit:
        rows = [await AuthSecrets(unit).find(identifier("auth-secret", number)) for number in range(1, 6)]
    *told, ended = [row for row in rows if row is not None]
    assert {(row.state, row.error, row.error_code, row.error_at) for row in told} == {("ready", None, None, None)}
    assert all(row.due_at is not None for row in told), "they are tried again"
    assert (ended.state, ended.error_code, ended.due_at) == ("error", "reauthorization_required", None)


async def test_tokens_that_are_newer_than_the_file_stay(keyrack_on_each: World) -> None:
    newer = platform_file()
    newer["auth_secrets"][0]["attributes"]["credentials"] |= {
        "access_token": f"{CANARY}-newer", "expires_at": "2024-07-06T07:08:09.123Z",
    }  # fmt: skip
    await take(keyrack_on_each, newer)
    done = await take(keyrack_on_each, platform_file())
    assert done.counts["auth_secrets"]["unchanged"] == 1
    async with keyrack_on_each.store.unit(identifier("tenant")) as unit:
        kept = await AuthSecrets(unit).find(identifier("auth-secret"))
    assert kept is not None
    assert kept.credentials["access_token"] == f"{CANARY}-newer"
    assert (await take(keyrack_on_each, newer)).counts["auth_secrets"]["unchanged"] == 1


async def test_a_flow_that_does_not_run_may_name_what_is_gone(keyrack_on_each: World) -> None:
    file = platform_file()
    file["flows"][0]["attributes"]["status"] = "inactive"
    file["credentials"] = []
    done = await take(keyrack_on_each, file)
    assert list(done.problems) == []
    assert [str(each.pointer) for each in done.warnings] == ["/flows/0/attributes/graph/nodes/0/credentials_id"]


async def test_what_a_descriptor_says_for_nothing_is_a_warning(keyrack: World) -> None:
    file = platform_file()
    lost = {**DESCRIPTOR, "oauth2": {"headers": {"a": "b"}, "scope": "a"}}
    file["components"][0]["meta"]["versions"][0]["descriptor"] = lost
    done = await take(keyrack, file)
    assert list(done.problems) == []
    at = "/components/0/meta/versions/0/descriptor/oauth2/headers"
    assert [str(each.pointer) for each in done.warnings] == [at]


async def test_without_secret_values_only_what_is_stored_can_be_changed(keyrack_on_each: World) -> None:
    bare = platform_file()
    for section, members in (
        ("oauth_clients", ("client_id", "client_secret")),
        ("auth_clients", ("credentials",)),
        ("credentials", ("keys",)),
        ("auth_secrets", ("credentials",)),
    ):
        for member in members:
            del bare[section][0]["attributes"][member]
    assert found(await take(keyrack_on_each, bare)) == {
        "/oauth_clients/0/attributes/client_id",
        "/oauth_clients/0/attributes/client_secret",
        "/auth_clients/0/attributes/credentials",
        "/credentials/0/attributes/keys",
        "/auth_secrets/0/attributes/credentials",
    }
    await take(keyrack_on_each, platform_file())
    bare["auth_secrets"][0]["attributes"]["name"] = "another name"
    done = await take(keyrack_on_each, bare)
    assert done.problems == ()
    assert done.counts["auth_secrets"] == {"created": 0, "updated": 1, "unchanged": 0}
    async with keyrack_on_each.store.unit(identifier("tenant")) as unit:
        kept = await AuthSecrets(unit).find(identifier("auth-secret"))
    assert kept is not None
    assert (kept.name, kept.credentials["access_token"]) == ("another name", f"{CANARY}-access")


async def test_a_build_never_changes(keyrack_on_each: World) -> None:
    await take(keyrack_on_each, platform_file())
    file = platform_file()
    file["components"][0]["meta"]["versions"][0]["descriptor"] = {**DESCRIPTOR, "title": "Zoo"}
    assert found(await take(keyrack_on_each, file)) == {"/components/0/meta/versions/0/descriptor"}
