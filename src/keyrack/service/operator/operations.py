"""Puts together what the operator watches in the console."""

from dataclasses import dataclass

from keyrack.clock import Clock
from keyrack.service.authz.access import Access
from keyrack.service.operator.grant_overview import GrantOverview
from keyrack.service.operator.key_versions import KeyVersions
from keyrack.service.operator.process_overview import ProcessOverview
from keyrack.service.operator.provider_health import ProviderHealth
from keyrack.service.operator.refresh_history import RefreshHistory
from keyrack.service.operator.refresh_queue import RefreshQueue
from keyrack.service.operator.rule_overview import RuleOverview
from keyrack.service.operator.tenant_overview import TenantOverview
from keyrack.service.operator.tenant_reports import TenantReports
from keyrack.service.secrets.grant_reports import GrantReports
from keyrack.store.core.store import Store


@dataclass(frozen=True, slots=True)
class Operations:
    """Use cases of a service account that watches the installation. None is audited: they disclose no secret."""

    grants: GrantOverview
    providers: ProviderHealth
    history: RefreshHistory
    queue: RefreshQueue
    processes: ProcessOverview
    keys: KeyVersions
    tenants: TenantOverview
    rules: RuleOverview
    reports: TenantReports


def build_operations(store: Store, access: Access, clock: Clock) -> Operations:
    """Put them together."""
    grants = GrantOverview(store, access, clock)
    return Operations(
        grants=grants,
        providers=ProviderHealth(access, grants, clock),
        history=RefreshHistory(access, clock),
        queue=RefreshQueue(access, clock),
        processes=ProcessOverview(access),
        keys=KeyVersions(store, access),
        tenants=TenantOverview(access),
        rules=RuleOverview(store, access, grants, clock),
        reports=TenantReports(access, GrantReports(access)),
    )
