"""Builds of components: a revision and its descriptor (contract section 13.2, extension 0.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keyrack.errors import AlreadyExists, NotFound, Problem, ValidationFailed
from keyrack.ids import new_revision
from keyrack.model.components import Component, Version
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Scope
from keyrack.service.authz.usage_guard import require_component_unused
from keyrack.service.components.descriptor_rules import judged
from keyrack.service.components.visibility import ComponentVisibility, own_component
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.components import ComponentRows
from keyrack.store.core.paging import After
from keyrack.validation.unvalidated import Unvalidated

_LATEST = "latest"
_POINTER = "/data/attributes/descriptor"


@dataclass(frozen=True, slots=True)
class NewBuild:
    """A build: its descriptor and, optionally, its revision."""

    descriptor: dict[str, Any] = field(repr=False)
    revision: str | None


class ComponentBuilds:
    """Use cases of a component's builds; the wire calls them versions."""

    def __init__(self, components: ComponentVisibility) -> None:
        self._components = components

    async def list(
        self, who: Principal, component_id: str, *, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Version], int]:
        """List a component's builds, oldest first; return a page and the number of all.

        Raises:
            NotFound: there is no component the caller can see.
        """
        async with self._components.seen(who, component_id) as (scope, _):
            return await ComponentVersions(scope.unit).page(component_id, limit=limit, offset=offset)

    async def get(self, who: Principal, component_id: str, revision: str) -> tuple[Component, Version]:
        """Return a build by its revision or `latest`, with its component.

        Raises:
            NotFound: there is no component the caller can see, or it has no such build.
        """
        async with self._components.seen(who, component_id) as (scope, component):
            return component, await _find(scope, component, revision)

    async def add(
        self, who: Principal, component_id: str, new: Unvalidated[NewBuild]
    ) -> tuple[Version, Sequence[Problem]]:
        """Add a build; it becomes the latest. Return it, and what looks wrong in its descriptor.

        Raises:
            NotFound: there is no component the caller can see.
            Forbidden: no `contracts.repository.edit` in its contract.
            ValidationFailed: the descriptor has wrong JSON types where they matter, or could never work (contract 0.9).
            AlreadyExists: the component has that revision.
        """
        async with self._components.owned(who, component_id, "component-version.create", "editor") as (scope, _):
            wanted = new.validated()
            warnings = _checked(wanted.descriptor)
            revision = wanted.revision or new_revision()
            try:
                version = await ComponentVersions(scope.unit).add(component_id, revision, wanted.descriptor)
            except AlreadyExists:
                pointer = "/data/attributes/revision"
                raise AlreadyExists("the component already has this revision", pointer=pointer) from None
            scope.audit_target("version", revision)
            return version, warnings

    async def delete(self, who: Principal, component_id: str, revision: str) -> None:
        """Delete a build that no flow names.

        Raises:
            NotFound: there is no such component or build.
            Forbidden: the caller is neither an editor in its team nor tenant admin.
            InUse: a flow names that build.
        """
        entered = self._components.owned(who, component_id, "component-version.delete", "editor in the team")
        async with entered as (scope, _):
            await ComponentRows(scope.unit).lock_to_delete(component_id)  # flows hold the component, not each build
            version = await _find(scope, await own_component(scope, component_id), revision)
            await require_component_unused(scope, component_id, version.revision, "the version")
            await ComponentVersions(scope.unit).remove(component_id, version.revision)
            scope.audit_target("version", version.revision)


async def _find(scope: Scope, component: Component, revision: str) -> Version:
    if revision == _LATEST:
        found = component.latest
    else:
        found = await ComponentVersions(scope.unit).find(component.id, revision)
    if found is None:
        raise NotFound("the component has no such version")
    return found


def _checked(descriptor: dict[str, Any]) -> Sequence[Problem]:
    """Return what looks wrong in a descriptor; raise what is."""
    found = judged(descriptor)
    if found.errors:
        raise ValidationFailed(*map(_in_request, found.errors))
    return [_in_request(warning) for warning in found.warnings]


def _in_request(problem: Problem) -> Problem:
    return Problem(problem.detail, f"{_POINTER}{'' if problem.pointer in (None, '/') else problem.pointer}")
