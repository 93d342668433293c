"""Insists that the operator asks: a service account that may watch the whole installation."""

from keyrack.errors import Forbidden
from keyrack.service.authz.permissions import GET_SECRET
from keyrack.service.authz.scope import Scope

WATCH = "global.metrics.get"
"""Numbers, and what no tenant's: what is due, processes, key versions."""
SEE_GRANTS = GET_SECRET
"""Grants of tenants one by one, as their workspaces' lists need it too."""
SEE_TENANTS = "tenants.tenant.get"
SEE_AUDIT = "tenants.audit.get"


def sees_tenants(scope: Scope) -> bool:
    """Tell whether it is an operator who sees all tenants."""
    return scope.who.tenant_id is None and scope.allows(WATCH) and scope.allows(SEE_TENANTS)


def require_operator(scope: Scope, *more: str) -> None:
    """Insist on a service account with `WATCH` and further permissions; a tenant's user never is one.

    Args:
        scope: of the installation.
        more: each of these is needed too.

    Raises:
        Forbidden: it is not.
    """
    if scope.who.tenant_id is not None:
        raise Forbidden(f"this needs a service account with the permission {WATCH}")
    for permission in (WATCH, *more):
        scope.require(permission)
