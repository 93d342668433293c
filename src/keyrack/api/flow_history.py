"""Drafts and stored versions of flows (contract section 17)."""

from typing import Literal

import msgspec
from litestar import Controller, delete, get, put
from litestar.di import NamedDependency

from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, Single
from keyrack.api.core.lists import listed
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.flow_documents import DraftResource, FlowVersionResource, Graph, draft_document, version_document
from keyrack.service.flows.flows import Flows

_PER_PAGE = 50


class PutDraft(msgspec.Struct):
    """Data of a draft."""

    type: Literal["flow-draft"]
    attributes: Graph


class PutDraftBody(msgspec.Struct):
    """Body of a draft."""

    data: PutDraft


class FlowDraftController(Controller):
    """The draft of a flow."""

    path = "/v2/flows/{flow_id:str}/draft"
    tags = ("Flows",)

    @get(responses=Refusals.of(403, 404))
    async def retrieve(self, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> Single[DraftResource]:
        """Return a flow's draft."""
        return Single(draft_document(await flows.draft(who, flow_id)))

    @put(responses=Refusals.of(400, 403, 404, body=True))
    async def replace(
        self, flow_id: PATH_ID, data: Body[PutDraftBody], who: Who, flows: NamedDependency[Flows]
    ) -> Single[DraftResource]:
        """Store a flow's draft; its graph need not be complete."""
        graph = data.then(lambda body: body.data.attributes.graph)
        return Single(draft_document(await flows.put_draft(who, flow_id, graph)))

    @delete(responses=Refusals.of(403, 404))
    async def remove(self, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> None:
        """Drop a flow's draft."""
        await flows.delete_draft(who, flow_id)


class FlowVersionController(Controller):
    """Stored versions of a flow."""

    path = "/v2/flows/{flow_id:str}/versions"
    tags = ("Flows",)

    @get(responses=Refusals.of(400, 404))
    async def list_all(
        self, flow_id: PATH_ID, who: Who, flows: NamedDependency[Flows], page: WantedPage
    ) -> Many[FlowVersionResource]:
        """List a flow's versions, oldest first."""
        paged = page.or_default(_PER_PAGE)
        found, total = await flows.versions(who, flow_id, limit=paged.limit, offset=paged.offset)
        return await listed(found, version_document, paged.meta(total), flows.whole_versions)

    @get("/{version:str}", responses=Refusals.of(404))
    async def retrieve(
        self, flow_id: PATH_ID, version: PATH_ID, who: Who, flows: NamedDependency[Flows]
    ) -> Single[FlowVersionResource]:
        """Return one version of a flow."""
        return Single(version_document(await flows.version(who, flow_id, version)))
