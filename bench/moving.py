"""What importing and exporting many grants costs in memory and time: `python -m bench.moving --grants 10000 200000`.

For each number an installation on SQLite is made, and filled by `keyrack import nango`; then everything is cut over,
exported with its secrets, encrypted, and imported into another installation. Exits with 1 unless the memory of each
command stays flat: with the largest number no more than a fifth and 16 MiB above that with the smallest.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrage import x25519

_FLAT, _SLACK_MIB = 1.2, 16
_KIB = 1024
_GRANTS = (10_000, 50_000, 200_000)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command has cost: its largest resident memory, and time on the clock."""

    mib: float
    seconds: float


def main(words: Sequence[str]) -> int:
    """Measure; return 0 if memory stays flat."""
    parser = argparse.ArgumentParser(prog="python -m bench.moving", description=__doc__)
    parser.add_argument("--grants", type=int, nargs="+", default=list(_GRANTS))
    numbers: list[int] = sorted(parser.parse_args(words).grants)
    found = []
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="keyrack-moving-") as folder:
            found.append(measured(Path(folder), number))
    first, last = found[0], found[-1]
    grown = [name for name in first if last[name].mib > first[name].mib * _FLAT + _SLACK_MIB]
    print(f"not flat: {', '.join(grown)}" if grown else "flat")
    return 1 if grown else 0


def measured(folder: Path, number: int) -> Mapping[str, Cost]:
    """Move so many grants in and on; print and return what each command has cost."""
    identity = x25519.Identity.generate()
    (folder / "identity").write_text(str(identity))
    here, there = folder / "here", folder / "there"
    first = json.loads(told(here, "bootstrap", "--email", "a@here.example", "--json"))
    elsewhere = ("--email", "a@else.example", "--app-domain", "else.example", "--team-name", "else")
    told(there, "bootstrap", *elsewhere, "--json")
    grants = folder / "nango.jsonl"
    write(grants, number)
    place = ("--tenant", first["tenant_id"], "--workspace", first["workspace_id"], "--user", first["admin"]["user_id"])
    sealed = str(folder / "all.age")
    export = ("export", "platform", sealed, "--with-secrets", "--recipient", str(identity.to_public()))
    import_all = ("import", "platform", sealed, "--identity", str(folder / "identity"))
    steps: Mapping[str, tuple[Path, Sequence[str]]] = {
        "import nango": (here, ("import", "nango", str(grants), *place)),
        "import nango, again": (here, ("import", "nango", str(grants), *place)),
        "cutover everything": (here, ("cutover", "everything")),
        "export platform": (here, export),
        "import platform": (there, import_all),
        "import platform, again": (there, import_all),
    }
    costs = {}
    for name, (home, words) in steps.items():
        cost = costs[name] = cost_of(home, *words)  # told at once: the last takes place an hour after the first
        print(f"{number:>8} grants  {name:<26} {cost.mib:7.1f} MiB  {cost.seconds:8.1f} s", flush=True)
    return costs


def write(path: Path, number: int) -> None:
    """Write what Nango has: one integration with so many connections."""
    config = {"unique_key": "crm", "provider": "hubspot", "oauth_client_id": "id", "oauth_client_secret": "secret"}
    with path.open("w") as file:
        file.write(json.dumps(config) + "\n")
        for each in range(number):
            tokens = {"access_token": f"at-{each}-" + "a" * 200, "refresh_token": f"rt-{each}-" + "r" * 60}
            raw = {**tokens, "expires_in": 1800, "scope": "contacts oauth", "hub_id": each}
            credentials = {"type": "OAUTH2", **tokens, "expires_at": "2030-01-01T00:00:00Z", "raw": raw}
            at = "2026-11-30T08:00:00Z"
            connection = {"connection_id": f"customer-{each}", "provider_config_key": "crm", "updated_at": at}
            file.write(json.dumps({**connection, "credentials": credentials}) + "\n")


def told(home: Path, *words: str) -> str:
    """Run a command; return what it prints."""
    return subprocess.run(_argv(words), env=_environment(home), check=True, capture_output=True, text=True).stdout


def cost_of(home: Path, *words: str) -> Cost:
    """Run a command; return what it has cost."""
    began = time.monotonic()
    with subprocess.Popen(_argv(words), env=_environment(home), stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"keyrack {words[0]} {words[1]} ended with {process.returncode}")
    return Cost(used.ru_maxrss / _KIB, time.monotonic() - began)


def _argv(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "keyrack", *words]


def _environment(home: Path) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
    return {**known, "KEYRACK_HOME": str(home), "KEYRACK_LOG_LEVEL": "error"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
