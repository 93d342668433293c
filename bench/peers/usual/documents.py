"""The usual build's requests and answers: JSON:API documents as Pydantic models."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

A = TypeVar("A", bound=BaseModel)


class Identifier(BaseModel):
    id: str
    type: str


class Links(BaseModel):
    self: str


class Relationship(BaseModel):
    data: Identifier
    links: Links


class ToMany(BaseModel):
    data: list[Identifier]


class Resource(BaseModel, Generic[A]):
    id: str
    links: Links
    attributes: A
    relationships: dict[str, Relationship | ToMany]
    type: str


class Document(BaseModel, Generic[A]):
    data: Resource[A]
    meta: dict[str, Any] = {}


class PageMeta(BaseModel):
    page: int
    per_page: int
    total: int
    total_pages: int


class Page(BaseModel, Generic[A]):
    data: list[Resource[A]]
    meta: PageMeta


class CredentialAttributes(BaseModel):
    name: str
    keys: dict[str, Any]


class OAuthClientAttributes(BaseModel):
    client_id: str = Field(min_length=1, max_length=4096)
    client_secret: str = Field(max_length=4096)


class AuthClientAttributes(BaseModel):
    type: str
    name: str
    credentials: dict[str, Any]


class SecretAttributes(BaseModel):
    name: str
    type: str
    state: str
    requested_scopes: list[str] = []
    missing_scopes: list[str] = []
    credentials: dict[str, Any]
    next_refresh_at: datetime


class FlowAttributes(BaseModel):
    name: str
    description: str
    type: str
    status: str
    current_status: str
    default_mapper_type: str
    api_version: str
    created_at: datetime
    updated_at: datetime
    last_modified: datetime
    graph: dict[str, Any]


class ComponentIdentifier(BaseModel):
    id: str
    type: Literal["component"]


class ComponentLinkage(BaseModel):
    data: ComponentIdentifier


class OAuthClientLinkage(BaseModel):
    component: ComponentLinkage


class OAuthClientData(BaseModel):
    type: Literal["oauth-client"]
    attributes: OAuthClientAttributes
    relationships: OAuthClientLinkage


class OAuthClientBody(BaseModel):
    data: OAuthClientData


def to(name: str, identifier: str, collection: str) -> Relationship:
    """Return a relationship to one resource."""
    return Relationship(data=Identifier(id=identifier, type=name), links=Links(self=f"/v2/{collection}/{identifier}"))
