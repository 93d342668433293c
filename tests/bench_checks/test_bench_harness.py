"""The benchmark measures what it says, on a run too short to mean anything; no figure is judged here."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.load import percentile
from bench.report import table
from bench.scenarios import SCENARIOS
from bench.victim import Order, Probe, ask
from support.process import free_port, guarded, wait_for

ROOT = Path(__file__).parents[2]


def bench(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


SHORT = ("--seconds", "0.1", "--runs", "1", "--connections", "3")
PAIRED = {
    "reads": ("usual build", "bare"),
    "list-secrets": ("usual build", "bare"),
    "writes": ("usual build",),
    "read-secret": ("Keyrack, 2 workers", "usual build", "OpenBao", "bare"),
}
"""Scenarios that measure Keyrack beside other servers, and which those are, in the order of the report."""


@dataclass(frozen=True)
class Report:
    printed: str
    written: dict[str, Any]

    def rows(self, scenario: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.written["scenarios"][scenario]["rows"]
        return found


def report(folder: Path, *words: str) -> Report:
    done = bench(*SHORT, *words, "--json", folder / "result.json")
    assert done.returncode == 0, done.stderr
    return Report(done.stdout, json.loads((folder / "result.json").read_text()))


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Report:
    only = [word for name in PAIRED for word in ("--only", name)]
    return report(tmp_path_factory.mktemp("bench"), *only, "--database", "sqlite")


def test_every_scenario_beside_peers_runs_and_reports_the_same_as_table_and_json(on_sqlite: Report) -> None:
    assert set(on_sqlite.written["machine"]) == {"cores", "python"}
    assert list(on_sqlite.written["scenarios"]) == list(PAIRED)
    for name, peers in PAIRED.items():
        assert table(on_sqlite.rows(name)) in on_sqlite.printed
        there = [peer for peer in peers if peer not in on_sqlite.written["left_out"]]
        servers = [row["server"] for row in on_sqlite.rows(name)]
        assert servers == ["Keyrack", *there] * (len(servers) // (1 + len(there))), name
        assert {(row["database"], row["connections"]) for row in on_sqlite.rows(name)} == {("sqlite", 3)}
    assert {row["read"] for row in on_sqlite.rows("reads")} == {"credential", "OAuth client", "auth client", "flow"}
    assert [row["write"] for row in on_sqlite.rows("writes")[:: len(on_sqlite.rows("writes")) // 3]] == [
        "create",
        "patch",
        "delete",
    ]


@pytest.mark.parametrize("name", PAIRED)
def test_each_server_is_compared_with_keyrack(on_sqlite: Report, name: str) -> None:
    own = 0
    for row in on_sqlite.rows(name):
        own = row["requests/s"] if row["server"] == "Keyrack" else own
        assert 0 < row["p50 ms"] <= row["p99 ms"]
        least, most = (own - 1) / (row["requests/s"] + 1), (own + 1) / max(0.4, row["requests/s"] - 1)
        assert least * 0.99 <= row["Keyrack to it"] <= most * 1.01  # rates are rounded


@pytest.mark.parametrize("peer", ["usual build", "OpenBao"])
def test_a_peer_is_measured_or_left_out_by_name(on_sqlite: Report, peer: str) -> None:
    measured = {row["server"] for name in PAIRED for row in on_sqlite.rows(name)}
    reason = on_sqlite.written["left_out"].get(peer)
    assert (peer in measured) is (reason is None)
    if reason is not None:
        assert f"{peer} is left out: {reason}" in on_sqlite.printed
        pytest.skip(f"{peer}: {reason}")


def test_reads_and_writes_run_on_postgresql(tmp_path: Path, postgres_server: object) -> None:
    del postgres_server  # only to be skipped where PostgreSQL cannot be had
    seen = report(tmp_path, "--only", "reads", "--only", "writes", "--database", "postgresql")
    assert {row["database"] for name in ("reads", "writes") for row in seen.rows(name)} == {"postgresql"}


def test_the_names_of_scenarios_are_listed_and_a_wrong_one_is_refused() -> None:
    assert [line.partition(":")[0] for line in bench("--list").stdout.splitlines()] == [s.name for s in SCENARIOS]
    assert bench("--only", "no-such-thing").returncode == 2


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers in two parts, 404 except at `/here`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/here" else 404)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"12345")
        self.wfile.flush()
        self.wfile.write(b"67890")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow_server() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def generate(port: int, path: str, seconds: float = 1.0) -> subprocess.CompletedProcess[str]:
    order = {"host": "127.0.0.1", "port": port, "request": f"GET {path} HTTP/1.1\r\nhost: t\r\n\r\n", "connections": 2}
    command = [sys.executable, "-m", "bench.load", json.dumps(order | {"warm_up": 0.2, "seconds": seconds})]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_the_generator_counts_answers_that_come_in_parts(slow_server: int) -> None:
    done = generate(slow_server, "/here")
    assert done.returncode == 0, done.stderr
    (seen,) = json.loads(done.stdout)
    assert seen["answers"] > 0
    assert 0.99 < seen["seconds"] < 30
    assert 0 < seen["p50_ms"] <= seen["p99_ms"]


def test_the_generator_measures_no_refusals(slow_server: int) -> None:
    done = generate(slow_server, "/elsewhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "404" in done.stderr


def test_the_generator_says_when_nobody_listens() -> None:
    done = generate(free_port(), "/here")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ConnectionRefusedError" in done.stderr


def test_the_bare_server_answers_the_given_bytes(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b'{"data":1}')
    port = free_port()
    argv = [sys.executable, "-m", "bench.peers.bare", str(port), "/here", str(tmp_path / "body")]
    with guarded(argv, {"PYTHONPATH": str(ROOT)}) as server:
        wait_for(f"http://127.0.0.1:{port}/here", server)
        assert generate(port, "/here").returncode == 0
        assert "404" in generate(port, "/elsewhere").stderr


def test_what_a_victim_was_refused_counts_as_slow(slow_server: int) -> None:
    def probe(path: str) -> Probe:
        return Probe(f"GET {path} HTTP/1.1\r\nhost: t\r\n\r\n", every=0.05, connections=2, keeps=path == "/here")

    probes = {"served": probe("/here"), "refused": probe("/elsewhere")}
    found = asyncio.run(ask(Order("127.0.0.1", slow_server, probes, warm_up=0.11, seconds=0.2, patience=60)))
    served, refused = found["served"], found["refused"]
    assert served.failed == 0
    assert served.rate > 0
    assert 0 < served.p50_ms <= served.p99_ms <= served.longest_ms
    assert (refused.rate, refused.p50_ms, refused.longest_ms) == (0, 60_000, 60_000)
    assert refused.failed == 8


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), share) == expected


def test_a_percentile_of_one_value_is_it() -> None:
    assert percentile([7], 0.99) == 7
