"""`/console/workspaces/{W}/credentials`: first-generation credentials, which belong to a component each."""

import json
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.secrets.connection import used_by
from keyrack.console.tenancy.workspace_place import CREDENTIAL_EDIT, WorkspacePlace
from keyrack.errors import InUse, NotFound, Problem, ValidationFailed
from keyrack.ids import is_id
from keyrack.model.credentials import Credential
from keyrack.model.flows import FlowStatus
from keyrack.service.consents.connect_form import ConnectForms, Way
from keyrack.service.credentials.credentials import ChangedCredential, Credentials
from keyrack.service.flows.flows import Flows
from keyrack.validation.unvalidated import Unvalidated

_LIST = "/workspaces/{workspace_id:str}/credentials"
_AT = f"{_LIST}/{{credential_id:str}}"
_LONGEST_NAME = 255
_DONE = {
    "renamed": "The credential has its new name.",
    "made": "The credential is made.",
    "connected": "The account is connected.",
    "deleted": "The credential is deleted.",
}


@get(_LIST, media_type=MediaType.HTML)
async def credential_list(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credentials: NamedDependency[Credentials],
    connect_forms: NamedDependency[ConnectForms],
) -> Response[str]:
    """List them, perhaps those of one component only."""
    asked = visit.asked("component")
    component_id, start = asked if is_id(asked) else None, offset_of(visit.page_number())
    found, total = await credentials.named(
        visit.who, place.id, component_id, beginning=visit.asked("q"), limit=ROWS, offset=start
    )
    names = await connect_forms.component_names(visit.who, place.id, [each.component_id for each in found])
    return visit.page(
        "credentials/credentials.html",
        place=place,
        tabs=place.tabs("/credentials"),
        credentials=found,
        names=names,
        component_id=component_id,
        q=visit.asked("q"),
        pager=visit.pager(total),
        done=visit.done(_DONE),
    )


@get(_AT, media_type=MediaType.HTML)
async def credential(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    connect_forms: NamedDependency[ConnectForms],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Show one, without its values."""
    return await _page(visit, place, await _find(visit, place, credentials, credential_id), connect_forms, flows)


@post(f"{_AT}/rename", media_type=MediaType.HTML, status_code=200)
async def credential_renamed(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    connect_forms: NamedDependency[ConnectForms],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Give it another name."""
    name = (await visit.form()).text("name")
    found = await _find(visit, place, credentials, credential_id)

    def new() -> ChangedCredential:
        if not 0 < len(name) <= _LONGEST_NAME:
            raise ValidationFailed(Problem(f"must have 1 to {_LONGEST_NAME} characters", "/data/attributes/name"))
        return ChangedCredential(name, None)

    try:
        await credentials.change(visit.who, credential_id, Unvalidated(new))
    except ValidationFailed as error:
        return await _page(visit, place, found, connect_forms, flows, status=400, name=name, wrong=str(error))
    return visit.go(_path(place, credential_id), done="renamed")


@post(f"{_AT}/disclose", media_type=MediaType.HTML, status_code=200)
async def credential_disclosed(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    connect_forms: NamedDependency[ConnectForms],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Show its values in the clear, once; the audit log says so."""
    await visit.form()
    await _find(visit, place, credentials, credential_id)
    found = (await credentials.disclose(visit.who, credential_id)).credential
    clear = json.dumps(found.keys, indent=2, ensure_ascii=False, default=str)
    return await _page(visit, place, found, connect_forms, flows, clear=clear)


@get(f"{_AT}/delete", media_type=MediaType.HTML)
async def credential_deletion(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Say what deleting it hits, and ask."""
    return await _ask(visit, place, await _find(visit, place, credentials, credential_id), flows)


@post(f"{_AT}/delete", media_type=MediaType.HTML, status_code=200)
async def credential_deleted(
    visit: NamedDependency[Visit],
    place: NamedDependency[WorkspacePlace],
    credential_id: PATH_ID,
    credentials: NamedDependency[Credentials],
    flows: NamedDependency[Flows],
) -> Response[str]:
    """Delete it."""
    await visit.form()
    found = await _find(visit, place, credentials, credential_id)
    try:
        await credentials.delete(visit.who, credential_id)
    except InUse as error:
        return await _ask(visit, place, found, flows, refused=str(error))
    return visit.go(f"{place.path}/credentials", done="deleted")


async def _find(visit: Visit, place: WorkspacePlace, credentials: Credentials, credential_id: str) -> Credential:
    found = (await credentials.get(visit.who, credential_id)).credential
    if found.workspace_id != place.id:
        raise NotFound
    return found


async def _page(
    visit: Visit,
    place: WorkspacePlace,
    found: Credential,
    connect_forms: ConnectForms,
    flows: Flows,
    *,
    status: int = 200,
    **told: Any,
) -> Response[str]:
    using, total = await used_by(visit, place, flows, credential_id=found.id, name="flows")
    may_edit = place.own.allows(CREDENTIAL_EDIT)
    form = None
    if place.may_connect:
        try:
            form = await connect_forms.of_component(visit.who, place.id, found.component_id)
        except NotFound:
            form = None  # credentials outlive their component
    names = await connect_forms.component_names(visit.who, place.id, [found.component_id])
    values: dict[str, Any] = {"name": found.name, "wrong": "", "clear": None}
    return visit.page(
        "credentials/credential.html",
        status=status,
        place=place,
        found=found,
        component=names.get(found.component_id, ""),
        flows=using,
        flow_pager=visit.pager(total, "flows"),
        flow=visit.asked("flow"),
        may_edit=may_edit,
        may_reconnect=may_edit and form is not None and form.way is Way.consent,
        may_audit=visit.allows("tenants.audit.get"),
        done=visit.done(_DONE),
        **{**values, **told},
    )


async def _ask(
    visit: Visit, place: WorkspacePlace, found: Credential, flows: Flows, refused: str = ""
) -> Response[str]:
    place.require(CREDENTIAL_EDIT)
    using, total = await used_by(visit, place, flows, credential_id=found.id)
    return visit.page(
        "credentials/credential_delete.html",
        status=409 if refused else 200,
        place=place,
        found=found,
        flows=using,
        flow_total=total,
        blocked=any(flow.status is FlowStatus.active for flow in using),
        refused=refused,
    )


def _path(place: WorkspacePlace, credential_id: str) -> str:
    return f"{place.path}/credentials/{credential_id}"
