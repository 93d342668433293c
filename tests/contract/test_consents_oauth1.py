"""What starting a consent of OAuth 1.0a refuses before anybody is asked: contract 21, with 19.4, 20.2, 0.4, 0.8.

What comes after it is in `tests/flows/test_consent_oauth1.py`; the variables of `runtime-env` are in
`test_runtime_environment.py`.
"""

from typing import Any

import pytest

from support.app import World, error_of
from support.consent import add_oauth_client, start
from support.grants import oauth1_component

LINK = "/data/relationships/component/data/id"
SHOP = "/data/attributes/fields/shop"
BASE = "https://birdsong.example"
MISSING = (409, "oauth_client_missing", LINK)

# fmt: off
REFUSED: list[tuple[str, str, dict[str, Any], bool, tuple[int, str, str | None]]] = [
    # section, name,       differs in the block,                               client, status, code, pointer
    ("0.4",  "gated",      {},                                                 False, MISSING),
    ("21",   "no request", {"request_token_uri": None},                        True,  (400, "validation_error", None)),
    ("21",   "no auth",    {"auth_uri": None},                                 True,  (400, "validation_error", None)),
    ("21",   "no access",  {"access_token_uri": None},                         True,  (400, "validation_error", None)),
    ("19.4", "unset",      {"access_token_uri": "https://{{SHARD}}.example/"}, True,  (400, "validation_error", None)),
    ("19.4", "field",      {"access_token_uri": "https://{{shop}}.example/"},  True,  (400, "validation_error", SHOP)),
    ("19.4", "seen",       {"auth_uri": "https://x.example/{{BIRD_SECRET}}"},  True,  (400, "validation_error", None)),
    ("0.11", "plain http", {"request_token_uri": "ftp://x.example/"},          True,  (400, "validation_error", None)),
]
# fmt: on


@pytest.mark.parametrize(("section", "name", "differs", "client", "expected"), REFUSED)
async def test_refused(
    keyrack: World,
    section: str,
    name: str,
    differs: dict[str, Any],
    client: bool,
    expected: tuple[int, str, str | None],
) -> None:
    descriptor = oauth1_component(BASE, **differs)
    descriptor["credentials"]["fields"]["shop"] = {"label": "Shop", "viewClass": "TextFieldView"}
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
    if client:
        await add_oauth_client(keyrack, "Globex", component_id, "globex-key", "globex-secret")
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id, fields={"shop": "a/b"})
    assert error_of(answer) == expected, section
    assert "globex-secret" not in answer.text


async def test_variables_of_the_owner_are_not_lent_to_another_tenant(keyrack: World) -> None:  # 0.8, 20.2
    descriptor = oauth1_component(BASE) | {"useOAuthClient": False}
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "legacy", descriptor, access="global")
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(answer) == MISSING
