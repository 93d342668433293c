"""The guides' commands run, in order, against a real Keyrack and the simulator, and print what the guides say."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.keyrack_processes import command, installation
from support.pages import follow, given_in, steps_of
from support.process import free_port, guarded, wait_for

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
CARRIED = ("COMPONENT", "WORKSPACE", "FLOW")


@dataclass(frozen=True)
class Land:
    """A running installation with two tenants, as the operator's page leaves it, and a simulator."""

    base: str
    ports: Mapping[str, int]
    first: Mapping[str, Any]
    globex: str
    globex_admin: str
    integrator: str
    runner: str

    def as_support(self, method: str, path: str, body: Any) -> Any:
        account = self.first["service_account"]
        auth = httpx2.BasicAuth(account["username"], account["api_key"])
        answer = httpx2.request(method, self.base + path, json=body, auth=auth)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture
def land(tmp_path: Path) -> Iterator[Land]:
    with ExitStack() as running:
        made = running.enter_context(installation(tmp_path / "home", allow_insecure_providers="true"))
        port = free_port()
        argv = [sys.executable, "-m", "keyrack", "simulator", "--auto-approve", "--port", str(port)]
        simulator = running.enter_context(guarded(argv, made.environment))
        wait_for(f"http://127.0.0.1:{port}/.well-known/oauth-authorization-server", simulator)
        account = made.first["service_account"]
        auth = httpx2.BasicAuth(account["username"], account["api_key"])
        attributes = {
            "name": "Globex",
            "app_domain": "globex.localhost",
            "code": "",
            "mandrill_email_from": "a@b.example",
        }
        body = {"data": {"type": "tenant", "attributes": attributes}}
        globex = httpx2.post(f"{made.base}/v2/tenants", json=body, auth=auth).json()["data"]["id"]

        def user(email: str, *more: str) -> str:
            key = command(made.environment, "users", "create", "--email", email, "--tenant", globex, *more)["api_key"]
            return f"{email}:{key}"

        permissions = (
            *("global.runtime_env.get", "global.task_keys.create"),
            *("workspaces.credential.edit", "workspaces.flow.edit"),
        )
        words = [word for name in permissions for word in ("--permission", name)]
        runner = command(made.environment, "service-accounts", "create", "--name", "runner", *words)
        yield Land(
            made.base,
            {"8000": int(made.base.rpartition(":")[2]), "9000": port},
            made.first,
            globex,
            user("admin@globex.example", "--tenant-admin"),
            user("ida@globex.example"),
            f"runner:{runner['api_key']}",
        )


def test_the_operators_page(tmp_path: Path) -> None:
    follow(GUIDES / "platform-operator.md", tmp_path, {}, {"8000": free_port()})


def test_developer_admin_integrator_and_runner_do_the_main_job_from_their_pages(tmp_path: Path, land: Land) -> None:
    pages: list[tuple[str, dict[str, str]]] = [
        (
            "component-developer.md",
            {"ME": "{email}:{api_key}".format(**land.first["admin"]), "TEAM": land.first["team_id"]},
        ),
        ("tenant-admin.md", {"ME": land.globex_admin, "TENANT": land.globex}),
        ("integrator.md", {"ME": land.integrator}),
        ("running-component.md", {"RUNNER": land.runner}),
    ]
    carried: dict[str, str] = {}
    for page, own in pages:
        given = {"KEYRACK": land.base} | carried | own
        assert given_in(GUIDES / page) <= set(given), page
        carried |= follow(GUIDES / page, tmp_path, given, land.ports, CARRIED)
        if page == "component-developer.md":  # what its last section asks of the platform's support
            attributes = {"id": carried["COMPONENT"], "type": "component", "attributes": {"access": "global"}}
            land.as_support("PATCH", f"/v2/components/{carried['COMPONENT']}", {"data": attributes})


@pytest.mark.parametrize("page", sorted(path.name for path in GUIDES.glob("*.md")))
def test_a_guide_runs_something_and_checks_what_it_prints(page: str) -> None:
    steps = steps_of(GUIDES / page)
    assert len(steps) >= 3
    assert sum(bool(step.expected) for step in steps) >= 3
    given = re.findall(r"^```(\S+)", (GUIDES / page).read_text("utf-8"), re.MULTILINE)
    assert set(given) <= {"sh", "text", "console"}
