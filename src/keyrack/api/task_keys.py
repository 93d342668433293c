"""`/v2/flows/{F}/task-keys`: keys for the steps of a running flow (extension, contract 0.16)."""

from typing import Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency

from keyrack.api.core.body import JsonRequest
from keyrack.api.core.dependencies import Who
from keyrack.api.core.jsonapi import Single
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.service.identity.task_keys import TaskKeys


class TaskKeyAttributes(msgspec.Struct):
    """What a step gets as `ELASTICIO_API_USERNAME` and `ELASTICIO_API_KEY` (contract 18.1)."""

    username: str
    api_key: str


class TaskKeyResource(msgspec.Struct):
    """A key of a task user; it has no id and cannot be read again."""

    attributes: TaskKeyAttributes
    type: Literal["task-key"] = "task-key"


@post("/v2/flows/{flow_id:str}/task-keys", status_code=201, tags=["Runner"], responses=Refusals.of(400, 403, 404, 409))
async def task_key(
    request: JsonRequest, flow_id: PATH_ID, who: Who, task_keys: NamedDependency[TaskKeys]
) -> Single[TaskKeyResource]:
    """Create a key for the steps of an active flow; it is shown only once."""
    await request.action()
    made = await task_keys.create(who, flow_id)
    return Single(TaskKeyResource(TaskKeyAttributes(made.username, made.api_key.reveal())))
