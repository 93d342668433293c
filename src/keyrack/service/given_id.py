"""Ids that clients make up (contract section 4)."""

from keyrack.errors import IdConflict
from keyrack.service.access import Scope
from keyrack.store.directory import Directory


async def refuse_taken(scope: Scope, kind: str, given: str | None) -> None:
    """Refuse an id in a create request that some resource of the installation has; any other is ignored.

    Args:
        scope: where the resource is going to be.
        kind: `tenant`, `contract`, `workspace`, `team`, `component`, `user` or `auth_client`.
        given: the id in the request, if there was one.

    Raises:
        IdConflict: there is such a resource.
    """
    if given is not None and await getattr(Directory(scope.unit), kind)(given) is not None:
        raise IdConflict(f"this id is that of another {kind.replace('_', ' ')}", pointer="/data/id")
