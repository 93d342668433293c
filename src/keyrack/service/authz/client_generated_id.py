"""Ids that clients make up (contract section 4)."""

from keyrack.errors import IdConflict
from keyrack.service.authz.access import Scope
from keyrack.store.directory import Directory


async def refuse_taken(scope: Scope, kind: str, given: str | None) -> None:
    """Refuse an id in a create request that a resource of the caller's tenant has; any other is ignored.

    What another tenant has is not told (design, invariant 1); a service account is told of all tenants.

    Args:
        scope: where the resource is going to be.
        kind: the resource's type, as the wire calls it.
        given: the id in the request, if there was one.

    Raises:
        IdConflict: there is such a resource.
    """
    if given is not None and await Directory(scope.unit).has(kind, given, scope.who.tenant_id):
        raise IdConflict(f"this id belongs to another {kind.replace('-', ' ')}", pointer="/data/id")
