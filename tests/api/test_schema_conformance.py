"""What schemathesis makes of /openapi.json, valid and not: no 500, no answer that it does not describe (issue 2.9)."""

import os
from collections import Counter
from typing import Any

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

from support.keyrack_processes import Served
from support.served_estate import build_estate

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))
"""Requests to each operation from each account; raise it to look deeper by hand, with another SCHEMATHESIS_SEED."""
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "1"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def estate(served_on_postgres: Served) -> dict[str, str]:
    return build_estate(served_on_postgres)


def cases(operation: Any, mode: schemathesis.GenerationMode, ids: dict[str, str]) -> st.SearchStrategy[Any]:
    """Return requests to an operation: half of them with the ids of what exists."""
    path = {p.name: ids[p.name] for p in operation.path_parameters if p.name in ids}
    query = {p.name: ids[p.name] for p in operation.query if p.name in ids}
    known: dict[str, Any] = {}
    if path:
        known["path_parameters"] = path
    if query:
        known["query"] = query
    anything: st.SearchStrategy[Any] = operation.as_strategy(mode)
    return anything | operation.as_strategy(mode, **known) if known else anything


def ground(body: Any, ids: dict[str, str]) -> None:
    """Let the relationships of a valid body name what exists, so that it is refused for nothing but its own content."""
    if isinstance(body, dict):
        known = ids.get(f"{body.get('type')}_id".replace("-", "_"))
        if known is not None and set(body) >= {"id", "type"} and "attributes" not in body:
            body["id"] = known
        for member in body.values():
            ground(member, ids)


def account(served: Served, who: str) -> tuple[str, str]:
    """Return name and key of one of the first two accounts."""
    found = served.first[who]
    return found.get("email") or found["username"], found["api_key"]


def test_every_answer_is_described(served_on_postgres: Served, estate: dict[str, str]) -> None:
    served = served_on_postgres
    valid, invalid = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    schema = schemathesis.openapi.from_url(f"{served.base}/openapi.json")
    accounts = [account(served, who) for who in ("admin", "service_account")]
    statuses: Counter[int] = Counter()

    def try_out(operation: Any, mode: schemathesis.GenerationMode, auth: tuple[str, str]) -> None:
        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases(operation, mode, estate))
        def holds(case: schemathesis.Case[Any]) -> None:
            if mode is valid:
                ground(case.body, estate)
            answer = case.call(auth=auth, allow_redirects=False)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, served.log()[-3000:]
            case.validate_response(answer, checks=CHECKS)

        holds()

    # deletions last: what they delete could not be asked for any more
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    operations = sorted(found, key=lambda operation: operation.method == "delete")
    assert len(operations) > 60
    for operation in operations:
        for auth in accounts:
            try_out(operation, valid, auth)
        try_out(operation, invalid, accounts[0])
    assert {200, 201, 400, 403, 404, 409} <= set(statuses), statuses
