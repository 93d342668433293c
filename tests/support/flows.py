"""Bodies of flow requests, in the shape of contract section 17."""

from typing import Any

from support.app import relationship


def node(command: str, step_id: str = "step_1", **more: Any) -> dict[str, Any]:
    """Return a step."""
    return {"id": step_id, "command": command, "name": "", "description": "", **more}


def graph_of(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return a graph."""
    return {"nodes": list(nodes), "edges": list(edges)}


def flow_body(
    workspace_id: str, command: str = "", *, graph: dict[str, Any] | None = None, **attributes: Any
) -> dict[str, Any]:
    """Return the body that creates a flow of one step, or of a whole graph."""
    given = {
        "name": "Friday",
        "type": "ordinary",
        "default_mapper_type": "jsonata",
        "graph": graph or graph_of(node(command)),
        **attributes,
    }
    workspace = {"workspace": relationship("workspace", workspace_id)}
    return {"data": {"type": "flow", "attributes": given, "relationships": workspace}}
