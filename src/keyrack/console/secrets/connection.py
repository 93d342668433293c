"""`/console/workspaces/{W}/connections/{S}`: how a connection is, and everything that can be done with it."""

import json
from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.secrets.health import health_of
from keyrack.console.tenancy.workspace_place import (
    SECRET_DELETE,
    SECRET_EDIT,
    SECRET_REFRESH,
    WorkspacePlace,
)
from keyrack.errors import InUse, Problem, ProviderError, ProviderUnavailable, ValidationFailed
from keyrack.model.clients import is_oauth2
from keyrack.model.flows import Flow, FlowStatus
from keyrack.model.secrets import SecretState
from keyrack.service.authz.permissions import GET_SECRET_CREDENTIALS
from keyrack.service.flows.flows import Flows
from keyrack.service.secrets.changes import ChangedSecret
from keyrack.service.secrets.connection_check import CheckResult, ConnectionCheck, ConnectionChecks
from keyrack.service.secrets.connections import Connections
from keyrack.service.secrets.direct_grants import CREATE
from keyrack.service.secrets.oauth2_credentials import shown
from keyrack.service.secrets.secrets import Secrets

_AT = "/workspaces/{workspace_id:str}/connections/{secret_id:str}"
_LONGEST_NAME = 255
_NAME_POINTER = "/data/attributes/name"
_DONE = {
    "renamed": "The connection has its new name.",
    "connected": "The account is connected.",
    "made": "The connection is made.",
    "refreshed": "The token was renewed just now.",
}
_KINDS = {
    CheckResult.works: "good",
    CheckResult.renewed: "good",
    CheckResult.refused: "bad",
    CheckResult.unclear: "warn",
    CheckResult.impossible: "plain",
}


class ConnectionPage:
    """The page, with what an action has to tell on it."""

    def __init__(self, visit: Visit, place: WorkspacePlace, connections: Connections, flows: Flows) -> None:
        self._visit = visit
        self._place = place
        self._connections = connections
        self._flows = flows

    async def show(self, secret_id: str, *, status: int = 200, **told: Any) -> Response[str]:
        """Return it.

        Args:
            secret_id: the connection.
            status: of the answer.
            told: `check`, `told`, `name`, `wrong`, `clear`: see the template.
        """
        visit, place, own = self._visit, self._place, self._place.own
        found = await self._connections.get(visit.who, place.id, secret_id)
        flows, total = await used_by(visit, place, self._flows, secret_id=secret_id, name="flows")
        oauth2 = is_oauth2(found.secret.type)
        values: dict[str, Any] = {"check": None, "told": None, "name": found.secret.name, "wrong": "", "clear": None}
        return visit.page(
            "secrets/connection.html",
            status=status,
            place=place,
            found=found,
            health=health_of(found),
            is_in_error=found.status.state is SecretState.error,
            oauth2=oauth2,
            asked=found.secret.requested_scopes,
            missing=frozenset(found.secret.missing_scopes),
            flows=flows,
            flow_pager=visit.pager(total, "flows"),
            flow=visit.asked("flow"),
            may_reconnect=oauth2 and not found.needs_nobody and own.is_member and own.allows(SECRET_EDIT),
            may_set=found.needs_nobody and own.is_member and own.allows(SECRET_EDIT) and own.allows(CREATE),
            may_rename=own.allows(SECRET_EDIT),
            may_test=oauth2 and own.allows(SECRET_REFRESH),
            may_refresh=found.secret.may_be_renewed and own.allows(SECRET_REFRESH),
            may_delete=own.allows(SECRET_DELETE),
            may_read=own.allows(GET_SECRET_CREDENTIALS),
            may_audit=visit.allows("tenants.audit.get"),
            done=visit.done(_DONE),
            **{**values, **told},
        )


async def connection_page(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    connections: NamedDependency[Connections],
    flows: NamedDependency[Flows],
) -> ConnectionPage:
    """Hand the page to a handler that asks for `connection_page`."""
    return ConnectionPage(visit, place, connections, flows)


@get(_AT, media_type=MediaType.HTML)
async def connection(secret_id: PATH_ID, connection_page: NamedDependency[ConnectionPage]) -> Response[str]:
    """Show it."""
    return await connection_page.show(secret_id)


@post(f"{_AT}/test", media_type=MediaType.HTML, status_code=200)
async def connection_tested(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connection_page: NamedDependency[ConnectionPage],
    connection_checks: NamedDependency[ConnectionChecks],
) -> Response[str]:
    """Try it at the provider, and show how that went; reloading tries again."""
    await visit.form()
    check = await connection_checks.test(visit.who, place.id, secret_id)
    return await connection_page.show(secret_id, check=_told(check))


@post(f"{_AT}/refresh", media_type=MediaType.HTML, status_code=200)
async def connection_refreshed(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connection_page: NamedDependency[ConnectionPage],
    secrets: NamedDependency[Secrets],
) -> Response[str]:
    """Renew its token now."""
    await visit.form()
    try:
        await secrets.refresh(visit.who, place.id, secret_id)
    except (ProviderError, ProviderUnavailable) as error:
        refused = isinstance(error, ProviderError)
        check = ConnectionCheck(CheckResult.refused if refused else CheckResult.unclear, str(error), error.failure.said)
        return await connection_page.show(secret_id, check=_told(check))
    return visit.go(_path(place, secret_id), done="refreshed")


@post(f"{_AT}/rename", media_type=MediaType.HTML, status_code=200)
async def connection_renamed(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connection_page: NamedDependency[ConnectionPage],
    secrets: NamedDependency[Secrets],
) -> Response[str]:
    """Give it another name."""
    name = (await visit.form()).text("name")

    def wanted() -> ChangedSecret:
        if not 0 < len(name) <= _LONGEST_NAME:
            raise ValidationFailed(Problem(f"must have 1 to {_LONGEST_NAME} characters", _NAME_POINTER))
        return ChangedSecret(name=name)

    try:
        await secrets.change(visit.who, place.id, secret_id, lambda _: wanted())
    except ValidationFailed as error:
        by_field, _ = problems_by_field(error, {_NAME_POINTER: "name"})
        return await connection_page.show(secret_id, status=400, name=name, wrong=by_field.get("name", str(error)))
    return visit.go(_path(place, secret_id), done="renamed")


@post(f"{_AT}/disclose", media_type=MediaType.HTML, status_code=200)
async def connection_disclosed(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connection_page: NamedDependency[ConnectionPage],
    secrets: NamedDependency[Secrets],
) -> Response[str]:
    """Show its credentials in the clear, once; the audit log says so."""
    await visit.form()
    view = await secrets.disclose(visit.who, place.id, secret_id)
    clear = json.dumps(shown(view.secret), indent=2, ensure_ascii=False, default=str)
    token = view.secret.credentials.get("access_token") if is_oauth2(view.secret.type) else None
    return await connection_page.show(secret_id, clear={"token": token, "all": clear})


@get(f"{_AT}/delete", media_type=MediaType.HTML)
async def connection_deletion(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connections: NamedDependency[Connections],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Say what deleting it hits, and ask."""
    return await _ask(visit, place, secret_id, connections, flows)


@post(f"{_AT}/delete", media_type=MediaType.HTML, status_code=200)
async def connection_deleted(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    secret_id: PATH_ID,
    connections: NamedDependency[Connections],
    flows: NamedDependency[Flows],
    secrets: NamedDependency[Secrets],
) -> Response[str]:
    """Delete it; its token is revoked at the provider where that is possible."""
    await visit.form()
    try:
        await secrets.delete(visit.who, place.id, secret_id)
    except InUse as error:
        return await _ask(visit, place, secret_id, connections, flows, refused=str(error))
    return visit.go(place.path, done="deleted")


async def _ask(
    visit: Visit,
    place: WorkspacePlace,
    secret_id: str,
    connections: Connections,
    flows: Flows,
    refused: str = "",
) -> Response[str]:
    place.require(SECRET_DELETE)
    found = await connections.get(visit.who, place.id, secret_id)
    using, total = await used_by(visit, place, flows, secret_id=secret_id)
    return visit.page(
        "secrets/connection_delete.html",
        status=409 if refused else 200,
        place=place,
        found=found,
        flows=using,
        flow_total=total,
        blocked=any(flow.status is FlowStatus.active for flow in using),
        refused=refused,
    )


async def used_by(
    visit: Visit, place: WorkspacePlace, flows: Flows, *, secret_id: str = "", credential_id: str = "", name: str = ""
) -> tuple[Sequence[Flow], int]:
    """Return a page of the flows that name something, and how many there are; none for who may not see flows.

    Args:
        visit: who asks.
        place: the workspace.
        flows: their use cases.
        secret_id: the secret, unless it is a credential.
        credential_id: the credential.
        name: of the parameter that says which page; empty for the first one of all, whatever is searched.
    """
    if not place.own.is_member:
        return (), 0
    start = offset_of(visit.page_number(name)) if name else 0
    return await flows.using(
        visit.who,
        place.id,
        limit=ROWS,
        offset=start,
        secret_id=secret_id,
        credential_id=credential_id,
        search=visit.asked("flow") if name else "",
    )


def _path(place: WorkspacePlace, secret_id: str) -> str:
    return f"{place.path}/connections/{secret_id}"


def _told(check: ConnectionCheck) -> tuple[str, str, str]:
    """Return the kind of notice, our words and the provider's."""
    return _KINDS[check.result], check.text, ": ".join(check.said.values())
