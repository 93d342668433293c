"""Environment variables: `/v2/components/{C}/env` (contract 13.4), and `runtime-env` for the runner (0.3, 18.1)."""

from typing import Literal

import msgspec
from litestar import Controller, get, put
from litestar.di import NamedDependency

from keyrack.api.core.dependencies import Body, Who
from keyrack.api.core.jsonapi import SelfLink, Single, link_self
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.errors import ValidationFailed
from keyrack.service.components.environments import ComponentEnvironments
from keyrack.service.components.runtime import RuntimeEnvironments
from keyrack.validation.fields import wrong_variable


class EnvironmentInput(msgspec.Struct):
    """The whole set; numbers and booleans become texts, null entries are dropped."""

    vars: dict[str, str | int | float | bool | None]


class ReplaceEnvironment(msgspec.Struct):
    """Data of a set of variables."""

    type: Literal["component-env"]
    attributes: EnvironmentInput


class ReplaceEnvironmentBody(msgspec.Struct):
    """Body of a set of variables."""

    data: ReplaceEnvironment


class Variables(msgspec.Struct):
    """Variables by name."""

    vars: dict[str, str]


class EnvironmentResource(msgspec.Struct):
    """A component's variables."""

    id: str
    links: SelfLink
    attributes: Variables
    type: Literal["component-env"] = "component-env"


class RuntimeEnvironmentResource(msgspec.Struct):
    """The variables of a component in one workspace."""

    id: str
    attributes: Variables
    type: Literal["runtime-env"] = "runtime-env"


class ComponentEnvironmentController(Controller):
    """A component's variables, for its developers."""

    path = "/v2/components/{component_id:str}/env"
    tags = ("Components",)

    @get(responses=Refusals.of(403, 404))
    async def retrieve(
        self, component_id: PATH_ID, who: Who, environments: NamedDependency[ComponentEnvironments]
    ) -> Single[EnvironmentResource]:
        """Return a component's variables to its developers."""
        return _environment(component_id, dict(await environments.get(who, component_id)))

    @put(responses=Refusals.of(400, 403, 404, body=True))
    async def replace(
        self,
        component_id: PATH_ID,
        data: Body[ReplaceEnvironmentBody],
        who: Who,
        environments: NamedDependency[ComponentEnvironments],
    ) -> Single[EnvironmentResource]:
        """Replace a component's variables."""
        stored = await environments.replace(who, component_id, data.then(_variables))
        return _environment(component_id, dict(stored))


@get(
    "/v2/workspaces/{workspace_id:str}/components/{component_id:str}/runtime-env",
    tags=["Runner"],
    responses=Refusals.of(403, 404, 409, 423),
)
async def runtime_environment(
    workspace_id: PATH_ID, component_id: PATH_ID, who: Who, runtime: NamedDependency[RuntimeEnvironments]
) -> Single[RuntimeEnvironmentResource]:
    """Return the variables of a component in a workspace, for the runner (extension, 0.3)."""
    variables = await runtime.get(who, workspace_id, component_id)
    return Single(RuntimeEnvironmentResource(component_id, Variables(variables)))


def _variables(body: ReplaceEnvironmentBody) -> dict[str, str]:
    given = body.data.attributes.vars
    problems = [problem for name in given if (problem := wrong_variable(name, "/data/attributes/vars"))]
    if problems:
        raise ValidationFailed(*problems[:100])
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _environment(component_id: str, variables: dict[str, str]) -> Single[EnvironmentResource]:
    return Single(
        EnvironmentResource(component_id, link_self(f"/v2/component-envs/{component_id}"), Variables(variables))
    )
