"""Flows, drafts and versions as documents (contract section 17)."""

from typing import Any, Literal

import msgspec

from keyrack.api.core.jsonapi import Identifier, RelatedLink, Relationship, SelfLink, link_self, related
from keyrack.clock import iso
from keyrack.model.flows import Flow, FlowVersion


class VersionsRelationship(msgspec.Struct):
    """A link to a flow's versions."""

    links: RelatedLink


class LatestLinks(msgspec.Struct):
    """Where the latest version is, and all of them."""

    self_: str = msgspec.field(name="self")
    related: str


class LatestVersion(msgspec.Struct):
    """Linkage to a flow's latest version."""

    data: Identifier
    links: LatestLinks


class FlowRelationships(msgspec.Struct):
    """Owner, workspace and versions."""

    user: Relationship
    workspace: Relationship
    versions: VersionsRelationship
    latest_version: LatestVersion


class FlowResource(msgspec.Struct):
    """A flow; optional attributes are present when they were given."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    relationships: FlowRelationships
    type: Literal["flow"] = "flow"


class Graph(msgspec.Struct):
    """A graph: `nodes` and `edges`; that of a draft need not be complete."""

    graph: dict[str, Any]


class DraftResource(msgspec.Struct):
    """A flow's draft; its id is the flow's."""

    id: str
    attributes: Graph
    type: Literal["flow-draft"] = "flow-draft"


class FlowVersionAttributes(msgspec.Struct):
    """A stored graph."""

    graph: dict[str, Any]
    created_at: str


class FlowVersionRelationships(msgspec.Struct):
    """The flow, and who stored the version."""

    flow: Relationship
    user: Relationship


class FlowVersionResource(msgspec.Struct):
    """A stored version of a flow."""

    id: str
    attributes: FlowVersionAttributes
    relationships: FlowVersionRelationships
    type: Literal["flow-version"] = "flow-version"


def flow_document(flow: Flow) -> FlowResource:
    """Build a flow's resource."""
    path = f"/v2/flows/{flow.id}"
    attributes: dict[str, Any] = {
        "name": flow.name,
        "description": "",
        "type": flow.type,
        "status": flow.status.value,
        "current_status": flow.current_status.value,
        "default_mapper_type": "jsonata",
        "api_version": "2.0",
        "created_at": iso(flow.created_at),
        "updated_at": iso(flow.updated_at),
        "last_modified": iso(flow.updated_at),
        "graph": flow.graph if flow.graph_text is None else msgspec.Raw(flow.graph_text),
        **{name: value for name, value in flow.attributes.items() if value is not None},
    }
    for name, moment in (("last_start_time", flow.last_start_time), ("last_stop_time", flow.last_stop_time)):
        if moment is not None:
            attributes[name] = iso(moment)
    versions = f"{path}/versions"
    latest = Identifier(flow.latest_version, "flow-version")
    relationships = FlowRelationships(
        user=related("user", "/v2/users", flow.user_id),
        workspace=related("workspace", "/v2/workspaces", flow.workspace_id),
        versions=VersionsRelationship(RelatedLink(versions)),
        latest_version=LatestVersion(latest, LatestLinks(f"{versions}/{flow.latest_version}", versions)),
    )
    return FlowResource(flow.id, link_self(path), attributes, relationships)


def draft_document(flow: Flow) -> DraftResource:
    """Build a draft's resource."""
    return DraftResource(flow.id, Graph(flow.draft or {}))


def version_document(version: FlowVersion) -> FlowVersionResource:
    """Build a stored version's resource."""
    # passed through as text where it is large; what it is does not change, so neither does its description
    graph: Any = version.graph if version.graph_text is None else msgspec.Raw(version.graph_text)
    return FlowVersionResource(
        version.hash,
        FlowVersionAttributes(graph, iso(version.created_at)),
        FlowVersionRelationships(
            flow=related("flow", "/v2/flows", version.flow_id), user=related("user", "/v2/users", version.user_id)
        ),
    )
