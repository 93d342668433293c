"""Components and builds, made over the API as their developers make them; descriptors in the shapes of real ones."""

import json
from pathlib import Path
from typing import Any

from support.app import World, relationship


def new_component(world: World, name: str, tenant: str = "Acme", **attributes: Any) -> dict[str, Any]:
    team = {"team": relationship("team", world.tenants[tenant].team_id)}
    return {"data": {"type": "component", "attributes": {"name": name, **attributes}, "relationships": team}}


async def created(world: World, name: str, **attributes: Any) -> str:
    answer = await world.tenants["Acme"].admin.post("/v2/components", new_component(world, name, **attributes))
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["data"]["id"]
    return identifier


async def build(world: World, component: str, descriptor: Any, revision: str | None = None) -> Any:
    attributes = {"descriptor": descriptor} | ({} if revision is None else {"revision": revision})
    body = {"data": {"type": "version", "attributes": attributes}}
    return await world.tenants["Acme"].admin.post(f"/v2/components/{component}/versions", body)


_HOME = Path(__file__).parent.parent / "fixtures" / "descriptors"

DESCRIPTORS = tuple(sorted(path.stem for path in _HOME.glob("*.json")))


def load_descriptor(name: str) -> dict[str, Any]:
    """Return a fresh copy of a descriptor by the name of its file, without `.json`."""
    loaded: dict[str, Any] = json.loads((_HOME / f"{name}.json").read_text("utf-8"))
    return loaded
