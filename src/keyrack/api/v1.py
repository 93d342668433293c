"""The v1 routes of the runner, kept for compatibility (contract 18.3): plain JSON, no JSON:API."""

from typing import Any

import msgspec
from litestar import get, put
from litestar.di import NamedDependency

from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import Empty
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.service.credentials.credentials import Credentials
from keyrack.service.flows.flows import Flows


class UpdatedKeys(msgspec.Struct):
    """What a component hands back with `updateKeys`."""

    keys: dict[str, Any]


class StepConfiguration(msgspec.Struct):
    """A step as the runner wants it: fields and credential values merged in `config` (18.2)."""

    id: str
    comp_id: str
    config: dict[str, Any]
    snapshot: dict[str, Any]


@get("/v1/tasks/{flow_id:str}/steps/{step_id:str}", tags=["Runner"], responses=Refusals.of(403, 404, 423))
async def step(flow_id: PATH_ID, step_id: PATH_ID, who: Who, flows: NamedDependency[Flows]) -> StepConfiguration:
    """Return a step's configuration with its credential's values."""
    return StepConfiguration(**await flows.step(who, flow_id, step_id))


@put("/v1/accounts/{credential_id:str}", tags=["Runner"], responses=Refusals.of(400, 403, 404, body=True))
async def update_keys(
    credential_id: PATH_ID, data: Body[UpdatedKeys], who: Who, credentials: NamedDependency[Credentials]
) -> Empty:
    """Merge keys that a component hands back into a credential."""
    await credentials.update_keys(who, credential_id, data.then(lambda body: body.keys))
    return Empty()
