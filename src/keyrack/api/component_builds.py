"""Builds of components: `/v2/components/{C}/versions` (contract section 13, extension 0.3)."""

from functools import partial
from typing import Any, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from keyrack.api.component_documents import (
    AddedVersion,
    DescriptorResource,
    VersionResource,
    added_version,
    descriptor_resource,
    version_resource,
)
from keyrack.api.core.body import or_none
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, Single, link_self
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.service.components.builds import ComponentBuilds, NewBuild
from keyrack.validation.fields import Revision


class NewVersionAttributes(msgspec.Struct):
    """A build's component.json and, optionally, its revision (40 hex characters)."""

    descriptor: dict[str, Any]
    revision: Revision | UnsetType = UNSET


class CreateVersion(msgspec.Struct):
    """Data of a new build."""

    type: Literal["version"]
    attributes: NewVersionAttributes


class CreateVersionBody(msgspec.Struct):
    """Body of a new build."""

    data: CreateVersion


class ComponentBuildController(Controller):
    """Builds of a component; the newest is also addressed as `latest`."""

    path = "/v2/components/{component_id:str}/versions"
    tags = ("Components",)

    @get(responses=Refusals.of(400, 404))
    async def list_all(
        self, component_id: PATH_ID, who: Who, builds: NamedDependency[ComponentBuilds], page: WantedPage
    ) -> Many[VersionResource]:
        """List a component's builds."""
        read, links = partial(builds.list, who, component_id), link_self(f"/v2/components/{component_id}/versions")
        return await read_list(page, read, version_resource, key=lambda build: build.number, links=links)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add(
        self,
        component_id: PATH_ID,
        data: Body[CreateVersionBody],
        who: Who,
        builds: NamedDependency[ComponentBuilds],
    ) -> AddedVersion:
        """Add a build (extension, 0.3); `meta.warnings` has what looks wrong in its descriptor, if anything does."""

        def new(body: CreateVersionBody) -> NewBuild:
            given = body.data.attributes
            return NewBuild(given.descriptor, or_none(given.revision))

        return added_version(*await builds.add(who, component_id, data.then(new)))

    @delete("/{revision:str}", responses=Refusals.of(403, 404, 409))
    async def remove(
        self, component_id: PATH_ID, revision: PATH_ID, who: Who, builds: NamedDependency[ComponentBuilds]
    ) -> None:
        """Delete a build that no flow uses; `latest` names the newest."""
        await builds.delete(who, component_id, revision)

    @get("/{revision:str}/descriptor", responses=Refusals.of(404))
    async def descriptor(
        self, component_id: PATH_ID, revision: PATH_ID, who: Who, builds: NamedDependency[ComponentBuilds]
    ) -> Single[DescriptorResource]:
        """Return a build's component.json; `latest` names the newest."""
        component, found = await builds.get(who, component_id, revision)
        return Single(descriptor_resource(component, found))
