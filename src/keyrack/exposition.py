"""Writes all metrics as Prometheus reads them: those of all processes, and what is true of the whole installation."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from keyrack.metrics import REGISTRY

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4"
"""In UTF-8."""

FACTS: Mapping[str, str] = {
    "keyrack_database_up": "1 if the database answered, else 0.",
    "keyrack_secrets_due": "Secrets due for a refresh, counted up to 10000.",
    "keyrack_secrets_due_oldest_seconds": "Seconds for which the longest overdue secret has been due.",
    "keyrack_attempts_open": "Token requests in progress or not settled yet, counted up to 10000.",
    "keyrack_audit_unchained": "Audit events that have no place in the hash chain yet, counted up to 10000.",
    "keyrack_audit_unchained_oldest_seconds": "Seconds for which the oldest of them has waited.",
    "keyrack_answers_spooled": "Provider answers in the spool, waiting for the database.",
    "keyrack_key_age_seconds": "Age of the oldest key, by kind.",
    "keyrack_data_keys_under_old_keys": "Data keys that another key than the current key-encryption key wraps.",
    "keyrack_client_secrets_ending": "Client secrets that end within so many days, those that have ended included.",
}
"""What is true of the whole installation when the metrics are asked for, and of no process."""

_FACT_LABELS: Mapping[str, str] = {"keyrack_client_secrets_ending": "days", "keyrack_key_age_seconds": "key"}
"""The label of a fact that is several numbers."""

Fact = float | Mapping[str, float]
"""A number, or several by the value of the fact's label."""


def names() -> frozenset[str]:
    """Return the names of all metrics, as Prometheus stores them without the endings of a histogram."""
    return frozenset(
        metric.name + ("_total" if metric.type == "counter" else "") for metric in REGISTRY.collect()
    ) | frozenset(FACTS)


def exposition(facts: Mapping[str, Fact]) -> bytes:
    """Return all metrics, of all processes that share a folder, in the text format 0.0.4.

    Args:
        facts: members of `FACTS` that are known now.
    """
    registry = CollectorRegistry()
    registry.register(_Facts(facts))
    if folder := os.environ.get(SHARED_FOLDER):
        _forget_the_dead(Path(folder))
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library leaves it untyped
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)


def _forget_the_dead(folder: Path) -> None:
    """Drop what processes that are gone last told of their own state; what they counted stays."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            mark_process_dead(int(pid))  # type: ignore[no-untyped-call] # the library leaves it untyped


class _Facts(Collector):
    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        for name, fact in self._facts.items():
            if not isinstance(fact, Mapping):
                yield GaugeMetricFamily(name, FACTS[name], value=fact)
                continue
            family = GaugeMetricFamily(name, FACTS[name], labels=[_FACT_LABELS[name]])
            for label, value in fact.items():
                family.add_metric([label], value)
            yield family
