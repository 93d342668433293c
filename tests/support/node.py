"""Node.js: the machine's or the environment's, and clients from npm that run in a process of their own."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from support.parts import require_part, why_not_installed

OLDEST_NODE = 20
CLIENTS = Path(__file__).parents[1] / "clients" / "node"
MODULES = Path(sys.prefix) / "clients" / "node" / "node_modules"
RUN_SECONDS = 120.0


@cache
def executable() -> str:
    """Return the machine's Node.js when it is new enough, else the one in this environment."""
    for candidate in (shutil.which("node"), str(Path(sys.prefix) / "bin" / "node")):
        if candidate is not None and Path(candidate).exists():
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            if version.startswith("v") and int(version[1:].split(".")[0]) >= OLDEST_NODE:
                return candidate
    return require_part("node", why_not_installed("node"))


async def run(script: str, order: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a script of `tests/clients/node` and return the document it prints last.

    Args:
        script: its file name.
        order: what to do, given to the script as JSON.
        environment: the variables of the platform, `ELASTICIO_...`; those of this process are not inherited.
    """
    node = executable()
    if not (MODULES / "@elastic.io" / "component-commons-library").is_dir():
        require_part("clients from npm", why_not_installed("node"))
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ELASTICIO_", "KEYRACK_"))}
    env = ours | {"NODE_PATH": str(MODULES), "LOG_LEVEL": "fatal"} | dict(environment)
    command = [node, str(CLIENTS / script), json.dumps(order)]

    def wait() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=env, cwd=CLIENTS, capture_output=True, text=True, check=False, timeout=RUN_SECONDS
        )

    done = await asyncio.to_thread(wait)
    assert done.returncode == 0, f"{script}: {done.stderr}\n{done.stdout}"
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


EMITTER = {"$": "emitter"}
"""Stands, among the arguments of a constructor, for what the platform hands to a component."""


async def call(
    module: str, export: str | None, arguments: list[Any], variables: Mapping[str, str], *calls: list[Any]
) -> dict[str, Any]:
    """Make a client of a package and call its methods in turn.

    Args:
        module: the package.
        export: its member that makes clients; None for the package itself.
        arguments: of the constructor.
        variables: the environment, `ELASTICIO_...`.
        calls: lists of a method's name and its arguments.

    Returns:
        `outcomes`, for each call a `value` or an `error` with message and status; `events` that were emitted; what was
        `logged`.
    """
    order = {"module": module, "export": export, "arguments": arguments, "calls": calls}
    return await run("call.cjs", order, variables)


def values(printed: dict[str, Any]) -> list[Any]:
    """Return what the calls returned; none may have failed."""
    assert all("error" not in outcome for outcome in printed["outcomes"]), printed["outcomes"]
    return [outcome.get("value") for outcome in printed["outcomes"]]


def statuses(printed: dict[str, Any]) -> list[int]:
    """Return the status each call failed with, as the client tells it; a client without one has it in the message."""
    errors = [outcome["error"] for outcome in printed["outcomes"]]
    return [error.get("status") or int(error["message"].partition(" ")[0]) for error in errors]
