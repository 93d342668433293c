"""The README's five-minute tour, pasted into a shell."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORT = "8000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour uses curl")
def test_the_tour_works_as_pasted(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"## Five-minute tour\n\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    first, _, tour = found[1].partition("\n")
    assert first.startswith("make demo ARGS=--once"), "which a test of its own runs"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    tour = tour.replace(PORT, port).replace(".venv/bin/keyrack serve", f".venv/bin/keyrack serve --port {port}")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    environment["TMPDIR"] = str(tmp_path / "tmp")
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", tour],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    decoder, position, shown = json.JSONDecoder(), 0, []
    while position < len(done.stdout.rstrip()):
        document, position = decoder.raw_decode(done.stdout, position)
        position += len(done.stdout) - len(done.stdout[position:].lstrip()) - position
        shown.append(document)
    me, workspaces = shown
    assert me["data"]["attributes"]["email"] == "you@example.com"
    assert len(workspaces["data"]) == 1
    assert list((tmp_path / "tmp").iterdir()) == [], "it cleans up behind itself"
