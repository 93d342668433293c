"""Builds the use cases about grants: read, the hot read too, reported on, checked, revoked and frozen."""

from dataclasses import dataclass

from keyrack.service.containment.containment import Containment
from keyrack.service.containment.grant_actions import GrantActions
from keyrack.service.credentials.credentials import Credentials
from keyrack.service.identity.authentication import Authentication
from keyrack.service.identity.last_use import LastUse
from keyrack.service.identity.principal_cache import PrincipalCache
from keyrack.service.secrets.connection_check import ConnectionChecks
from keyrack.service.secrets.connections import Connections
from keyrack.service.secrets.direct_grants import DirectGrants
from keyrack.service.secrets.dpop_proofs import DPoPProofs
from keyrack.service.secrets.fast_read import FastReads
from keyrack.service.secrets.freeze_watch import FreezeWatch
from keyrack.service.secrets.grant_reports import GrantReports
from keyrack.service.secrets.introspection import Introspection
from keyrack.service.secrets.revocation import Revoker
from keyrack.service.secrets.secrets import Secrets
from keyrack.store.access_changes import KEY_CHANNEL, AccessChanges
from keyrack.store.secret_reader import secret_reader
from keyrack.wiring.shared import Shared


@dataclass(frozen=True)
class SecretServices:
    """The use cases about grants."""

    credentials: Credentials
    secrets: Secrets
    fast_reads: FastReads
    freeze_watch: FreezeWatch
    last_use: LastUse
    dpop_proofs: DPoPProofs
    connections: Connections
    connection_checks: ConnectionChecks
    grant_reports: GrantReports
    revoker: Revoker
    containment: Containment


def build_secrets(shared: Shared, authentication: Authentication) -> SecretServices:
    """Build them; the keyring follows what other processes do with data keys from now on.

    Args:
        shared: what they stand on.
        authentication: says who makes a hot read.
    """
    store, access, provider, now = shared.store, shared.access, shared.provider, shared.now
    insecure, refreshing = shared.allow_insecure, shared.refreshing
    schedule, listener = refreshing.settings.schedule, refreshing.listener
    points = secret_reader(shared.settings, store.keyring)
    store.keyring.follow(AccessChanges(listener, points.version, channel=KEY_CHANNEL, exact=True))
    callers = PrincipalCache(authentication, access, AccessChanges(listener, points.version), now)
    freezes, last_use = FreezeWatch(store), LastUse(store, now)
    direct_grants = DirectGrants(
        store, access, provider, refreshing.limiter, shared.after_connecting, allow_insecure=insecure, clock=now
    )
    introspection = Introspection(provider, allow_insecure=insecure)
    return SecretServices(
        credentials=Credentials(access),
        secrets=Secrets(store, access, refreshing.fresh, direct_grants, schedule, last_use, now),
        fast_reads=FastReads(callers, points, schedule, last_use, shared.audit.counter, freezes, now),
        freeze_watch=freezes,
        last_use=last_use,
        dpop_proofs=DPoPProofs(access, last_use, now, allow_insecure=insecure),
        connections=Connections(access, now),
        connection_checks=ConnectionChecks(store, access, refreshing.fresh, shared.userinfo, introspection),
        grant_reports=GrantReports(access),
        revoker=Revoker(store, provider, timeout=shared.settings.provider_timeout),
        containment=Containment(store, GrantActions(store, provider, refreshing.limiter, refreshing.refresher)),
    )
