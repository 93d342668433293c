"""`/v2/service-accounts` (extension, contract 0.16): what the operator can do without the server's shell."""

from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, SelfLink, Single, link_self
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.clock import iso
from keyrack.model.identity import ServiceAccount
from keyrack.service.operator.service_accounts import ServiceAccountAdmin, ServiceAccountChange

Username = Annotated[str, Meta(min_length=1, max_length=320)]


class ServiceAccountAttributes(msgspec.Struct):
    """A name that is no email, and what it may do in all tenants."""

    username: str
    permissions: list[str]
    created_at: str


class ServiceAccountResource(msgspec.Struct):
    """A service account."""

    id: str
    links: SelfLink
    attributes: ServiceAccountAttributes
    type: Literal["service-account"] = "service-account"


class ChangedServiceAccountAttributes(msgspec.Struct):
    """What is to change; `permissions` replaces the whole list."""

    username: Username | UnsetType = UNSET
    permissions: list[str] | UnsetType = UNSET


class ChangeServiceAccount(msgspec.Struct):
    """Data of a change."""

    type: Literal["service-account"]
    attributes: ChangedServiceAccountAttributes
    id: str | UnsetType = UNSET


class ChangeServiceAccountBody(msgspec.Struct):
    """Body of a change."""

    data: ChangeServiceAccount


class ServiceAccountController(Controller):
    """Service accounts."""

    path = "/v2/service-accounts"
    tags = ("Service accounts",)

    @get(responses=Refusals.of(400, 403))
    async def list_all(
        self, who: Who, service_accounts: NamedDependency[ServiceAccountAdmin], page: WantedPage
    ) -> Many[ServiceAccountResource]:
        """List the installation's service accounts (extension, 0.16)."""
        return await read_list(page, partial(service_accounts.list, who), _resource)

    @get("/{service_account_id:str}", responses=Refusals.of(404))
    async def retrieve(
        self, service_account_id: PATH_ID, who: Who, service_accounts: NamedDependency[ServiceAccountAdmin]
    ) -> Single[ServiceAccountResource]:
        """Return one service account (extension, 0.16)."""
        return Single(_resource(await service_accounts.get(who, service_account_id)))

    @patch("/{service_account_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        service_account_id: PATH_ID,
        data: Body[ChangeServiceAccountBody],
        who: Who,
        service_accounts: NamedDependency[ServiceAccountAdmin],
    ) -> Single[ServiceAccountResource]:
        """Change a service account's name or permissions; only what the caller holds can be given (extension, 0.16)."""

        def changed(body: ChangeServiceAccountBody) -> ServiceAccountChange:
            require_id(body.data.id, service_account_id)
            attributes = body.data.attributes
            return ServiceAccountChange(or_none(attributes.username), or_none(attributes.permissions))

        return Single(_resource(await service_accounts.change(who, service_account_id, data.then(changed))))

    @delete("/{service_account_id:str}", responses=Refusals.of(403, 404))
    async def remove(
        self, service_account_id: PATH_ID, who: Who, service_accounts: NamedDependency[ServiceAccountAdmin]
    ) -> None:
        """Delete a service account; its API keys are gone at once (extension, 0.16)."""
        await service_accounts.delete(who, service_account_id)


def _resource(account: ServiceAccount) -> ServiceAccountResource:
    return ServiceAccountResource(
        account.id,
        link_self(f"/v2/service-accounts/{account.id}"),
        ServiceAccountAttributes(account.username, sorted(account.permissions), iso(account.created_at)),
    )
