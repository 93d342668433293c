"""A release is the same for everybody who builds it, and its wheel runs where there is nothing else."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from support.deploy_programs import ROOT, program, run
from support.parts import require_part
from support.process import free_port, guarded, wait_for

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="a release is made of a commit")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release` writes, of the last commit."""
    return built(ROOT, tmp_path_factory.mktemp("release"))


def built(checkout: Path, target: Path, **environment: str) -> Path:
    program("cyclonedx-py")
    done = subprocess.run(
        [str(checkout / "scripts/release"), sys.prefix, str(target)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def checkout_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same commit in another folder, with other times and modes of files."""
    folder = tmp_path_factory.mktemp("elsewhere") / "clone"
    done = run("git", "clone", "--quiet", "--no-hardlinks", ROOT, folder)
    if done.returncode != 0:
        require_part("git", f"this is no repository that can be cloned: {done.stderr}")
    for path in folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (1, 1))
            path.chmod(path.stat().st_mode & 0o700)
    return folder


def test_a_release_has_the_same_bytes_wherever_and_whenever_it_is_built(
    release: Path, checkout_elsewhere: Path, tmp_path: Path
) -> None:
    again = built(checkout_elsewhere, tmp_path, TZ="Pacific/Auckland", LC_ALL="C", HOME=str(tmp_path))
    assert (again / "SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()


def test_the_sums_are_those_of_all_that_is_there(release: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (release / "SHA256SUMS").read_text().splitlines())
    assert {path.suffix for path in release.iterdir()} == {".whl", ".gz", ".json", ""}
    assert set(sums) == {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == expected


def test_the_bill_of_materials_names_what_the_image_installs_with_its_hashes(release: Path) -> None:
    (path,) = release.glob("*.cdx.json")
    bill = json.loads(path.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "keyrack"
    pinned = {
        tuple(line.split(" ")[0].split(";")[0].strip().split("=="))
        for line in (ROOT / "requirements/image.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    }
    listed = {(c["name"].lower(), c["version"]) for c in bill["components"]}
    assert {(name.split("[")[0].lower(), version) for name, version in pinned} == listed


@pytest.fixture(scope="module")
def installed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and what the image's lock names, and nothing else."""
    (wheel,) = release.glob("*.whl")
    folder = tmp_path_factory.mktemp("image") / "keyrack"
    uv = program("uv")
    for command in (
        (uv, "venv", "--quiet", "--python", sys.executable, folder),
        (
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            folder,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            ROOT / "requirements/image.txt",
        ),
        (uv, "pip", "install", "--quiet", "--python", folder, "--no-deps", "--no-index", wheel),
    ):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_the_wheel_runs_where_there_is_nothing_else(installed: Path, tmp_path: Path) -> None:
    port = free_port()
    # as in the image: no other variables, a home that is not there yet
    nothing = {"PATH": f"{installed}:/usr/bin:/bin", "KEYRACK_HOME": str(tmp_path / "volume/home")}
    keyrack = str(installed / "keyrack")
    made = subprocess.run(
        [keyrack, "bootstrap", "--email", "you@example.com", "--json"],
        env=nothing,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    first = json.loads(made.stdout)
    command = [
        "env",
        "-i",
        *(f"{name}={value}" for name, value in nothing.items()),
        keyrack,
        "serve",
        "--port",
        str(port),
    ]
    with guarded(command, {}) as server:
        base = f"http://127.0.0.1:{port}"
        wait_for(f"{base}/readyz", server)
        who = httpx2.get(f"{base}/v2/users/me", auth=(first["admin"]["email"], first["admin"]["api_key"]))
        assert who.json()["data"]["attributes"]["email"] == "you@example.com"
        assert httpx2.get(f"{base}/console/sign-in").status_code == 200
        assert httpx2.get(f"{base}/docs").status_code == 200


def test_the_wheel_carries_the_package_alone(release: Path) -> None:
    (wheel,) = release.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"keyrack"}
    assert "keyrack/py.typed" in names
    assert any(name.endswith("/migrations/versions/m0001_foundation.py") for name in names)
