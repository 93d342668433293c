"""`/v2/workspaces/{W}/secrets` (contract section 15)."""

from functools import partial
from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from keyrack.api.core.body import JsonRequest, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, Single
from keyrack.api.core.lists import read_list
from keyrack.api.core.middleware import arrived
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.core.query import asked_seconds, asked_time
from keyrack.api.secret_documents import (
    ChangeSecretBody,
    CreateSecretBody,
    SecretResource,
    changed_secret,
    new_secret,
    secret_resource,
)
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.secrets import AuthSecret, SecretFilter, SecretState
from keyrack.service.secrets.changes import ChangedSecret
from keyrack.service.secrets.secrets import Secrets

LONGEST_VALIDITY = 86_400
"""Seconds; the most that `min_validity` may ask for."""


class SecretController(Controller):
    """Auth secrets."""

    path = "/v2/workspaces/{workspace_id:str}/secrets"
    tags = ("Auth secrets",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(  # noqa: PLR0913, PLR0917 - one parameter for each query parameter
        self,
        workspace_id: PATH_ID,
        who: Who,
        secrets: NamedDependency[Secrets],
        page: WantedPage,
        user_id: Annotated[
            str | None, QueryParameter(name="filter[user]", description="Those of a user, by id.")
        ] = None,
        auth_client_id: Annotated[
            str | None, QueryParameter(name="filter[auth_client]", description="Those of an auth client, by id.")
        ] = None,
        auth_client_dashed: Annotated[
            str | None, QueryParameter(name="filter[auth-client]", description="The same as `filter[auth_client]`.")
        ] = None,
        told_state: Annotated[
            str | None,
            QueryParameter(name="filter[state]", description="`ready` or `error`, as a reader would be told now."),
        ] = None,
        expires_before: Annotated[
            str | None,
            QueryParameter(
                name="filter[expires_before]", description="Tokens that expire before an ISO 8601 time with an offset."
            ),
        ] = None,
        scopes: Annotated[
            str | None,
            QueryParameter(
                name="filter[scopes]",
                description="`missing`: granted fewer scopes than requested.",
            ),
        ] = None,
    ) -> Many[SecretResource]:
        """List a workspace's auth secrets."""
        wanted = SecretFilter(
            user_id or None,
            _same(auth_client_id or None, auth_client_dashed or None),
            _state(told_state),
            asked_time(expires_before, "filter[expires_before]"),
            _missing(scopes),
        )
        read = partial(secrets.list, who, workspace_id, wanted)
        return await read_list(page, read, secret_resource, key=lambda view: view.secret.id, whole=secrets.whole)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, 423, body=True))
    async def create(
        self, workspace_id: PATH_ID, data: Body[CreateSecretBody], who: Who, secrets: NamedDependency[Secrets]
    ) -> Single[SecretResource]:
        """Create an auth secret of the caller."""
        return Single(secret_resource(await secrets.create(who, workspace_id, data.then(new_secret))))

    @get("/{secret_id:str}", responses=Refusals.of(400, 403, 404, 409, 423))
    async def retrieve(
        self,
        workspace_id: PATH_ID,
        secret_id: PATH_ID,
        who: Who,
        secrets: NamedDependency[Secrets],
        min_validity: Annotated[
            str | None,
            QueryParameter(
                name="min_validity", description="Seconds, 0 to 86400, for which the token must be valid; else 409."
            ),
        ] = None,
    ) -> Single[SecretResource]:
        """Return one auth secret."""
        seconds = asked_seconds(min_validity, "min_validity", LONGEST_VALIDITY)
        return Single(secret_resource(await secrets.get(who, workspace_id, secret_id, seconds)))

    @patch("/{secret_id:str}", responses=Refusals.of(400, 403, 404, 409, 423, body=True))
    async def change(
        self,
        workspace_id: PATH_ID,
        secret_id: PATH_ID,
        data: Body[ChangeSecretBody],
        who: Who,
        secrets: NamedDependency[Secrets],
    ) -> Single[SecretResource]:
        """Change an auth secret; credentials of oauth2 are merged, others replaced."""

        def command(stored: AuthSecret) -> ChangedSecret:
            body = data.validated()
            require_id(body.data.id, secret_id)
            return changed_secret(body, stored)

        return Single(secret_resource(await secrets.change(who, workspace_id, secret_id, command)))

    @delete("/{secret_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(
        self, workspace_id: PATH_ID, secret_id: PATH_ID, who: Who, secrets: NamedDependency[Secrets]
    ) -> None:
        """Delete an auth secret that no active flow uses."""
        await secrets.delete(who, workspace_id, secret_id)

    @post("/{secret_id:str}/refresh", status_code=200, responses=Refusals.of(400, 403, 404, 409, 423))
    async def refresh(
        self,
        request: JsonRequest,
        workspace_id: PATH_ID,
        secret_id: PATH_ID,
        who: Who,
        secrets: NamedDependency[Secrets],
    ) -> Single[SecretResource]:
        """Refresh an auth secret's token now, and return the secret with the new one (15.3)."""
        await request.action()
        return Single(secret_resource(await secrets.refresh(who, workspace_id, secret_id, arrived(request.scope))))


def _same(one: str | None, other: str | None) -> str | None:
    if one and other and one != other:
        detail = "filter[auth_client] and filter[auth-client] name different auth clients"
        raise ValidationFailed(Problem(detail, parameter="filter[auth-client]"))
    return one or other


def _missing(text: str | None) -> bool:
    if text and text != "missing":
        raise ValidationFailed(Problem("must be the word missing", parameter="filter[scopes]"))
    return bool(text)


def _state(text: str | None) -> SecretState | None:
    if not text:
        return None
    if text not in list(SecretState):
        raise ValidationFailed(Problem("must be one of ready, error", parameter="filter[state]"))
    return SecretState(text)
