"""The commands of the operations page work as written: serving, keys, backup, restore, moving, on both databases."""

import os
import secrets
from pathlib import Path

from support.forked_program import forked_program
from support.pages import follow
from support.postgres import PostgresServer
from support.process import free_port

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_operations_page(tmp_path: Path, postgres_server: PostgresServer) -> None:
    names = [f"page_{secrets.token_hex(4)}" for _ in range(3)]
    for name in names:
        postgres_server.sql(f"CREATE DATABASE {name}")
    given = {
        "PATH": f"{postgres_server.programs}:{os.environ['PATH']}",
        "DATABASE": postgres_server.url(names[0]),
        "EMPTY_DATABASE": postgres_server.url(names[1]),
        "NEW_DATABASE": postgres_server.url(names[2]),
    }
    with forked_program(tmp_path) as programs:
        follow(PAGE, tmp_path, given, {"8000": free_port(), "9000": free_port()}, programs=programs)
