"""Defines every call of the client as data: what is asked, how the answer is read. Both clients send them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from keyrack.client import documents as read
from keyrack.client.documents import Answer, Parse, page, resource
from keyrack.client.results import (
    AuthClient,
    AuthSecret,
    Component,
    Contract,
    Credential,
    Flow,
    OAuthClient,
    User,
    Workspace,
)
from keyrack.crypto.secret import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
PAGE_SIZE = 100


class Asked(Protocol[T_co]):
    """One request, and how its answer is read."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def path(self) -> str:
        """Below the address, already quoted."""

    @property
    def params(self) -> Mapping[str, str]:
        """The query."""

    @property
    def body(self) -> Mapping[str, Any] | None:
        """What is sent as JSON; None: nothing."""

    def result(self, answer: Answer) -> T_co:
        """Return what the answer holds.

        Raises:
            Refused: it is an error document.
            Unexpected: it is something else.
        """


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request for one resource.

    Attributes:
        path: below the address, already quoted.
    """

    path: str
    parse: Parse[T]
    params: Mapping[str, str]
    method: str = "GET"
    body: Mapping[str, Any] | None = field(default=None, repr=False)

    def result(self, answer: Answer) -> T:
        """Return what the answer holds."""
        return resource(answer, self.parse)


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """Requests for a list, page by page (contract section 4)."""

    path: str
    parse: Parse[T]
    params: Mapping[str, str]

    def numbered(self, number: int) -> "PageCall[T]":
        """Return the request for a page, counted from 1."""
        paging = {"page[size]": str(PAGE_SIZE), "page[number]": str(number)}
        return PageCall(self.path, self.parse, {**self.params, **paging})


@dataclass(frozen=True, slots=True)
class PageCall(Generic[T]):
    """One request for a page."""

    path: str
    parse: Parse[T]
    params: Mapping[str, str]
    method: str = "GET"
    body: Mapping[str, Any] | None = None

    def result(self, answer: Answer) -> tuple[list[T], int]:
        """Return the resources of the page, and how many pages there are."""
        return page(answer, self.parse)


def _path(*parts: str) -> str:
    return "/v2/" + "/".join(quote(part, safe="") for part in parts)


def _given(**params: str | None) -> dict[str, str]:
    """Return the parameters that are given; `filter_x` is `filter[x]`."""
    names = {name: f"filter[{name[7:]}]" if name.startswith("filter_") else name for name in params}
    return {names[name]: value for name, value in params.items() if value is not None}


def secret(workspace_id: str, secret_id: str, min_validity: int | None) -> Call[AuthSecret]:
    """15.2."""
    wanted = None if min_validity is None else str(min_validity)
    path = _path("workspaces", workspace_id, "secrets", secret_id)
    return Call(path, read.auth_secret, _given(min_validity=wanted))


def refresh(workspace_id: str, secret_id: str) -> Call[AuthSecret]:
    """15.3."""
    path = _path("workspaces", workspace_id, "secrets", secret_id, "refresh")
    return Call(path, read.auth_secret, {}, "POST")


def dpop_proof(workspace_id: str, secret_id: str, method: str, url: str, nonce: str | None) -> Call[Secret]:
    """Decision 41."""
    attributes = {"method": method, "url": url} | ({} if nonce is None else {"nonce": nonce})
    path = _path("workspaces", workspace_id, "secrets", secret_id, "dpop-proof")
    return Call(path, read.dpop_proof, {}, "POST", {"data": {"type": "dpop-proof", "attributes": attributes}})


def secrets(workspace_id: str, user_id: str | None, auth_client_id: str | None, state: str | None) -> Pages[AuthSecret]:
    """15.2."""
    params = _given(filter_user=user_id, filter_auth_client=auth_client_id, filter_state=state)
    return Pages(_path("workspaces", workspace_id, "secrets"), read.auth_secret, params)


def me() -> Call[User]:
    """11."""
    return Call(_path("users", "me"), read.user, {})


def contract(contract_id: str) -> Call[Contract]:
    """9."""
    return Call(_path("contracts", contract_id), read.contract, {})


def contracts() -> Pages[Contract]:
    """9."""
    return Pages(_path("contracts"), read.contract, {})


def workspace(workspace_id: str) -> Call[Workspace]:
    """10."""
    return Call(_path("workspaces", workspace_id), read.workspace, {})


def workspaces(contract_id: str | None) -> Pages[Workspace]:
    """10."""
    return Pages(_path("workspaces"), read.workspace, _given(contract_id=contract_id))


def flow(flow_id: str) -> Call[Flow]:
    """17."""
    return Call(_path("flows", flow_id), read.flow, {})


def flows(workspace_id: str, status: str | None, search: str | None) -> Pages[Flow]:
    """17."""
    return Pages(_path("flows"), read.flow, _given(workspace_id=workspace_id, filter_status=status, search=search))


def component(component_id: str) -> Call[Component]:
    """13.2."""
    return Call(_path("components", component_id), read.component, {})


def components(contract_id: str) -> Pages[Component]:
    """13.2."""
    return Pages(_path("components"), read.component, _given(contract_id=contract_id))


def credential(credential_id: str) -> Call[Credential]:
    """16."""
    return Call(_path("credentials", credential_id), read.credential, {})


def credentials(workspace_id: str, component_id: str | None) -> Pages[Credential]:
    """16."""
    params = _given(workspace_id=workspace_id, filter_component=component_id)
    return Pages(_path("credentials"), read.credential, params)


def oauth_client(tenant_id: str, client_id: str) -> Call[OAuthClient]:
    """8.1."""
    return Call(_path("tenants", tenant_id, "oauth-clients", client_id), read.oauth_client, {})


def oauth_clients(tenant_id: str, component_id: str | None) -> Pages[OAuthClient]:
    """8.3."""
    params = _given(filter_component=component_id)
    return Pages(_path("tenants", tenant_id, "oauth-clients"), read.oauth_client, params)


def auth_client(auth_client_id: str) -> Call[AuthClient]:
    """14.1."""
    return Call(_path("auth-clients", auth_client_id), read.auth_client, {})


def auth_clients(
    workspace_id: str | None, contract_id: str | None, tenant_id: str | None, component_id: str | None
) -> Pages[AuthClient]:
    """14.1."""
    params = _given(
        workspace_id=workspace_id, contract_id=contract_id, tenant_id=tenant_id, filter_component=component_id
    )
    return Pages(_path("auth-clients"), read.auth_client, params)
