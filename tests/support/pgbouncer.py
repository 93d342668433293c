"""A real PgBouncer (Debian's package) in transaction mode in front of a test's PostgreSQL."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.parts import require_part
from support.postgres import PostgresServer
from support.process import free_port, guard

READY_SECONDS = 30.0


class PgBouncer:
    """A running pooler.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self._password = password

    def url(self, database: str) -> str:
        """Return the address of a database through the pooler."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def has_served(self, server: PostgresServer, database: str) -> bool:
        """Tell whether the pooler has served clients of a database."""
        done = subprocess.run(
            [server.programs / "psql", "-XAtq", "-d", self.url("pgbouncer"), "-c", "SHOW STATS"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        counted = {line.split("|")[0]: int(line.split("|")[1]) for line in done.stdout.splitlines()}
        return counted.get(database, 0) > 0


@contextmanager
def pooled(server: PostgresServer, *, connections: int = 6, **settings: object) -> Iterator[PgBouncer]:
    """Run a pooler in transaction mode with so many connections to the server, until the block ends.

    It runs as another user, as it refuses to run as root. It carries no prepared statements.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        require_part("pgbouncer", "not installed; apt-get install pgbouncer")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if re.findall(r"[0-9]+", version)[:2] >= ["1", "21"]:  # it could, so it is told not to
        settings = {"max_prepared_statements": 0, **settings}
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="keyrack-pgbouncer-"))
    port = free_port()
    (folder / "users").write_text(f'"postgres" "{server.password}"\n')
    configuration = {
        "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
        "auth_file": folder / "users", "admin_users": "postgres", "pool_mode": "transaction",
        "default_pool_size": connections, "max_client_conn": 500, "server_round_robin": 1,
        "ignore_startup_parameters": "options", **settings,
    }  # fmt: skip
    lines = [f"{name} = {value}" for name, value in configuration.items()]
    target = f"* = host=127.0.0.1 port={server.port}"
    (folder / "pgbouncer.ini").write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines, ""]))
    for path in (folder, *folder.iterdir()):
        if user is not None:
            os.chown(path, user, -1)
    words = [program, "-q", str(folder / "pgbouncer.ini")]
    with guard(words, stop_signal=signal.SIGINT, user=user, remove=[str(folder)]) as running:
        deadline = time.monotonic() + READY_SECONDS
        while not _listens(port):
            if not running.is_running() or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start:\n{running.log()}")
            time.sleep(0.02)
        yield PgBouncer(port, server.password)
    shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()
