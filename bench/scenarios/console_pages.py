"""What a page of the console costs out of a hundred thousand rows of everything that pages list (issue 13.8)."""

import asyncio
import os
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

from bench.console_rows import PASSWORD, fill_for_console
from bench.lists_stored import Filled, filled
from bench.scenario import Row, Scenario
from bench.stage import Stage

MOST_MS = 60.0
_SIZE = 100_000
_LEAST_ROUNDS = 3
_DEEP = 2_000
_OK, _SENT_ON = 200, 303
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_TOGETHER = 10
"""Requests of one measurement: the kernel tells a process's time in hundredths of a second."""


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        made = filled(stage, database, _SIZE)
        stage.say(f"{database}: storing {_SIZE:,} rows of each of what else pages list")
        asyncio.run(fill_for_console(made, _SIZE))
        with httpx2.Client(base_url=made.served.base, timeout=120) as browser:
            _sign_in(browser, made.served.first["admin"]["email"])
            rows += [_row(stage, database, made, browser, name, path) for name, path in _paths(made).items()]
    return rows


def _sign_in(browser: httpx2.Client, email: str) -> None:
    page = browser.get("/console/sign-in")
    (token,) = re.findall(r'name="form_token" value="(\w+)"', page.text)
    form = {"form_token": token, "email": email, "password": PASSWORD}
    answer = browser.post("/console/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})
    if answer.status_code != _SENT_ON:
        raise RuntimeError(f"signing in answered {answer.status_code}")


def _paths(made: Filled) -> Mapping[str, str]:
    workspace = f"/console/workspaces/{made.home.workspace_id}"
    lists = {
        "components": ("/console/components", "q=crowd-77"),
        "OAuth clients": ("/console/oauth-clients", "q=client-77"),
        "auth clients": ("/console/auth-clients", "q=Client%2077"),
        "people": ("/console/people", "email=crowd-77"),
        "contracts": ("/console/contracts", "q=Contract%2077"),
        "workspaces": ("/console/workspaces", "q=Workspace%2077"),
        "connections": (workspace, "q=Secret%2077"),
        "credentials": (f"{workspace}/credentials", "q=Credential%2077"),
        "members": (f"{workspace}/members", "member=crowd-77"),
        "audit": ("/console/audit", "actor=crowd-77"),
        "events": ("/console/events", "type=webhook.test"),
    }
    contract = f"/console/contracts/{made.home.contract_id}"
    paths = {"overview": "/console", "contract": contract, "search everywhere": "/console/search?q=crowd-77"}
    for name, (path, search) in lists.items():
        number = "members" if name == "members" else "page"
        paths |= {
            name: path,
            f"{name}, page {_DEEP:,}": f"{path}?{number}={_DEEP}",
            f"{name}, {search}": f"{path}?{search}",
        }
    return paths


def _row(stage: Stage, database: str, made: Filled, browser: httpx2.Client, name: str, path: str) -> Row:
    browser.get(path)
    took = [_cost(made.served.pid, browser, path) for _ in range(max(_LEAST_ROUNDS, stage.plan.runs))]
    found, waited = (statistics.median(each) for each in zip(*took, strict=True))
    if found > MOST_MS:
        stage.say(f"{database}: {name} is over {MOST_MS:.0f} ms: {found:.0f}")
    return {"page": name, "database": database, "CPU ms": round(found, 1), "ms": round(waited, 1)}


def _cost(pid: int, browser: httpx2.Client, path: str) -> tuple[float, float]:
    """Return what one of some requests costs the server on a core, without its database, and takes, in ms."""
    began, before = time.perf_counter(), _used_ms(pid)
    for _ in range(_TOGETHER):
        answer = browser.get(path)
        if answer.status_code != _OK:
            raise RuntimeError(f"GET {path} answered {answer.status_code}")
    waited = (time.perf_counter() - began) * 1000
    return (_used_ms(pid) - before) / _TOGETHER, waited / _TOGETHER


def _used_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS


SCENARIO = Scenario("console-pages", "pages of the console out of 100,000 rows: first, deep, searched", run)
