"""Builds what counts for the audit logs, chains them, exports and sends them, and removes what is old."""

from dataclasses import dataclass

import structlog

from keyrack.clock import Clock
from keyrack.service.audit.audit_retention import AuditRetention
from keyrack.service.audit.audit_sink import AuditSink
from keyrack.service.audit.chain_export import ChainExport
from keyrack.service.audit.chain_state import ChainStates
from keyrack.service.audit.chainer import Chainer
from keyrack.service.audit.counted_acts import AuditCounter, AuditHours
from keyrack.service.audit.otlp_logs import OtlpLogs
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.settings import Settings
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.telemetry import NO_COLLECTOR, Signal, switch

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuditParts:
    """What the audit logs need beside the use cases that write them."""

    counter: AuditCounter
    hours: AuditHours
    chainer: Chainer
    retention: AuditRetention
    export: ChainExport
    states: ChainStates
    sink: AuditSink | None
    """None where entries are sent nowhere."""


def build_audit(store: Store, settings: Settings, now: Clock) -> AuditParts:
    """Build it on a store."""
    keys, hours = SigningKeys(store), AuditHours(store)
    chainer = Chainer(store, keys)
    return AuditParts(
        counter=AuditCounter(store, now),
        hours=hours,
        chainer=chainer,
        retention=AuditRetention(store, keys, settings.audit_retention_days),
        export=ChainExport(store, keys, chainer, hours),
        states=ChainStates(store, keys),
        sink=_sink(store, settings),
    )


def _sink(store: Store, settings: Settings) -> AuditSink | None:
    if not settings.audit_otlp:
        return None
    found = switch(Signal.logs)
    if not found.on:
        log.warning("the audit logs are not sent", why=found.why_not or NO_COLLECTOR)
        return None
    try:
        return AuditSink(store, OtlpLogs(node_id()))
    except Exception as error:  # noqa: BLE001 - a certificate's file, a header: no reason not to start
        why = "a variable of OpenTelemetry cannot be used"
        log.warning("the audit logs are not sent", why=why, error=type(error).__name__)
        return None
