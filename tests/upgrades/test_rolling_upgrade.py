"""The version before the newest migration and this one serve one PostgreSQL, under load, while it is upgraded."""

import asyncio
import io
import json
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from keyrack.store import schema_revision
from support.app import relationship
from support.keyrack_processes import command_environment
from support.parts import require_part
from support.postgres import PostgresServer
from support.process import ServerProcess, free_port, guarded, wait_for
from support.served_estate import document
from support.waits_and_faults import wait_until

ROOT = Path(__file__).parents[2]
VERSIONS = "src/keyrack/store/migrations/versions"


class Version:
    """A version of Keyrack: its source, which runs in the environment of the tests."""

    def __init__(self, source: Path, url: str, home: Path) -> None:
        self._env = command_environment(
            home,
            KEYRACK_DATABASE_URL=url,
            KEYRACK_ALLOW_INSECURE_PROVIDERS="true",
            KEYRACK_LOG_FORMAT="json",
            PYTHONPATH=str(source),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "keyrack", *words]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, check=False, timeout=120)

    @contextmanager
    def serving(self) -> Iterator[tuple[str, ServerProcess]]:
        """Serve; give the address, and the process."""
        port = free_port()
        words = [sys.executable, "-m", "keyrack", "serve", "--port", str(port)]
        with guarded(words, self._env) as server:
            base = f"http://127.0.0.1:{port}"
            wait_for(f"{base}/readyz", server)
            yield base, server


def git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        require_part("history", f"git {words[0]}: {done.stderr.decode()}")
    return done.stdout


@pytest.fixture(scope="module")
def source_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source as it was before the newest migration came: what people run who have not upgraded yet."""
    newest = max(path.name for path in (ROOT / VERSIONS).glob("m0*.py"))
    added = git("log", "--diff-filter=A", "--format=%H", "-1", "--", f"{VERSIONS}/{newest}").decode().strip()
    if not added:
        pytest.skip("the newest migration is not committed yet")
    if not git("log", "--format=%P", "-1", added).strip():
        pytest.skip("a history cut off at the newest migration")
    target = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{added}^", "src"))) as archive:
        archive.extractall(target, filter="data")
    assert not (target / VERSIONS / newest).exists()
    return target / "src"


@pytest.fixture
def source_after(tmp_path: Path) -> Path:
    """This version's source with one migration more, which only adds: what people run who are ahead of us."""
    target = tmp_path / "after"
    package = target / "keyrack"
    package.parent.mkdir()
    subprocess.run(["cp", "-r", ROOT / "src/keyrack", package], check=True)
    (target.parent / "after" / "keyrack/store/migrations/versions/m9000_next.py").write_text(
        NEXT.format(down=schema_revision.known()[-1], more="")
    )
    return target


NEXT = '''"""One column more."""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{down}"
branch_labels = None
depends_on = None
{more}

def upgrade() -> None:
    op.add_column("tenants", sa.Column("of_the_next_version", sa.Text(), nullable=True))
'''


class Load:
    """Callers that read, write and delete, on whichever servers there are; what they were answered."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        self.bases: list[str] = []
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._first = first
        self._ends = asyncio.Event()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        callers = [asyncio.create_task(self._call(n)) for n in range(6)]
        try:
            yield
        finally:
            self._ends.set()
            await asyncio.gather(*callers)

    async def more(self, times: int = 40) -> None:
        """Wait until each server has answered so many more requests."""
        wanted = {base: self.answers[base] + times for base in self.bases}
        while not all(self.answers[base] >= least for base, least in wanted.items()):
            assert not self.faults, self.faults[:3]
            await asyncio.sleep(0.02)

    async def _call(self, number: int) -> None:
        admin = self._first["admin"]
        place = f"/v2/workspaces/{self._first['workspace_id']}"
        contract = relationship("contract", self._first["contract_id"])
        turn = number
        async with httpx2.AsyncClient(auth=(admin["email"], admin["api_key"]), timeout=30) as http:
            while not self._ends.is_set():
                turn += 1
                base = self.bases[turn % len(self.bases)]
                name = document("workspace", {"name": f"Made by {number}"}, contract=contract)
                made = await self._ask(http, base, "POST", "/v2/workspaces", 200, name)
                await self._ask(http, base, "GET", "/v2/users/me", 200)
                await self._ask(http, base, "GET", f"{place}/secrets", 200)
                if made is not None:
                    await self._ask(http, base, "DELETE", f"/v2/workspaces/{made['data']['id']}", 204)

    async def _ask(
        self, http: httpx2.AsyncClient, base: str, method: str, path: str, status: int, body: Any = None
    ) -> Any:
        try:
            answer = await http.request(method, base + path, json=body)
        except httpx2.TransportError as error:
            self.faults.append(f"{method} {path}: {error!r}")
            return None
        if answer.status_code != status:
            self.faults.append(f"{method} {path}: {answer.status_code} {answer.text}")
            return None
        self.answers[base] += 1
        return answer.json() if answer.content else None


async def test_both_versions_serve_while_the_schema_is_upgraded(
    source_before: Path, postgres_url: str, tmp_path: Path
) -> None:
    before = Version(source_before, postgres_url, tmp_path / "home")
    now = Version(ROOT / "src", postgres_url, tmp_path / "home")
    made = await asyncio.to_thread(before.run, "bootstrap", "--email", "root@example.com", "--json")
    assert made.returncode == 0, made.stderr
    load = Load(json.loads(made.stdout))
    with before.serving() as (one, _), before.serving() as (two, _):
        load.bases = [one, two]
        async with load.going_on():
            await load.more()
            upgraded = await asyncio.to_thread(now.run, "db", "upgrade", "--json")
            assert upgraded.returncode == 0, upgraded.stderr
            assert json.loads(upgraded.stdout)["after"] == schema_revision.known()[-1]
            await load.more()
            with now.serving() as (three, _):
                load.bases = [one, two, three]
                await load.more()
                load.bases = [three]
                await load.more()
                load.bases = [one, two]
                await load.more(1)
    assert load.faults == []


async def test_this_version_restarts_on_a_schema_that_the_next_has_added_to(
    source_after: Path, postgres_url: str, tmp_path: Path
) -> None:
    now = Version(ROOT / "src", postgres_url, tmp_path / "home")
    after = Version(source_after, postgres_url, tmp_path / "home")
    made = await asyncio.to_thread(now.run, "bootstrap", "--email", "root@example.com", "--json")
    load = Load(json.loads(made.stdout))
    upgraded = await asyncio.to_thread(after.run, "db", "upgrade", "--json")
    assert json.loads(upgraded.stdout)["after"] == "9000", upgraded.stderr
    with now.serving() as (old, server), after.serving() as (new, _):
        load.bases = [old, new]
        async with load.going_on():
            await load.more()
        assert re.search(r"schema newer than this program.*9000|9000.*schema newer", server.log())
    assert load.faults == []


async def test_it_does_not_start_where_the_next_has_taken_something_away(
    source_after: Path, postgres_url: str, tmp_path: Path
) -> None:
    migration = source_after / "keyrack/store/migrations/versions/m9000_next.py"
    migration.write_text(NEXT.format(down=schema_revision.known()[-1], more='\noldest_program = "9000"\n'))
    now = Version(ROOT / "src", postgres_url, tmp_path / "home")
    await asyncio.to_thread(now.run, "bootstrap", "--email", "root@example.com")
    await asyncio.to_thread(Version(source_after, postgres_url, tmp_path / "home").run, "db", "upgrade")
    refused = await asyncio.to_thread(now.run, "serve", "--port", "0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "newer Keyrack" in refused.stderr


def wait_until_it_waits(server: PostgresServer, database: str) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'"
    wait_until(lambda: server.sql(waiting, database) != "0")


async def test_an_upgrade_gives_way_to_who_uses_a_table_and_comes_in_afterwards(
    source_after: Path, postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    database = postgres_url.rpartition("/")[2]
    now = Version(ROOT / "src", postgres_url, tmp_path / "home")
    made = await asyncio.to_thread(now.run, "bootstrap", "--email", "root@example.com", "--json")
    admin = json.loads(made.stdout)["admin"]
    holder = await asyncpg.connect(postgres_url)
    with now.serving() as (base, _):
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT count(*) FROM tenants")  # what is read cannot be altered meanwhile
        upgrade = asyncio.create_task(
            asyncio.to_thread(Version(source_after, postgres_url, tmp_path / "home").run, "db", "upgrade", "--json")
        )
        await asyncio.to_thread(wait_until_it_waits, postgres_server, database)
        async with httpx2.AsyncClient(auth=(admin["email"], admin["api_key"]), timeout=60) as http:
            answer = await http.get(f"{base}/v2/tenants/{json.loads(made.stdout)['tenant_id']}")
            assert answer.status_code == 200, "it is answered while the other transaction still reads"
        assert not upgrade.done()
        await transaction.rollback()
        done = await upgrade
        assert json.loads(done.stdout)["after"] == "9000", done.stderr
        await holder.close()


async def test_an_upgrade_touches_no_guard_of_keys_that_is_as_it_should_be(postgres_url: str, tmp_path: Path) -> None:
    now = Version(ROOT / "src", postgres_url, tmp_path / "home")
    ours = "SELECT oid, proname, prosrc FROM pg_proc WHERE proname LIKE 'data_key_guard_%'"
    assert (await asyncio.to_thread(now.run, "db", "upgrade")).returncode == 0
    looker = await asyncpg.connect(postgres_url)

    async def guards() -> dict[str, Any]:
        return {row["proname"]: tuple(row) for row in await looker.fetch(ours)}

    before = await guards()
    assert len(before) > 10
    await looker.execute("DROP TRIGGER data_key_guard_credentials ON credentials")
    await looker.execute("DROP FUNCTION data_key_guard_teams() CASCADE")
    await looker.execute("CREATE FUNCTION data_key_guard_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
    assert (await asyncio.to_thread(now.run, "db", "upgrade")).returncode == 0
    after = await guards()
    assert {name: body for name, (_, _, body) in after.items()} == {name: body for name, (_, _, body) in before.items()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"data_key_guard_credentials", "data_key_guard_teams"}
    triggers = await looker.fetch("SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'data_key_guard_%'")
    assert {row["tgname"] for row in triggers} == after.keys()
    await looker.close()
