"""Ids that a request's body names: those that are not there (contract section 3), and made-up ones (section 4)."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyrack.errors import IdConflict, NotFound, RelatedNotFound
from keyrack.service.authz.access import Scope
from keyrack.store.directory import Directory


@contextmanager
def named_in_body(kind: str) -> Iterator[None]:
    """Tell of a place that is not there that the body of a request names it, and not the path.

    Args:
        kind: the relationship that names it, such as `contract`.

    Raises:
        RelatedNotFound: instead of `NotFound`, with the pointer of the relationship.
    """
    try:
        yield
    except NotFound:
        pointer = f"/data/relationships/{kind}/data/id"
        raise RelatedNotFound(f"there is no such {kind}", pointer=pointer) from None


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
