"""OpenBao with one secret: in memory, without TLS or audit log, its version 2 key-value store, read by the root token.

That is as little as OpenBao can be asked to do for a read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import openbao
from support.openbao import find_program

__all__ = ["OpenBao", "find_program", "serving"]

_PATH = "secret/data/measured"


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


@contextmanager
def serving(program: Path, secret: Mapping[str, Any]) -> Iterator[OpenBao]:
    """Run OpenBao with a secret until the block ends."""
    with openbao.serving(program) as server:
        server.ask("POST", _PATH, {"data": secret})
        yield OpenBao(server.port, server.pid, server.token, f"/v1/{_PATH}")
