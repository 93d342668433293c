"""The four kinds of requests that a served Keyrack gets: a hot read, an ordinary read, a write, a forced refresh."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from bench import contents
from bench.estates import Estate, estate_of
from bench.secrets_stored import Stored
from bench.side_by_side import ROOT, Target
from bench.stage import Caller
from support.keyrack_processes import Installation
from support.process import free_port, guarded, wait_for

AT_ONCE = 8
HOT_READ, READ, WRITE, REFRESH = "hot read", "ordinary read", "write", "refresh"


@dataclass(frozen=True, slots=True)
class Kinds:
    """A server with something stored, and what it is asked.

    Attributes:
        target: where the server listens.
        requests: whole requests of each kind, as latin-1 text, as many as `AT_ONCE`. They may be made again and
            again, and get 200. No two that change something are about the same secret: it would be refreshed once for
            both.
        estate: what is stored.
    """

    target: Target
    requests: Mapping[str, Sequence[str]]
    estate: Estate


def kinds_at(made: Installation, token_endpoint: str) -> Kinds:
    """Store what requests of each kind need, over the API.

    Args:
        made: a served installation that allows insecure providers.
        token_endpoint: of the provider that refreshes.
    """
    with closing(Caller(made)) as caller:
        return _stored(made, caller, token_endpoint)


def _stored(made: Installation, caller: Caller, token_endpoint: str) -> Kinds:
    estate = estate_of(made)
    target = Target("Keyrack", int(made.base.rpartition(":")[2]), made.pid, estate.headers)
    endpoints = {"auth_uri": token_endpoint, "token_uri": token_endpoint, "refresh_token_uri": token_endpoint}
    attributes = {"name": "Refreshed", "type": "oauth2", "credentials": {**contents.PAIR, **endpoints}}
    component = caller.create("/v2/components", "component", {"name": "refreshed"}, team=caller.ids["team_id"])
    client = caller.create(
        "/v2/auth-clients", "auth-client", attributes, workspace=caller.ids["workspace_id"], components=[component]
    )
    held = {"name": "Refreshed", "credentials": contents.SECRET}
    held = {"name": "Changed", "credentials": contents.SECRET}
    secrets = [caller.create(estate.secrets, "auth-secret", held, auth_client=client) for _ in range(2 * AT_ONCE)]
    renamed = json.dumps({"data": {"type": "auth-secret", "attributes": {"name": "Renamed"}}})
    requests = {
        HOT_READ: [target.get(estate.secret)] * AT_ONCE,
        READ: [target.get(estate.credential)] * AT_ONCE,
        WRITE: [_sent(target, "PATCH", f"{estate.secrets}/{each}", renamed) for each in secrets[:AT_ONCE]],
        REFRESH: [_sent(target, "POST", f"{estate.secrets}/{each}/refresh", "") for each in secrets[AT_ONCE:]],
    }
    return Kinds(target, requests, estate)


@contextmanager
def served(stored: Stored, *words: str) -> Iterator[Installation]:
    """Serve a set-up database until the block ends; `words` are further options of `keyrack serve`."""
    port = free_port()
    argv = [sys.executable, "-m", "keyrack", "serve", "--port", str(port), *words]
    with guarded(argv, stored.environment) as server:
        wait_for(f"http://127.0.0.1:{port}/readyz", server)
        yield Installation(f"http://127.0.0.1:{port}", stored.first, stored.environment, server)


@contextmanager
def token_endpoint() -> Iterator[str]:
    """Run a provider that answers at once; give its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/token"
    with guarded([sys.executable, "-m", "bench.token_endpoint", str(port), "0"], {"PYTHONPATH": str(ROOT)}) as server:
        wait_for(url, server)
        yield url


def _sent(target: Target, method: str, path: str, body: str) -> str:
    described = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{target.headers}{described}\r\n{body}"
