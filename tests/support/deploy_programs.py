"""Where the programs are that judge the files of deploy/; a missing one skips by name."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.parts import require_part, why_not_installed

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
_BESIDE_PYTHON = Path(sys.executable).parent


def program(name: str, *, part: str = "deploy") -> Path:
    """Return a program of the environment, or of the machine."""
    here = _BESIDE_PYTHON / name
    if here.exists():
        return here
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin")
    return Path(found) if found else require_part(part, f"no {name}: {why_not_installed(part)}")


def helm() -> Path:
    found = _BESIDE_PYTHON.parent / "deploy/helm/helm"
    return found if found.exists() else require_part("node", why_not_installed("node"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=120)
