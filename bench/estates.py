"""The servers that are measured, each with the same things stored: Keyrack by its API, and its peers."""

import base64
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench import contents
from bench.peers import openbao
from bench.side_by_side import Target
from bench.stage import SQLITE, Caller, Stage
from support.keyrack_processes import Installation
from support.parts import INSTALLED_PARTS
from support.process import free_port, guarded, wait_for

ROOT = Path(__file__).parents[1]
_FILL_SECONDS = 120.0
USUAL, BARE, OPENBAO = "usual build", "bare", "OpenBao"


@dataclass(frozen=True, slots=True)
class Estate:
    """What a server has stored: paths, and what signs in.

    Attributes:
        secrets, oauth_clients: the lists.
        spare_components: ids of components without an OAuth client.
    """

    user_name: str
    api_key: str
    credential: str
    oauth_client: str
    auth_client: str
    flow: str
    secret: str
    secrets: str
    oauth_clients: str
    spare_components: Sequence[str] = ()

    @property
    def headers(self) -> str:
        """Those of each request, as lines with their ends."""
        signed = base64.b64encode(f"{self.user_name}:{self.api_key}".encode()).decode()
        return f"host: bench\r\nauthorization: Basic {signed}\r\n"

    @property
    def page_of_secrets(self) -> str:
        """All secrets on one page."""
        return f"{self.secrets}?page%5Bsize%5D={contents.SECRETS}"


Server = tuple[Target, Estate]


@cache
def keyrack(stage: Stage, database: str, workers: int = 1) -> Server:
    """Return Keyrack with an estate; the same one for every scenario of a run."""
    made = stage.installation(database, workers)
    estate = estate_of(made)
    name = "Keyrack" if workers == 1 else f"Keyrack, {workers} workers"
    return Target(name, int(made.base.rpartition(":")[2]), made.pid, estate.headers), estate


@cache
def usual(stage: Stage, database: str) -> Server | None:
    """Return the usual build with an estate on the same kind of database; None where it is not installed."""
    if importlib.util.find_spec("fastapi") is None:
        stage.leave_out(USUAL, _why_not_installed("usual"))
        return None
    url = f"sqlite:///{stage.folder}/usual.sqlite3" if database == SQLITE else stage.postgres_url()
    command = [sys.executable, "-m", "bench.peers.usual"]
    filled = subprocess.run(
        [*command, "fill", url], capture_output=True, text=True, check=False, cwd=ROOT, timeout=_FILL_SECONDS
    )
    if filled.returncode != 0:
        raise RuntimeError(f"the usual build: {filled.stderr}")
    estate = Estate(**json.loads(filled.stdout))
    port = free_port()
    server = stage.keep(guarded([*command, "serve", url, str(port)], {"PYTHONPATH": str(ROOT)}))
    wait_for(f"http://127.0.0.1:{port}/healthz", server)
    return Target(USUAL, port, server.ready["pid"], estate.headers), estate


@cache
def bao(stage: Stage) -> tuple[Target, str] | None:
    """Return OpenBao and the path of its secret; None where it is not installed."""
    program = openbao.find_program()
    if program is None:
        stage.leave_out(OPENBAO, _why_not_installed("openbao"))
        return None
    made = stage.keep(openbao.serving(program, contents.SECRET))
    return Target(OPENBAO, made.port, made.pid, f"host: bench\r\nx-vault-token: {made.token}\r\n"), made.path


@contextmanager
def bare(stage: Stage, database: str, path: str) -> Iterator[Target]:
    """Serve the bytes that Keyrack answers at a path, and nothing else, until the block ends."""
    like, _ = keyrack(stage, database)
    body = Caller(stage.installation(database)).read(path).content
    port, content, plain = free_port(), stage.folder / "bare-body", path.partition("?")[0]
    content.write_bytes(body)
    argv = [sys.executable, "-m", "bench.peers.bare", str(port), plain, str(content)]
    with guarded(argv, {"PYTHONPATH": str(ROOT)}) as server:
        wait_for(f"http://127.0.0.1:{port}{plain}", server)
        yield Target(BARE, port, server.ready["pid"], like.headers)


def add_spare_components(made: Installation, count: int) -> Sequence[str]:
    """Create components without an OAuth client in Keyrack and return their ids."""
    caller = Caller(made)
    team = caller.ids["team_id"]
    return [caller.create("/v2/components", "component", {"name": f"spare-{n}"}, team=team) for n in range(count)]


def estate_of(made: Installation) -> Estate:
    """Store over the API what is read, and return it."""
    with closing(Caller(made)) as caller:
        return _stored_over_api(made, caller)


def _stored_over_api(made: Installation, caller: Caller) -> Estate:
    ids, first = caller.ids, made.first["admin"]
    workspace, team = ids["workspace_id"], ids["team_id"]
    component, used = (
        caller.create("/v2/components", "component", {"name": name}, team=team) for name in ("measured", "used")
    )
    for each in (component, used):
        caller.create(f"/v2/components/{each}/versions", "version", {"descriptor": contents.DESCRIPTOR})
    clients = f"/v2/tenants/{ids['tenant_id']}/oauth-clients"
    client = caller.create(clients, "oauth-client", contents.PAIR, component=component)
    attributes = {"name": "Measured", "keys": contents.KEYS}
    credential = caller.create("/v2/credentials", "credential", attributes, component=component, workspace=workspace)
    attributes = {"name": "Measured", "type": "oauth2", "credentials": contents.AUTH_CLIENT}
    auth_client = caller.create(
        "/v2/auth-clients", "auth-client", attributes, workspace=workspace, components=[component]
    )
    secrets = f"/v2/workspaces/{workspace}/secrets"
    stored = [
        caller.create(
            secrets, "auth-secret", {"name": f"Secret {n}", "credentials": contents.SECRET}, auth_client=auth_client
        )
        for n in range(contents.SECRETS)
    ]
    graph = contents.graph("main/used:run")
    attributes = {"name": "Measured", "type": "ordinary", "default_mapper_type": "jsonata", "graph": graph}
    flow = caller.create("/v2/flows", "flow", attributes, workspace=workspace)
    return Estate(
        user_name=first["email"],
        api_key=first["api_key"],
        credential=f"/v2/credentials/{credential}",
        oauth_client=f"{clients}/{client}",
        auth_client=f"/v2/auth-clients/{auth_client}",
        flow=f"/v2/flows/{flow}",
        secret=f"{secrets}/{stored[0]}",
        secrets=secrets,
        oauth_clients=clients,
    )


def _why_not_installed(part: str) -> str:
    noted = INSTALLED_PARTS / f"missing-{part}"
    return (noted.read_text().strip() if noted.exists() else "") or "not installed; `make bench` installs it"
