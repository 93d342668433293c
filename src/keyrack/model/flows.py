"""Flows, their versions, and what they refer to (contract section 17)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from keyrack.model import Json


class FlowStatus(StrEnum):
    """Wanted and actual state of a flow (contract section 17)."""

    active = "active"
    inactive = "inactive"
    suspended = "suspended"


@dataclass(frozen=True, slots=True)
class Flow:
    """A graph of steps in a workspace (contract section 17)."""

    id: str
    tenant_id: str
    workspace_id: str
    user_id: str
    name: str
    type: str
    status: FlowStatus
    current_status: FlowStatus
    graph: Json
    attributes: Json
    """description, cron, default_mapper_type, stats_enabled, nodes_config: whichever were given."""
    draft: Json | None
    latest_version: str
    created_at: datetime
    updated_at: datetime
    last_start_time: datetime | None
    last_stop_time: datetime | None
    left_out: int = 0
    """Bytes of what a list has left out for now (`store.core.large_columns`), here graph and attributes; else 0."""
    graph_text: bytes | None = field(default=None, repr=False)
    """The graph as JSON text, where it was left out; `graph` is then empty."""


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A stored version of a flow's graph."""

    hash: str
    tenant_id: str
    flow_id: str
    graph: Json
    user_id: str
    created_at: datetime
    left_out: int = 0
    graph_text: bytes | None = field(default=None, repr=False)


FlowPlace = Literal["graph", "draft", "versions"]
"""Where a flow names what it uses: in its current graph, its draft or old versions."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A flow that names a component, and where (contract 0.1)."""

    flow_id: str
    flow_name: str
    flow_status: FlowStatus
    workspace_id: str
    places: tuple[FlowPlace, ...]

    @property
    def is_current(self) -> bool:
        """Whether it names it now, and not only in old versions."""
        return "graph" in self.places or "draft" in self.places


@dataclass(frozen=True, slots=True)
class Usage:
    """The blast radius of an OAuth client (contract 0.15)."""

    flows: tuple[Reference, ...]
    credentials: int
    workspaces: int
    last_used_at: datetime | None
