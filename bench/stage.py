"""What scenarios measure on: running installations on each database, and the plan of a run."""

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from support.keyrack_processes import Installation, installation
from support.postgres import PostgresServer, find_package

T = TypeVar("T")

SQLITE, POSTGRESQL = "sqlite", "postgresql"
DATABASES = (SQLITE, POSTGRESQL)
OUT_OF_REACH = dict.fromkeys(("rate_limit", "rate_limit_tenant", "rate_limit_address"), "1000000000")
"""Limits of rates that count, and that no benchmark meets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure.

    Attributes:
        seconds: length of one run.
        warm_up: seconds before each run that are not measured.
        runs: runs of each kind; medians are reported.
        connections: how many clients ask at the same time, one measurement each; none: as the scenario has it.
        databases: where data lives.
    """

    seconds: float = 1.0
    warm_up: float = 0.25
    runs: int = 5
    connections: tuple[int, ...] = ()
    databases: tuple[str, ...] = DATABASES

    @property
    def database(self) -> str:
        """Where a scenario measures that takes one database: PostgreSQL, unless it was not asked for."""
        return POSTGRESQL if POSTGRESQL in self.databases else self.databases[0]


class Stage:
    """Starts what scenarios ask for, once, and ends it with the run."""

    def __init__(self, plan: Plan, say: Callable[[str], None], running: ExitStack) -> None:
        self.plan = plan
        self.say = say
        self.left_out: dict[str, str] = {}
        self._running = running
        self._installations: dict[tuple[str, int], Installation] = {}
        self._postgres: PostgresServer | None = None
        self.folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-bench-")))

    def installation(self, database: str, workers: int = 1) -> Installation:
        """Return Keyrack as an operator starts it, on this database, with all settings at their defaults but one kind.

        One caller asks more often than the default limits of rates let it: they count, and are out of reach.

        Args:
            database: where its data lives.
            workers: server processes.
        """
        if (database, workers) not in self._installations:
            home = self.folder / f"{database}-{workers}"
            more = {} if database == SQLITE else {"database_url": self.postgres_url()}
            made = self._running.enter_context(installation(home, workers=workers, **OUT_OF_REACH, **more))
            self._installations[database, workers] = made
        return self._installations[database, workers]

    def leave_out(self, peer: str, reason: str) -> None:
        """Note that a server is not measured, and why."""
        self.left_out[peer] = reason
        self.say(f"{peer} is left out: {reason}")

    def keep(self, made: AbstractContextManager[T]) -> T:
        """Enter something that ends with the run."""
        return self._running.enter_context(made)

    def postgres_url(self) -> str:
        """Return the address of an empty database on a PostgreSQL that keeps what was committed.

        Raises:
            RuntimeError: there is none on this machine.
        """
        name, server = f"bench_{secrets.token_hex(4)}", self.postgres
        server.sql(f"CREATE DATABASE {name}")
        return server.url(name)

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL of all of it, started when it is first needed.

        Raises:
            RuntimeError: there is none on this machine.
        """
        if self._postgres is None:
            package = find_package()
            if package is None:
                raise RuntimeError("PostgreSQL is not installed; choose --database sqlite")
            self._postgres = PostgresServer(package, durable=True)
            self._running.callback(self._postgres.close)
        return self._postgres


class Caller:
    """The first admin of an installation, speaking its API to prepare what is measured."""

    def __init__(self, made: Installation) -> None:
        self.ids: Mapping[str, str] = {name: made.first[name] for name in ("tenant_id", "workspace_id", "team_id")}
        self.auth = httpx2.BasicAuth(made.first["admin"]["email"], made.first["admin"]["api_key"])
        self._http = httpx2.Client(base_url=made.base, auth=self.auth)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def create(self, path: str, resource_type: str, attributes: Mapping[str, Any], **related: str | list[str]) -> str:
        """Create a resource and return its id; `related` names the related resources by relationship."""
        relationships = {name: {"data": _linkage(name, value)} for name, value in related.items()}
        data = {"type": resource_type, "attributes": attributes, "relationships": relationships}
        answer = self._http.post(path, json={"data": data})
        if answer.status_code != httpx2.codes.CREATED:
            raise RuntimeError(f"POST {path} answered {answer.status_code}: {answer.text}")
        made: str = answer.json()["data"]["id"]
        return made

    def read(self, path: str) -> httpx2.Response:
        """Read a resource."""
        answer = self._http.get(path)
        if answer.status_code != httpx2.codes.OK:
            raise RuntimeError(f"GET {path} answered {answer.status_code}: {answer.text}")
        return answer


def _linkage(name: str, value: str | list[str]) -> Any:
    if isinstance(value, list):
        return [_linkage(name.removesuffix("s"), each) for each in value]
    return {"id": value, "type": name.replace("_", "-")}


@contextmanager
def stage(plan: Plan, say: Callable[[str], None]) -> Iterator[Stage]:
    """Open a stage; everything it started ends with the block."""
    with ExitStack() as running:
        yield Stage(plan, say, running)
