"""Prometheus metrics of Keyrack; each is described in docs/metrics.md.

The Prometheus client is known here and in `keyrack.exposition` alone. Labels never hold the id or name of a tenant,
secret, user or client, nor a path or query as it was asked for; the number of their values is bounded. With several
server processes, `PROMETHEUS_MULTIPROC_DIR` names a folder that they share and each answers for all; it must be set
before this module is first imported, because the client library decides then.
"""

from collections.abc import Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from keyrack.fair_share import Places

NO_ROUTE = "none"
OTHER = "other"
_MOST_ORIGINS = 50

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATE = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)

REGISTRY = CollectorRegistry()
"""What this process tells."""
_requests = Counter(
    "keyrack_requests", "HTTP requests, by route template.", ("method", "route", "status"), registry=REGISTRY
)
_request_seconds = Histogram(
    "keyrack_request_seconds", "Request duration in seconds.", ("method", "route"), registry=REGISTRY, buckets=_FAST
)
_refreshes = Counter(
    "keyrack_refreshes", "Completed refreshes, by provider and outcome.", ("origin", "outcome"), registry=REGISTRY
)
_refresh_seconds = Histogram(
    "keyrack_refresh_seconds",
    "Refresh duration in seconds, from queueing to the stored outcome.",
    registry=REGISTRY,
    buckets=_SLOW,
)
_refresh_lag = Histogram(
    "keyrack_refresh_lag_seconds",
    "For how long a secret had been due when a worker began its refresh, in seconds.",
    registry=REGISTRY,
    buckets=_LATE,
)
_lease_wait = Histogram(
    "keyrack_lease_wait_seconds",
    "How long a caller waited for a refresh that somebody else had begun, in seconds.",
    ("held_by",),
    registry=REGISTRY,
    buckets=_SLOW,
)
_interrupted = Counter(
    "keyrack_refreshes_interrupted", "Grants lost because the provider's answer never arrived.", registry=REGISTRY
)
_secret_rotations = Counter(
    "keyrack_secret_rotations",
    "Steps of rotations of clients' secrets, by where they led.",
    ("state",),
    registry=REGISTRY,
)
_contained_grants = Counter(
    "keyrack_contained_grants",
    "Grants dealt with in containments, by what is known of them.",
    ("status",),
    registry=REGISTRY,
)
_provider_calls = Counter(
    "keyrack_provider_calls",
    "Token requests to authorization servers, by outcome.",
    ("origin", "outcome"),
    registry=REGISTRY,
)
_provider_seconds = Histogram(
    "keyrack_provider_call_seconds", "Token request duration in seconds.", ("origin",), registry=REGISTRY, buckets=_SLOW
)
_circuit = Gauge(
    "keyrack_provider_circuit",
    "Circuit breaker state: 0 closed, 1 open for some tenants, 2 calls of several tenants fail; the worst process.",
    ("origin",),
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
_running = Gauge(
    "keyrack_provider_calls_running",
    "Refreshes in progress at a provider.",
    ("origin",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
_in_memory = Gauge(
    "keyrack_answers_in_memory",
    "Provider answers in memory only: neither the database nor the spool could store them.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
_connections = Gauge(
    "keyrack_database_connections", "Database connections in use.", registry=REGISTRY, multiprocess_mode="livesum"
)
_connections_most = Gauge(
    "keyrack_database_connections_most",
    "Maximum number of database connections.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
_database_wait = Histogram(
    "keyrack_database_wait_seconds",
    "How long work waited for its turn at the database, in seconds.",
    ("turn",),
    registry=REGISTRY,
    buckets=_FAST,
)
_http_connections = Gauge(
    "keyrack_http_connections", "Open connections of callers.", registry=REGISTRY, multiprocess_mode="livesum"
)
_http_connections_ended = Counter(
    "keyrack_http_connections_ended", "Connections closed by a limit, by reason.", ("reason",), registry=REGISTRY
)
_claims = Counter("keyrack_worker_claims", "Due secrets claimed by workers.", registry=REGISTRY)
_deliveries = Counter(
    "keyrack_webhook_deliveries", "Webhook delivery attempts, by outcome.", ("outcome",), registry=REGISTRY
)

_mails = Counter("keyrack_mails", "Attempts to send mail, by outcome.", ("outcome",), registry=REGISTRY)
_wrong_keys = Counter(
    "keyrack_wrong_keys", "Requests with a wrong API key, by outcome.", ("outcome",), registry=REGISTRY
)
_throttled = Counter("keyrack_throttled", "Requests over a rate limit, by limit.", ("rate",), registry=REGISTRY)
_over_quota = Counter("keyrack_quota_exceeded", "Requests refused by a quota.", ("quota",), registry=REGISTRY)
_quota_used = Gauge(
    "keyrack_quota_used_ratio",
    "Used share of a quota at the last count, for the tenant counted last; 1 is full.",
    ("quota",),
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
_unreadable = Counter(
    "keyrack_unreadable_values", "Stored values that could not be decrypted for a list.", registry=REGISTRY
)
_key_service_calls = Counter(
    "keyrack_key_service_calls", "Calls to key services, by outcome.", ("service", "call", "outcome"), registry=REGISTRY
)
_key_sources_up = Gauge(
    "keyrack_key_sources_up",
    "1 if the key sources could be used at the last look, else 0; the worst process.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
_key_service_seconds = Histogram(
    "keyrack_key_service_call_seconds", "Key service call duration in seconds.", ("service",), registry=REGISTRY,
    buckets=_SLOW,
)  # fmt: skip

for _outcome in ("sent", "postponed", "failed", "obsolete"):  # from 0 on, or the first would not count as an increase
    _mails.labels(_outcome)
for _outcome in ("delivered", "failed"):
    _deliveries.labels(_outcome)


def request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request.

    Args:
        method: one of the API's, or `OTHER`.
        route: the route's template, or `NO_ROUTE`.
        status: of the answer; 0 when there was none.
        seconds: until the answer was sent.
    """
    counted, measured = _of_request(method, route, status)
    counted.inc()
    measured.observe(seconds)


def refreshed(outcome: str, origin: str, tenant_id: str, *, interrupted: bool = False) -> None:
    """Count a refresh that ended.

    Args:
        outcome: landed, refused, failed, ambiguous or unsent.
        origin: scheme, host and port of the provider.
        tenant_id: whose grant it is; see `_Origins`.
        interrupted: that ended the grant.
    """
    _refreshes.labels(_origins.label(origin, tenant_id), outcome).inc()
    if interrupted:
        _interrupted.inc()


def secret_rotated(state: str) -> None:
    """Count a step of the rotation of a client's secret: which secret is used now, or that there is one left."""
    _secret_rotations.labels(state).inc()


def grant_contained(status: str) -> None:
    """Count a grant that was revoked or exchanged because of an incident, by whether it is dead."""
    _contained_grants.labels(status).inc()


def refresh_took(seconds: float) -> None:
    """Note how long a refresh took, waiting for a turn included."""
    _refresh_seconds.observe(seconds)


def refresh_began(late: float) -> None:
    """Note for how many seconds a secret had been due when a worker began to refresh it."""
    _refresh_lag.observe(max(0.0, late))


def lease_waited(seconds: float, *, here: bool) -> None:
    """Note how long somebody waited for a refresh that another caller had begun.

    Args:
        seconds: it took, whatever came of it.
        here: in this process; else another process held the lease.
    """
    _lease_wait.labels("this_process" if here else "another_process").observe(seconds)


def database_waited(seconds: float, *, to_write: bool = False) -> None:
    """Note how long a unit of work waited for its turn.

    Args:
        seconds: it took, or until it was given up.
        to_write: it waited for the one place of who writes, which SQLite has; else for a connection.
    """
    _database_wait.labels("write" if to_write else "connection").observe(seconds)


def provider_called(origin: str, tenant_id: str, outcome: str, seconds: float) -> None:
    """Count a token request.

    Args:
        origin: scheme, host and port that were asked.
        tenant_id: for whom; see `_Origins`.
        outcome: `answered`, or one of the reasons why there is no answer.
        seconds: it took.
    """
    label = _origins.label(origin, tenant_id)
    _provider_calls.labels(label, outcome).inc()
    _provider_seconds.labels(label).observe(seconds)


def claimed(count: int) -> None:
    """Count due secrets that this process's worker claimed."""
    _claims.inc(count)


def unreadable_value() -> None:
    """Count a stored value that cannot be decrypted."""
    _unreadable.inc()


def webhook_attempted(*, delivered: bool) -> None:
    """Count an attempt to deliver an event."""
    _deliveries.labels("delivered" if delivered else "failed").inc()


def mail_attempted(outcome: str) -> None:
    """Count an attempt to send a mail: `sent`, `postponed`, `failed` or `obsolete`."""
    _mails.labels(outcome).inc()


def wrong_key(*, throttled: bool) -> None:
    """Count a request with a wrong API key."""
    _wrong_keys.labels("throttled" if throttled else "refused").inc()


def throttled(rate: str) -> None:
    """Count a request over a rate: `caller`, `tenant`, `address`, `wrong_links`, `wrong_passwords` or `sign_ins`."""
    _throttled.labels(rate).inc()


def key_sources_are(*, usable: bool) -> None:
    """Tell whether this process can use all of its key sources."""
    _key_sources_up.set(usable)


def key_service_called(service: str, call: str, outcome: str, seconds: float) -> None:
    """Count a call to a key service.

    Args:
        service: `aws-kms`, `google-kms`, `vault` or `openbao`.
        call: `wrap` or `unwrap`.
        outcome: `ok`, `wrong_key` or `failed`.
        seconds: it took.
    """
    _key_service_calls.labels(service, call, outcome).inc()
    _key_service_seconds.labels(service).observe(seconds)


def quota_exceeded(quota: str) -> None:
    """Count a request that a quota refused."""
    _over_quota.labels(quota).inc()


def quota_used(quota: str, ratio: float) -> None:
    """Tell how full a quota was at the last count; 1: full."""
    _quota_used.labels(quota).set(ratio)


def providers_are(circuits: Mapping[str, tuple[int, int]]) -> None:
    """Tell how this process stands with providers: by origin, 0 to 2 for the circuit, and calls under way.

    An origin that is not named is well, and no call to it is under way.
    """
    worst: dict[str, int] = dict.fromkeys(_origins.known, 0)
    running: dict[str, int] = dict.fromkeys(_origins.known, 0)
    for origin, (circuit, calls) in circuits.items():
        label = origin if origin in _origins.known else OTHER
        worst[label] = max(circuit, worst.get(label, 0))
        running[label] = calls + running.get(label, 0)
    for label, circuit in worst.items():
        _circuit.labels(label).set(circuit)
        _running.labels(label).set(running[label])


def process_is(*, answers_in_memory: int, connections: int, connections_most: int) -> None:
    """Tell what this process holds."""
    _in_memory.set(answers_in_memory)
    _connections.set(connections)
    _connections_most.set(connections_most)


def connections_are(count: int) -> None:
    """Tell how many connections of callers this process serves."""
    _http_connections.set(count)


def connection_ended(reason: str) -> None:
    """Count a connection that a limit ended.

    Args:
        reason: `silent`, `unread`, `evicted`, or the error code that was answered.
    """
    _http_connections_ended.labels(reason).inc()


class _Origins:
    """Keeps the number of origins that become labels bounded: the first ones have their own, the rest share one.

    Tenants name hosts, and one that names many must not leave the others none: a tenant that is alone gets three
    quarters of them, the next one three quarters of the rest (`keyrack.fair_share`).
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        self._brought = Places(_MOST_ORIGINS)

    def label(self, origin: str, tenant_id: str) -> str:
        if origin in self.known:
            return origin
        if not self._brought.take(tenant_id):
            return OTHER
        self.known.add(origin)
        return origin


_origins = _Origins()


@cache
def _of_request(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Looked up once for each; as few as there are routes and statuses."""
    return _requests.labels(method, route, str(status)), _request_seconds.labels(method, route)
