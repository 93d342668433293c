"""Builds what counts for the audit logs, chains them, exports them and removes what is old."""

from dataclasses import dataclass

from keyrack.clock import Clock
from keyrack.service.audit.audit_retention import AuditRetention
from keyrack.service.audit.chain_export import ChainExport
from keyrack.service.audit.chain_state import ChainStates
from keyrack.service.audit.chainer import Chainer
from keyrack.service.audit.counted_acts import AuditCounter, AuditHours
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.settings import Settings
from keyrack.store.core.store import Store


@dataclass(frozen=True, slots=True)
class AuditParts:
    """What the audit logs need beside the use cases that write them."""

    counter: AuditCounter
    hours: AuditHours
    chainer: Chainer
    retention: AuditRetention
    export: ChainExport
    states: ChainStates


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
    )
