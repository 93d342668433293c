"""The examples of docs/python-client.md run in order against a served Keyrack, and print what the page says."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from keyrack.ids import new_id
from keyrack.simulator.testing import RunningSimulator
from support.flows import Site, site, step_of
from support.grants import client_credentials, mint
from support.pages import BLOCK, MARK
from support.running import Running
from support.secrets import make, resource

PAGE = Path(__file__).parents[2] / "docs" / "python-client.md"


def program() -> tuple[str, list[list[str]], set[str]]:
    """Return the page's examples as one program, the lines each must print, and the names it expects."""
    code, given = "", set[str]()
    expected: list[list[str]] = []
    for kind, is_given, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if kind == "python" and is_given:
            given |= set(re.findall(r"\b([A-Z]+)\b(?=.*=)", text))
        elif kind == "python":
            code += f"print({MARK!r})\n{text}\n"
            expected.append([])
        elif kind == "text":
            expected[-1] += text.splitlines()
    return code, expected, given


async def test_the_examples_run_and_print_what_the_page_says(running: Running, simulator: RunningSimulator) -> None:
    world, acme = running.world, running.world.tenants["Acme"]
    place = await site(world, acme, f"place-{new_id()}", apart=True)
    secret = await connected(place, simulator)
    step = await step_of(world, place.flow_id)
    code, expected, given = program()
    names = {
        "KEYRACK": running.base,
        "ME": place.user.name,
        "KEY": place.user.api_key,
        "WORKSPACE": place.workspace_id,
        "SECRET": secret,
    }
    assert set(names) == given
    script = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + code
    script = script.replace("http://127.0.0.1:9000", simulator.base_url)

    def follow() -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **running.variables(step, place)}
        return subprocess.run(
            [sys.executable, "-W", "error", "-"],
            input=script,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    done = await asyncio.to_thread(follow)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(MARK)[1:]
    assert len(printed) == len(expected)
    for lines, text in zip(expected, printed, strict=True):
        assert [line for line in lines if line not in text] == [], text


async def connected(place: Site, simulator: RunningSimulator) -> str:
    """Return a secret of the place with a live token of the simulator."""
    credentials = client_credentials(simulator.token_endpoint)
    relationships = {
        "components": {"data": [{"id": place.second_id, "type": "component"}]},
        "workspace": {"data": {"id": place.workspace_id, "type": "workspace"}},
    }
    attributes = {"name": "Simulator", "type": "oauth2", "credentials": credentials}
    body = {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}
    client = resource(await place.user.post("/v2/auth-clients", body), 201)["id"]
    tokens = {**mint(simulator), "expires_in": 3600}
    secret: str = (await make(place.user, place.workspace_id, client, tokens))["id"]
    return secret
