"""What an operator meets: the database stops and comes back, the schema is old, the disk is full or read-only."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from support.keyrack_processes import bootstrapped, run_command, serving
from support.postgres import PostgresServer

UNKNOWN_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def test_readiness_follows_the_database(postgres_server_durable: PostgresServer, tmp_path: Path) -> None:
    server = postgres_server_durable
    url = server.url("postgres")
    first = bootstrapped(tmp_path, KEYRACK_DATABASE_URL=url)
    with serving(tmp_path, first, KEYRACK_DATABASE_URL=url) as served:
        served.wait("/readyz", 200)
        server.stop()
        answer = served.wait("/readyz", 503)
        assert answer.json()["errors"][0]["code"] == "database_unavailable"
        assert answer.headers["retry-after"]
        assert httpx2.get(f"{served.base}/healthz").status_code == 200, "the process itself is well"
        refused = httpx2.get(f"{served.base}/v2/users/me", auth=served.admin, timeout=30)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (503, "database_unavailable")
        server.start()
        served.wait("/readyz", 200)
        assert httpx2.get(f"{served.base}/v2/users/me", auth=served.admin, timeout=30).status_code == 200
        assert server.password not in served.log()
        assert "Traceback" not in served.log()


def test_serve_refuses_before_it_listens(postgres_server: PostgresServer, postgres_url: str, tmp_path: Path) -> None:
    bootstrapped(tmp_path, KEYRACK_DATABASE_URL=postgres_url)
    wrong = run_command(tmp_path, "serve", "--port", "0", KEYRACK_DATABASE_URL=postgres_url, KEYRACK_KEY=UNKNOWN_KEY)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "key-encryption key" in wrong.stderr
    database = postgres_url.rpartition("/")[2]
    postgres_server.sql("UPDATE alembic_version SET version_num = '9999'", database)
    postgres_server.sql("UPDATE schema_compatibility SET oldest_program = '9999'", database)
    newer = run_command(tmp_path, "serve", "--port", "0", KEYRACK_DATABASE_URL=postgres_url)
    assert newer.returncode == 1
    assert "newer Keyrack" in newer.stderr
    postgres_server.sql("DELETE FROM alembic_version", database)
    older = run_command(tmp_path, "serve", "--port", "0", KEYRACK_DATABASE_URL=postgres_url)
    assert older.returncode == 1
    assert older.stderr.startswith("keyrack: ")
    for done in (wrong, newer, older):
        assert "Traceback" not in done.stderr
        assert postgres_server.password not in done.stderr


def test_serve_says_when_the_database_cannot_be_reached(tmp_path: Path) -> None:
    bootstrapped(tmp_path)
    done = run_command(tmp_path, "serve", "--port", "0", KEYRACK_DATABASE_URL="postgresql://a:canary@127.0.0.1:1/x")
    assert done.returncode == 1
    assert done.stderr.startswith("keyrack: ")
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr


Fault = tuple[Callable[[PostgresServer, str], str], str]
FAULTS: dict[str, Fault] = {
    "refused": (lambda _, d: f"postgresql://keyrack:canary@127.0.0.1:1/{d}", "the connection is refused"),
    "refused at all addresses": (lambda _, d: f"postgresql://keyrack:canary@localhost:1/{d}", "is refused"),
    "no such host": (lambda _, d: f"postgresql://keyrack:canary@nowhere.invalid/{d}", "there is no such host"),
    "no such socket": (lambda _, d: f"postgresql://keyrack:canary@/{d}?host=/nowhere", "there is no such socket"),
    "no such database": (lambda s, d: s.url(f"{d}_free"), "there is no such database; create it"),
    "wrong password": (
        lambda s, d: s.url(d).replace(s.password, "canary"),
        'the password of the role "postgres" is wrong, or there is no such role',
    ),
    "no such role": (
        lambda s, d: s.url(d).replace(f"postgres:{s.password}", "nobody_here:canary"),
        'the password of the role "nobody_here" is wrong, or there is no such role',
    ),
    "no such role, trusted": (
        lambda s, d: s.socket_url(d).replace("postgres@", "nobody_here:canary@"),
        'there is no role "nobody_here"; create it',
    ),
    "may not log in": (
        lambda s, d: s.socket_url(d).replace("postgres@", "fault_group:canary@"),
        'the role "fault_group" may not log in',
    ),
    "may not connect": (
        lambda s, d: s.socket_url(d).replace("postgres@", "fault_role:canary@"),
        'the role "fault_role" lacks the privilege CONNECT',
    ),
    "no TLS": (lambda s, d: f"{s.url(d)}?sslmode=require", "it takes no TLS connections"),
}


COMMANDS = ("users list --tenant x", "db upgrade", "serve --port 0", "worker", "bootstrap --email a@example.com")


@dataclass(frozen=True)
class WithRoles:
    """A home of an installation in a database that only its owner may enter, with roles that lack something."""

    home: Path
    server: PostgresServer
    database: str


@pytest.fixture(scope="module")
def with_roles(
    postgres_server: PostgresServer, postgres_url_of_file: str, tmp_path_factory: pytest.TempPathFactory
) -> WithRoles:
    server, database = postgres_server, postgres_url_of_file.rpartition("/")[2]
    home = tmp_path_factory.mktemp("roles")
    bootstrapped(home, KEYRACK_DATABASE_URL=postgres_url_of_file)
    for role in ("fault_role LOGIN", "fault_group NOLOGIN"):
        server.sql(f"DROP ROLE IF EXISTS {role.partition(' ')[0]}")
        server.sql(f"CREATE ROLE {role}")
    server.sql(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    return WithRoles(home, server, database)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_told_with_host_and_name_and_without_a_password(with_roles: WithRoles, fault: str) -> None:
    server, database = with_roles.server, with_roles.database
    make, cause = FAULTS[fault]
    url = make(server, database)
    host = next((each for each in ("nowhere", "localhost", "127.0.0.1") if each in url), str(server.socket_dir))
    # every command with the first fault; with each of the others two of them, in turn
    at = list(FAULTS).index(fault)
    for words in COMMANDS if at == 0 else (COMMANDS[at % len(COMMANDS)], COMMANDS[(at + 2) % len(COMMANDS)]):
        done = run_command(with_roles.home, *words.split(), KEYRACK_DATABASE_URL=url)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert done.stderr.startswith('keyrack: cannot connect to the database "'), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert cause in done.stderr, words
        assert database in done.stderr
        assert host in done.stderr
        assert server.password not in done.stderr
        assert "canary" not in done.stderr


@pytest.mark.parametrize("allowed", [0, 16, 4096, 100_000])
def test_a_full_disk_is_said_and_leaves_nothing_half_done(tmp_path: Path, allowed: int) -> None:
    """The limit of the size of any file stands for a disk that is full: both make a write fail half-way."""
    done = run_command(tmp_path, "bootstrap", "--email", "root@example.com", "--json", file_size=allowed)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("keyrack: "), done.stderr
    assert "Traceback" not in done.stderr
    bootstrapped(tmp_path)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        done = run_command(home, "bootstrap", "--email", "root@example.com", "--json")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("keyrack: "), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["serve --port 0", "worker", "db upgrade", "audit list", "import platform /dev/null"])
def test_a_missing_home_is_named_with_what_to_do(tmp_path: Path, words: str) -> None:
    done = run_command(tmp_path / "nowhere", *words.split())
    what = f"there is no folder {tmp_path}/nowhere"
    to_do = "set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"keyrack: {what}; {to_do}\n")
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_folder_of_the_url_and_a_file_in_its_place_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, what in (("nowhere", "there is no folder {}; "), ("file", "{} is not a folder; ")):
        url = f"sqlite:///{tmp_path}/{folder}/keyrack.sqlite3"
        for words in (["serve", "--port", "0"], ["bootstrap", "--email", "root@example.com"]):
            done = run_command(tmp_path / "home", *words, KEYRACK_DATABASE_URL=url)
            assert (done.returncode, done.stdout) == (1, ""), words
            assert done.stderr.startswith("keyrack: " + what.format(tmp_path / folder)), done.stderr
            assert done.stderr.count("\n") == 1, done.stderr
            assert "KEYRACK_DATABASE_URL" in done.stderr
