"""What schemathesis makes of /openapi.json for three callers: no 5xx, nothing undescribed, nothing of others'."""

import asyncio
import json
import os
import secrets as random_texts
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from keyrack.store.contracts import ContractMembers
from keyrack.store.workspaces import WorkspaceMembers
from keyrack.wiring.storage import open_store
from support.app import World, relationship, settings_for
from support.grants import add_auth_client, add_secret
from support.keyrack_processes import Served, bootstrapped, serving
from support.postgres import PostgresServer
from support.served_estate import build_estate, document

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "2"))
"""Requests to each operation from each account; raise it to look deeper by hand, with another SCHEMATHESIS_SEED."""
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "1"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CANARY = "canary7d1f"
"""Stands in every name and value of the other tenant."""


@dataclass(frozen=True)
class Attacked:
    """A served installation.

    Attributes:
        served: it.
        own: ids of what the attackers' tenant has, by the names of parameters.
        others: ids of what the other tenant has.
        accounts: names and keys, by role.
    """

    served: Served
    own: dict[str, str]
    others: dict[str, str]
    accounts: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def attacked(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    name = f"attacked_{random_texts.token_hex(6)}"
    postgres_server.sql(f"CREATE DATABASE {name}")
    home, url = tmp_path_factory.mktemp("attacked"), postgres_server.url(name)
    first = bootstrapped(home, KEYRACK_DATABASE_URL=url)
    with serving(home, first, KEYRACK_DATABASE_URL=url, KEYRACK_RATE_LIMIT="0") as served:
        own = build_estate(served)
        others, member = asyncio.run(_people(home, url, served, own))
        accounts = {"tenant admin": served.admin, "plain member": member, "service account": _service_account(served)}
        yield Attacked(served, own, others, accounts)
    postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")


def _service_account(served: Served) -> tuple[str, str]:
    found = served.first["service_account"]
    return found["username"], found["api_key"]


async def _people(home: Path, url: str, served: Served, own: dict[str, str]) -> tuple[dict[str, str], tuple[str, str]]:
    """Make a plain member beside the admin, and another tenant full of canaries."""
    chosen = settings_for(home, url)
    store = open_store(chosen)
    nobody = cast("Any", None)
    async with httpx2.AsyncClient(base_url=served.base, timeout=60) as http:
        world = World(chosen, store, nobody, http, nobody, nobody, nobody)
        member = await world.add_user(own["tenant_id"], "member@first.example")
        async with store.unit(own["tenant_id"], writes=True) as unit:
            await ContractMembers(unit).add(own["contract_id"], member.id, ["member"])
            await WorkspaceMembers(unit).add(own["workspace_id"], member.id, ["integrator"])
        victim = await world.add_tenant(CANARY)
        others = {
            "tenant_id": victim.id, "contract_id": victim.contract_id, "workspace_id": victim.workspace_id,
            "team_id": victim.team_id, "user_id": victim.admin.id,
        }  # fmt: skip
        others["component_id"] = await world.add_component(victim, f"{CANARY}-component", {"title": CANARY})
        client = await add_auth_client(store, victim.id, "https://idp.example/token", client_id=f"{CANARY}-id")
        tokens = {"access_token": f"{CANARY}-at", "refresh_token": f"{CANARY}-rt"}
        secret = await add_secret(store, victim, client, tokens)
        others |= {"auth_client_id": client.id, "client_id": client.id, "secret_id": secret.id}
        hook = document("webhook", {"url": f"https://{CANARY}.example/hook"})
        made = await victim.admin.post(f"/v2/tenants/{victim.id}/webhooks", hook)
        assert made.status_code == 201, made.text
        others["webhook_id"] = made.json()["data"]["id"]
        workspace = relationship("workspace", victim.workspace_id)
        flow = {"name": CANARY, "type": "ordinary", "graph": {"nodes": [], "edges": []}}
        made = await victim.admin.post("/v2/flows", document("flow", flow, workspace=workspace))
        if made.status_code == 201:
            others["flow_id"] = made.json()["data"]["id"]
    await store.close()
    return others, (member.name, member.api_key)


def cases(operation: Any, mode: schemathesis.GenerationMode, *known: dict[str, str]) -> st.SearchStrategy[Any]:
    """Return requests to an operation: some with ids that nobody has, others with ids of what exists."""
    found: list[st.SearchStrategy[Any]] = [operation.as_strategy(mode)]
    for ids in known:
        path = {p.name: ids[p.name] for p in operation.path_parameters if p.name in ids}
        query = {p.name: ids[p.name] for p in operation.query if p.name in ids}
        given: dict[str, Any] = ({"path_parameters": path} if path else {}) | ({"query": query} if query else {})
        if given:
            found.append(operation.as_strategy(mode, **given))
    return st.one_of(*reversed(found))


def ground(body: Any, ids: dict[str, str]) -> None:
    """Let the relationships of a valid body name what exists, so that it is refused for nothing but its own content."""
    if isinstance(body, dict):
        known = ids.get(f"{body.get('type')}_id".replace("-", "_"))
        if known is not None and set(body) >= {"id", "type"} and "attributes" not in body:
            body["id"] = known
        for member in body.values():
            ground(member, ids)


def test_every_answer_is_described_and_nobody_sees_another_tenant(attacked: Attacked) -> None:
    served, schema = attacked.served, schemathesis.openapi.from_url(f"{attacked.served.base}/openapi.json")
    valid, invalid = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    statuses: Counter[int] = Counter()
    seen: Counter[str] = Counter()

    def try_out(operation: Any, mode: schemathesis.GenerationMode, role: str) -> None:
        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases(operation, mode, attacked.own, attacked.others))
        def holds(case: schemathesis.Case[Any]) -> None:
            sent = json.dumps(case.body, default=str) if case.body else ""
            if mode is valid:
                ground(case.body, attacked.own)
            answer = case.call(auth=attacked.accounts[role], allow_redirects=False)
            statuses[answer.status_code] += 1
            seen[role] += 1
            assert answer.status_code < 500, served.log()[-3000:]
            # whoever works for the installation may see every tenant
            if role != "service account" and CANARY not in sent + str(case.path_parameters):
                assert CANARY not in answer.text + str(dict(answer.headers)), (role, operation.path, answer.text[:500])
            case.validate_response(answer, checks=CHECKS)

        holds()

    # deletions last: what they delete could not be asked for any more
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    operations = sorted(found, key=lambda operation: operation.method == "delete")
    assert len(operations) > 60
    for operation in operations:
        for role in attacked.accounts:
            try_out(operation, valid, role)
        try_out(operation, invalid, "tenant admin")
    assert {200, 201, 400, 403, 404, 409} <= set(statuses), statuses
    assert min(seen.values()) >= len(operations)


def test_the_canaries_are_there_for_their_own_tenant(attacked: Attacked) -> None:
    name, key = _service_account(attacked.served)
    path = f"{attacked.served.base}/v2/tenants/{attacked.others['tenant_id']}"
    answer = httpx2.get(path, auth=(name, key), timeout=60)
    assert answer.status_code in {200, 404}, "404 once it has been deleted by what was made up"
    if answer.status_code == 200:
        assert CANARY in answer.text
