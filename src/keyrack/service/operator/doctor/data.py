"""Examines the database and what stands in it: schema, clock, key, workers, what waits, what ends."""

import time
from collections.abc import Iterator, Mapping, Sequence

from keyrack import __version__
from keyrack.clock import Clock, epoch_ms
from keyrack.errors import DatabaseUnavailable, KeyrackError, StateConflict, WrongKey
from keyrack.model.identity import PrincipalKind
from keyrack.model.operations import RunningProcess
from keyrack.service.operator.doctor.findings import Finding, error, ok, warning
from keyrack.service.operator.installation import InstallationSetup
from keyrack.settings import PREFIX
from keyrack.store.audit_across_tenants import AuditAcrossTenants
from keyrack.store.core.store import Store
from keyrack.store.data_key_list import DataKeyList
from keyrack.store.expiring_clients import EndingSecrets
from keyrack.store.processes import Processes
from keyrack.store.queue_stats import QueueStats, queue_stats
from keyrack.store.server_facts import ServerFacts, server_facts

_OLDEST_POSTGRESQL = 14
_SLOW_MS, _SKEW_MS, _LARGE_SKEW_MS = 100, 2_000, 30_000
_SILENT_SECONDS = 20.0
_LATE_SECONDS, _VERY_LATE_SECONDS = 30.0, 120.0
_FEW_CONNECTIONS = 5
_EVENTS = 200
_LEAST_EVENTS = 20


async def database_findings(store: Store, clock: Clock) -> list[Finding]:
    """Examine the server: whether it can be reached and written, how far away it is, and its clock.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    async with store.installation() as unit:
        await server_facts(unit)  # the first one connects
        began, before = time.perf_counter(), epoch_ms(clock())
        facts = await server_facts(unit)
        took_ms = (time.perf_counter() - began) * 1000
    return [*_server(facts, took_ms), *_clock(facts, before, took_ms)]


def _server(facts: ServerFacts, took_ms: float) -> Iterator[Finding]:
    where = f"{PREFIX}DATABASE_URL"
    seen = f"{facts.name} {facts.version} answers in {took_ms:.1f} ms."
    major = facts.version.partition(".")[0]
    if facts.standby:
        yield error("database", f"{seen} It is a standby and cannot be written.", "Name the primary.", where)
    elif facts.name == "PostgreSQL" and major.isdigit() and int(major) < _OLDEST_POSTGRESQL:
        yield warning("database", f"{seen} Its version gets no more fixes.", "Move to a newer one.", where)
    elif took_ms > _SLOW_MS:
        change = "Bring Keyrack and the database closer together: each refresh asks it several times."
        yield warning("database", seen, change, where)
    else:
        yield ok("database", seen)
    if facts.connections_left is not None and facts.connections_left < _FEW_CONNECTIONS:
        change = f"Raise max_connections there, or lower {PREFIX}DATABASE_POOL_SIZE."
        yield warning("connections", f"It takes {facts.connections_left} more connections.", change, where)


def _clock(facts: ServerFacts, before: int, took_ms: float) -> Iterator[Finding]:
    if facts.now_ms is None:
        yield ok("clock", "The database has the clock of this machine.")
        return
    skew = abs(facts.now_ms - before - took_ms / 2)
    seen = f"The clocks of this machine and the database are {skew / 1000:.1f} s apart."
    change = "Let both follow a time server (NTP): expiry is judged by this machine's clock."
    if skew > _LARGE_SKEW_MS:
        yield error("clock", seen, change)
    elif skew > _SKEW_MS:
        yield warning("clock", seen, change)
    else:
        yield ok("clock", seen)


async def key_findings(store: Store, clock: Clock) -> list[Finding]:
    """Examine whether the key at hand is the one that all is sealed with."""
    where = f"{PREFIX}KEY or {PREFIX}KEY_FILE"
    try:
        await InstallationSetup(store, clock).verify_key()
    except StateConflict as fault:
        return [error("key", f"{fault.for_operators[0]}.", "keyrack bootstrap", f"{PREFIX}DATABASE_URL")]
    except WrongKey:
        change = "Put back the key that belongs to this database; make no new one."
        return [error("key", "The key is not the one of this database.", change, where)]
    current = store.keyring.kek_id
    async with store.installation() as unit:
        versions = await DataKeyList(unit).versions()
    others = sum(each.data_keys for each in versions if each.id != current)
    if others:
        seen = f"{others} data keys are kept under another key than the current one."
        return [warning("key", seen, "Keep the other keys where they are until nothing needs them.", where)]
    return [ok("key", "The key opens what is stored, and all data keys are kept under it.")]


async def work_findings(store: Store) -> list[Finding]:
    """Examine whether somebody does the background's work, and is in time."""
    async with store.installation() as unit:
        processes = await Processes(unit).list()
        load = await queue_stats(unit)
        ending = await EndingSecrets(unit).count()
    alive = [each for each in processes if each.silent_seconds < _SILENT_SECONDS]
    return [*_workers(alive, load), *_versions(alive), *_lag(load), *_ends(ending)]


def _workers(alive: Sequence[RunningProcess], load: QueueStats) -> Iterator[Finding]:
    workers = [each for each in alive if "worker" in each.roles]
    if workers:
        yield ok("worker", f"{len(workers)} of {len(alive)} processes work in the background.")
        return
    change = "Run keyrack worker, or keyrack serve without --no-worker."
    seen = "No process works in the background: nothing is refreshed unless somebody reads it, no webhook is sent."
    yield error("worker", seen, change) if load.due or alive else warning("worker", seen, change)


def _versions(alive: Sequence[RunningProcess]) -> Iterator[Finding]:
    versions = sorted({each.version for each in alive} | {__version__})
    if len(versions) > 1:
        seen = f"Processes and this command have different versions: {', '.join(versions)}."
        yield warning("version", seen, "Finish the upgrade.")


def _lag(load: QueueStats) -> Iterator[Finding]:
    seen = f"{load.due} secrets are due, the longest for {load.oldest_due_seconds:.0f} s."
    change = "Run more workers; the page KeyrackRefreshesLate in docs/alerts.md says what else to look at."
    if load.oldest_due_seconds > _VERY_LATE_SECONDS:
        yield error("lag", seen, change)
    elif load.oldest_due_seconds > _LATE_SECONDS:
        yield warning("lag", seen, change)
    else:
        yield ok("lag", seen)


def _ends(counts: Mapping[int, int]) -> Iterator[Finding]:
    ended, soon = counts.get(0, 0), counts.get(30, 0) - counts.get(0, 0)
    change = "keyrack grants ending lists what ends with them; set new secrets in time."
    if ended:
        yield error("client_secrets", f"The secrets of {ended} clients have ended.", change)
    if soon:
        yield warning("client_secrets", f"The secrets of {soon} clients end within 30 days.", change)
    if not ended and not soon:
        yield ok("client_secrets", "No client's secret is known to end within 30 days.")


async def proxy_findings(store: Store, trusted_proxies: str) -> list[Finding]:
    """Examine whether all callers seem to have one address: that of a proxy nobody named."""
    async with store.installation() as unit:
        events = await AuditAcrossTenants(unit).newest(None, limit=_EVENTS)
    seen_from = [
        each.event.address
        for each in events
        if each.event.address and each.event.actor_kind is not PrincipalKind.system  # commands come from no network
    ]
    if len(seen_from) < _LEAST_EVENTS:
        return []
    addresses = set(seen_from)
    if len(addresses) == 1 and not trusted_proxies:
        (only,) = addresses
        seen = f"The last {len(seen_from)} changes all came from {only}, as from a proxy that is not named."
        change = "If it is one, name it, and let it set X-Forwarded-For: else all callers share its limits."
        return [warning("proxy", seen, change, f"{PREFIX}TRUSTED_PROXIES")]
    return [ok("proxy", f"The last {len(seen_from)} changes came from {len(addresses)} addresses.")]


def unreachable(fault: KeyrackError) -> Finding:
    """Say that the database cannot be examined."""
    told = fault.for_operators[0] if isinstance(fault, DatabaseUnavailable) and fault.for_operators else str(fault)
    return error("database", told, "See to the database, or correct the setting.", f"{PREFIX}DATABASE_URL")
