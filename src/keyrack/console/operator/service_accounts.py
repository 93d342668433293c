"""`/console/installation/service-accounts`: identities above all tenants, for those who hold permissions on them."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.service_accounts import ChangeServiceAccountBody
from keyrack.console.core.forms import body_of, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.roles import grouped
from keyrack.errors import AlreadyExists, Forbidden, KeyrackError, ValidationFailed
from keyrack.model.identity import ServiceAccount
from keyrack.service.authz.permissions import ALL
from keyrack.service.operator.service_accounts import ServiceAccountAdmin, ServiceAccountChange

PATH = "/console/installation/service-accounts"
_TYPE = "service-account"
_EDIT, _DELETE = "global.service_accounts.edit", "global.service_accounts.delete"
_FIELDS = {"/data/attributes/username": "username", "/data/attributes/permissions": "permissions"}
_DONE = {"saved": "The service account is changed; its keys stay.", "deleted": "The service account is deleted."}


@get("/installation/service-accounts", media_type=MediaType.HTML)
async def service_account_list(
    visit: NamedDependency[Visit], service_accounts: NamedDependency[ServiceAccountAdmin]
) -> Response[str]:
    """List the service accounts with what each may do."""
    q = visit.asked("q")
    found, total = await service_accounts.list(visit.who, part=q, limit=ROWS, offset=offset_of(visit.page_number()))
    return visit.page(
        "operator/service_accounts.html",
        accounts=found,
        q=q,
        pager=visit.pager(total),
        grouped=grouped,
        may_edit=visit.allows(_EDIT),
        may_delete=visit.allows(_DELETE),
        done=visit.done(_DONE),
    )


@get("/installation/service-accounts/{service_account_id:str}", media_type=MediaType.HTML)
async def service_account_form(
    visit: NamedDependency[Visit], service_account_id: PATH_ID, service_accounts: NamedDependency[ServiceAccountAdmin]
) -> Response[str]:
    """Show the form that changes a service account."""
    account = await service_accounts.get(visit.who, service_account_id)
    typed = {"username": account.username, "permissions": sorted(account.permissions)}
    return _form(visit, account, typed)


@post("/installation/service-accounts/{service_account_id:str}", media_type=MediaType.HTML)
async def service_account_changed(
    visit: NamedDependency[Visit], service_account_id: PATH_ID, service_accounts: NamedDependency[ServiceAccountAdmin]
) -> Response[str]:
    """Change a service account's name or permissions."""
    form = await visit.form()
    typed = {"username": form.text("username"), "permissions": list(form.all("permissions"))}
    body = body_of(ChangeServiceAccountBody, _TYPE, typed)
    change = body.then(lambda given: ServiceAccountChange(form.text("username"), given.data.attributes.permissions))
    try:
        await service_accounts.change(visit.who, service_account_id, change)
    except (ValidationFailed, AlreadyExists, Forbidden) as error:
        if not visit.allows(_EDIT):
            raise
        return _form(visit, await service_accounts.get(visit.who, service_account_id), typed, error)
    return visit.go(PATH, done="saved")


@get("/installation/service-accounts/{service_account_id:str}/delete", media_type=MediaType.HTML)
async def service_account_deleting(
    visit: NamedDependency[Visit], service_account_id: PATH_ID, service_accounts: NamedDependency[ServiceAccountAdmin]
) -> Response[str]:
    """Say what goes with a service account."""
    account = await service_accounts.get(visit.who, service_account_id)
    if not visit.allows(_DELETE):
        raise Forbidden(f"this needs the permission {_DELETE}")
    is_self = service_account_id == visit.who.id
    return visit.page("operator/service_account_delete.html", account=account, is_self=is_self)


@post("/installation/service-accounts/{service_account_id:str}/delete", media_type=MediaType.HTML)
async def service_account_deleted(
    visit: NamedDependency[Visit], service_account_id: PATH_ID, service_accounts: NamedDependency[ServiceAccountAdmin]
) -> Response[str]:
    """Delete a service account with its keys."""
    await visit.form()
    await service_accounts.delete(visit.who, service_account_id)
    return visit.go(PATH, done="deleted")


def _form(
    visit: Visit, account: ServiceAccount, typed: dict[str, Any], error: KeyrackError | None = None
) -> Response[str]:
    """Show the form; only permissions that the visitor holds, or that are there already, can be given."""
    if not visit.allows(_EDIT):
        raise Forbidden(f"this needs the permission {_EDIT}")
    wrong, others = problems_by_field(error, _FIELDS)
    offered = {*account.permissions, *visit.who.permissions} & ALL
    return visit.page(
        "operator/service_account_form.html",
        status=200 if error is None else 400,
        account=account,
        typed=typed,
        groups=grouped(sorted(offered)),
        wrong=wrong,
        others=others,
    )
