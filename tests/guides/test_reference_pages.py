"""The commands of the pages on webhooks, metrics, importing and the simulator work as written."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.forked_program import forked_program
from support.keyrack_processes import Installation, installation, settings
from support.pages import BLOCK, follow, given_in, steps_of
from support.process import free_port, guarded, wait_for

DOCS = Path(__file__).parents[2] / "docs"
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("pages") / "home") as running:
        yield running


def port_of(base: str) -> int:
    return int(base.rpartition(":")[2])


def test_the_webhooks_page(made: Installation, tmp_path: Path) -> None:
    given = {
        "KEYRACK": made.base,
        "ME": "{email}:{api_key}".format(**made.first["admin"]),
        "TENANT": made.first["tenant_id"],
    }
    assert given_in(DOCS / "webhooks.md") == set(given)
    follow(DOCS / "webhooks.md", tmp_path, given, {})


def test_the_metrics_page(made: Installation, tmp_path: Path) -> None:
    follow(DOCS / "metrics.md", tmp_path, made.environment, {"8000": port_of(made.base)})


def test_the_page_on_keys(made: Installation, tmp_path: Path) -> None:
    follow(DOCS / "keys.md", tmp_path, made.environment, {})


def test_the_page_on_moving(made: Installation, tmp_path: Path) -> None:
    (skeleton,) = [text for kind, _, text in BLOCK.findall((DOCS / "import.md").read_text("utf-8")) if kind == "json"]
    (tmp_path / "platform.json").write_text(skeleton)
    with forked_program(tmp_path) as programs:
        follow(DOCS / "import.md", tmp_path, made.environment, {}, programs=programs)


def test_the_page_on_migrating(made: Installation, tmp_path: Path) -> None:
    with forked_program(tmp_path) as programs:
        follow(DOCS / "migrating.md", tmp_path, made.environment, {}, programs=programs)


def test_the_page_on_providers(made: Installation, tmp_path: Path) -> None:
    follow(DOCS / "providers.md", tmp_path, made.environment, {})


def test_the_simulators_page(tmp_path: Path) -> None:
    page = DOCS / "simulator.md"
    steps = [step.commands for step in steps_of(page)]
    started = [line.partition("#")[0] for text in steps for line in text.splitlines() if line.startswith("keyrack ")]
    assert len(started) == 3
    (sample,) = [text for kind, _, text in BLOCK.findall(page.read_text("utf-8")) if kind == "toml"]
    for line in started:
        port = free_port()
        (tmp_path / "sim.toml").write_text(sample.replace("9000", str(port)))
        words = [str(tmp_path / word) if word == "sim.toml" else word for word in shlex.split(line)]
        argv = [sys.executable, "-m", *words, "--port", str(port)]
        with guarded(argv, settings(tmp_path / "home")) as simulator:
            wait_for(f"http://127.0.0.1:{port}{METADATA}", simulator)
            for text in steps:
                if not text.startswith("keyrack "):
                    script = text.replace("9000", str(port))
                    assert script.count("curl --fail-with-body -sS ") == 2
                    subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, timeout=60)
