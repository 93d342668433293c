"""Holds the state of a running simulator in memory."""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from keyrack.clock import Clock, now
from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, StateConflict
from keyrack.simulator.behaviour import ENDPOINTS, TRANSPORT, Behaviour, Endpoint, Overrides, check_overrides
from keyrack.simulator.config import Client, SimulatorConfig, User
from keyrack.simulator.device_book import DeviceBook
from keyrack.simulator.dpop_book import Proofs
from keyrack.simulator.jwt import Signer
from keyrack.simulator.oauth1_book import OAuth1Book
from keyrack.simulator.pending import Pending, Session
from keyrack.simulator.pushed_book import PushedBook
from keyrack.simulator.tokens import Grant, TokenBook

MAX_QUEUED = 1_000
MAX_SESSIONS = 10_000
MAX_PENDING = 10_000
MAX_COUNTERS = 20_000
MAX_ASSERTIONS = 100_000

_NO_FAULTS = {name: getattr(Behaviour(), name) for name in TRANSPORT}


@dataclass(slots=True)
class Queued:
    """Behaviour for the next requests of one endpoint.

    Attributes:
        endpoint: where it applies.
        times: how many requests are left.
        behaviour: the fields that differ.
        client_id: whose requests; None takes anyone's.
    """

    endpoint: Endpoint
    times: int
    behaviour: Overrides
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A client that has registered itself.

    Attributes:
        access_token: with which it manages its registration (RFC 7592).
        metadata: as it was sent.
        secret_expires_at: seconds since 1970; 0: its secret does not end.
    """

    access_token: Secret
    metadata: Any
    secret_expires_at: int


@dataclass(frozen=True, slots=True)
class Call:
    """What is counted: calls of one kind with one outcome.

    Attributes:
        endpoint: which endpoint.
        client_id: the client named in the request; empty if none or unknown.
        grant_type: the grant type at the token endpoint, else empty.
        outcome: `ok`, an OAuth error code, or `fault` for a call cut or refused before it was processed.
    """

    endpoint: Endpoint
    client_id: str
    grant_type: str
    outcome: str = "fault"


class UsedAssertions:
    """Knows which assertions were used (`jti` of RFC 7523 section 3); bounded, the oldest are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: OrderedDict[tuple[str, str], float] = OrderedDict()

    def take(self, client_id: str, jti: str, expires_at: float) -> bool:
        """Note that one is used; False if it was before, or cannot be told from others."""
        if not jti or self._used.get((client_id, jti), 0) > self._clock().timestamp():
            return False
        self._used[client_id, jti] = expires_at
        if len(self._used) > MAX_ASSERTIONS:
            self._used.popitem(last=False)
        return True


class State:
    """A running simulator's memory; `reset` takes it back to its configuration."""

    def __init__(self, config: SimulatorConfig, clock: Clock = now) -> None:
        self.config = config
        self.clock = clock
        self.issuer = config.issuer or ""
        self.signer = Signer()
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened and return to the configuration."""
        self.clients: dict[str, Client] = {client.client_id: client for client in self.config.clients}
        self.book = TokenBook(self.clock, self.config.max_tokens)
        self.proofs = Proofs(self.book.now)
        self.oauth1 = OAuth1Book(self.clock)
        self.devices = DeviceBook(self.clock)
        self.pushed = PushedBook(self.clock)
        self.assertions = UsedAssertions(self.clock)
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.pending: OrderedDict[str, Pending] = OrderedDict()
        self.registered: dict[str, Registered] = {}
        self.queue: list[Queued] = []
        self.counters: Counter[Call] = Counter()
        self.set_defaults(self.config.behaviour)

    def set_defaults(self, behaviour: Overrides) -> None:
        """Set the fields that differ for all clients.

        Raises:
            ValueError: a field does not fit.
        """
        self.defaults = check_overrides(behaviour)
        self._resolved: dict[tuple[str, Endpoint], Behaviour] = {}

    def add_client(self, client: Client) -> None:
        """Register a client.

        Raises:
            AlreadyExists: the client id is taken.
            StateConflict: there are as many clients as are kept.
        """
        if client.client_id in self.clients:
            raise AlreadyExists("there is a client with this client_id")
        if len(self.clients) >= self.config.max_clients:
            raise StateConflict("the simulator keeps no more clients than max_clients")
        self.put_client(client)

    def put_client(self, client: Client) -> None:
        """Replace a client or add it."""
        self.clients[client.client_id] = client
        self._forget(client.client_id)

    def client(self, client_id: str) -> Client:
        """Return a client.

        Raises:
            NotFound: there is none.
        """
        try:
            return self.clients[client_id]
        except KeyError:
            raise NotFound("there is no such client") from None

    def delete_client(self, client_id: str) -> None:
        """Remove a client; its tokens are revoked.

        Raises:
            NotFound: there is none.
        """
        self.client(client_id)
        del self.clients[client_id]
        self._forget(client_id)
        self.book.revoke_client(client_id)

    def user(self, login: str) -> User | None:
        """Find a user by login name."""
        return next((user for user in self.config.users if user.login == login), None)

    def new_session(self) -> str:
        """Start a browser session and return its id."""
        session_id = secrets.token_urlsafe(24)
        self.sessions[session_id] = Session()
        if len(self.sessions) > MAX_SESSIONS:
            self.sessions.popitem(last=False)
        return session_id

    def renew(self, session_id: str, login: str) -> str:
        """Sign a session's user in; return the new id it is known by, so that one planted before is void."""
        session = self.sessions.pop(session_id)
        session.login = login
        renewed = secrets.token_urlsafe(24)
        self.sessions[renewed] = session
        return renewed

    def wait(self, pending: Pending) -> str:
        """Keep an authorization request until its user answers; return the name it waits under."""
        pending_id = secrets.token_urlsafe(16)
        self.pending[pending_id] = pending
        if len(self.pending) > MAX_PENDING:
            self.pending.popitem(last=False)
        return pending_id

    def enqueue(self, queued: Queued) -> None:
        """Choose behaviour for the next requests.

        Raises:
            StateConflict: too many are waiting.
        """
        if len(self.queue) >= MAX_QUEUED:
            raise StateConflict("too many overrides are waiting")
        self.queue.append(queued)

    def behaviour(self, endpoint: Endpoint, client_id: str, sim: Overrides, grant: Grant | None = None) -> Behaviour:
        """Decide how to answer one request; takes one from the queue if one is waiting for it.

        The later wins: the simulator's defaults, the client's behaviour, what the authorization URL chose
        for the grant, the queue, the request's own `sim` parameter.
        """
        base = self._resolved.get((client_id, endpoint)) or self._resolve(client_id, endpoint)
        chosen: dict[str, object] = {}
        if grant is not None and grant.overrides:
            chosen.update(grant.overrides)
        if self.queue:
            chosen.update(self._next(endpoint, client_id))
        if sim:
            chosen.update(sim)
        return msgspec.structs.replace(base, **chosen) if chosen else base

    def count(self, call: Call) -> None:
        """Count a call."""
        if call in self.counters or len(self.counters) < MAX_COUNTERS:
            self.counters[call] += 1

    def calls(self, **wanted: str) -> int:
        """Add up the calls whose fields have the wanted values, as in `calls(grant_type="refresh_token")`."""
        return sum(
            number
            for call, number in self.counters.items()
            if all(getattr(call, name) == value for name, value in wanted.items())
        )

    def _resolve(self, client_id: str, endpoint: Endpoint) -> Behaviour:
        client = self.clients.get(client_id)
        own: Mapping[str, object] = client.behaviour if client else {}
        full = msgspec.convert({**self.defaults, **own}, Behaviour)
        if endpoint not in full.faults_at:
            full = msgspec.structs.replace(full, **_NO_FAULTS)
        if client:
            self._resolved[client_id, endpoint] = full
        return full

    def _forget(self, client_id: str) -> None:
        for endpoint in ENDPOINTS:
            self._resolved.pop((client_id, endpoint), None)

    def _next(self, endpoint: Endpoint, client_id: str) -> Overrides:
        for queued in self.queue:
            if queued.endpoint == endpoint and queued.client_id in {None, client_id}:
                queued.times -= 1
                if queued.times <= 0:
                    self.queue.remove(queued)
                return queued.behaviour
        return {}
