"""Components, versions and descriptors as documents (contract 13.1)."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from keyrack.api.core.jsonapi import ErrorSource, Identifier, RelatedLink, Relationship, SelfLink, link_self, related
from keyrack.clock import epoch_ms
from keyrack.descriptor.public import public
from keyrack.errors import Problem
from keyrack.model.components import Component, Version

_SHORT = 7


class ComponentAttributes(msgspec.Struct):
    """A component repository; the whitelist appears on workspace routes and after a change."""

    name: str
    team_name: str
    access: str
    whitelisted_contract_ids: list[str] | UnsetType = UNSET
    docker_repo_name: str | UnsetType = UNSET
    docker_target_tag: str | UnsetType = UNSET
    icon: str | UnsetType = UNSET


class VersionsRelation(msgspec.Struct):
    """Where a component's versions are."""

    links: RelatedLink


class ComponentRelationships(msgspec.Struct):
    """`latest_version` is absent without a successful build."""

    versions: VersionsRelation
    latest_version: Relationship | UnsetType = UNSET


class ComponentResource(msgspec.Struct):
    """A component."""

    id: str
    links: SelfLink
    attributes: ComponentAttributes
    relationships: ComponentRelationships
    type: Literal["component"] = "component"


class VersionAttributes(msgspec.Struct):
    """When a build was made (milliseconds since 1970) and its number."""

    date: int
    version_number: int


class VersionRelationships(msgspec.Struct):
    """A build's descriptor and component."""

    descriptor: Relationship
    component: Relationship


class VersionResource(msgspec.Struct):
    """A build."""

    id: str
    links: SelfLink
    attributes: VersionAttributes
    relationships: VersionRelationships
    type: Literal["version"] = "version"


class DescriptorWarning(msgspec.Struct):
    """What looks wrong in a descriptor and was accepted, told as an error object tells it."""

    detail: str
    source: ErrorSource


class BuildMeta(msgspec.Struct):
    """What looks wrong in the descriptor; absent if nothing does."""

    warnings: list[DescriptorWarning] | UnsetType = UNSET


class AddedVersion(msgspec.Struct):
    """A document with a build that was just added."""

    data: VersionResource
    meta: BuildMeta


class DescriptorRelationships(msgspec.Struct):
    """A descriptor's build."""

    version: Relationship


class DescriptorResource(msgspec.Struct):
    """A build's component.json; literal client secrets are removed."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    relationships: DescriptorRelationships
    type: Literal["descriptor"] = "descriptor"


def component_resource(found: Component, *, whitelist: bool = False) -> ComponentResource:
    """Build a component's resource."""
    path = f"/v2/components/{found.id}"
    latest: Relationship | UnsetType = UNSET
    if found.latest is not None:
        latest = Relationship(Identifier(found.latest.revision, "version"), SelfLink(f"{path}/versions/latest"))
    attributes = ComponentAttributes(
        found.name,
        found.team_name,
        found.access.value,
        whitelisted_contract_ids=list(found.whitelisted_contract_ids) if whitelist else UNSET,
        **found.attributes,
    )
    versions = VersionsRelation(RelatedLink(f"{path}/versions"))
    return ComponentResource(found.id, link_self(path), attributes, ComponentRelationships(versions, latest))


def version_resource(found: Version) -> VersionResource:
    """Build a build's resource."""
    path = _version_path(found)
    relationships = VersionRelationships(
        descriptor=Relationship(Identifier(found.revision, "descriptor"), SelfLink(f"{path}/descriptor")),
        component=related("component", "/v2/components", found.component_id),
    )
    attributes = VersionAttributes(epoch_ms(found.created_at), found.number)
    return VersionResource(found.revision, link_self(path), attributes, relationships)


def added_version(found: Version, warnings: Sequence[Problem]) -> AddedVersion:
    """Build the document of a new build."""
    shown = [DescriptorWarning(each.detail, ErrorSource(pointer=each.pointer or "")) for each in warnings]
    return AddedVersion(version_resource(found), BuildMeta(shown or UNSET))


def descriptor_resource(owner: Component, found: Version) -> DescriptorResource:
    """Build a descriptor's resource."""
    path = _version_path(found)
    computed = {
        "repo_name": owner.name,
        "team_name": owner.team_name,
        "short_revision": found.revision[:_SHORT],
        "is_latest": owner.latest is not None and owner.latest.revision == found.revision,
    }
    defaults = {"language": "nodejs", "sailor_version": "", "title": owner.name}
    attributes = {**defaults, **public(found.descriptor), **computed}
    version_of = Relationship(Identifier(found.revision, "version"), SelfLink(path))
    return DescriptorResource(
        found.revision, link_self(f"{path}/descriptor"), attributes, DescriptorRelationships(version_of)
    )


def latest_build(owner: Component) -> tuple[Any, ...]:
    """Return what `included` has of a component: its latest version and that version's descriptor, if there is one."""
    latest = owner.latest
    return () if latest is None else (version_resource(latest), descriptor_resource(owner, latest))


def _version_path(found: Version) -> str:
    return f"/v2/components/{found.component_id}/versions/{found.revision}"
