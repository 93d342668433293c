"""The usual build's routes: four reads, the hot read, a page of secrets, and the writes of OAuth clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import FastAPI, HTTPException, Query, Request
from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.interfaces import ORMOption

from bench.peers.usual import documents as d
from bench.peers.usual.access import Caller, Session, engine, require
from bench.peers.usual.models import (
    AuditEvent,
    AuthClient,
    AuthSecret,
    Component,
    Credential,
    Flow,
    FlowComponent,
    OAuthClient,
    User,
    Workspace,
)

Owned = TypeVar("Owned", Credential, AuthClient, AuthSecret, Flow, OAuthClient, Component, Workspace)


def application(url: str) -> FastAPI:
    """Return the application on a database that is filled already."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        made = engine(url)
        app.state.sessions = async_sessionmaker(made, expire_on_commit=False)
        yield
        await made.dispose()

    app = FastAPI(lifespan=lifespan)
    app.get("/healthz")(_healthz)
    app.get("/v2/credentials/{credential_id}")(_credential)
    app.get("/v2/auth-clients/{auth_client_id}")(_auth_client)
    app.get("/v2/flows/{flow_id}")(_flow)
    app.get("/v2/workspaces/{workspace_id}/secrets")(_secrets)
    app.get("/v2/workspaces/{workspace_id}/secrets/{secret_id}")(_secret)
    oauth_clients = "/v2/tenants/{tenant_id}/oauth-clients"
    app.post(oauth_clients, status_code=201)(_create_oauth_client)
    app.get(oauth_clients + "/{oauth_client_id}")(_oauth_client)
    app.patch(oauth_clients + "/{oauth_client_id}")(_replace_oauth_client)
    app.delete(oauth_clients + "/{oauth_client_id}", status_code=204)(_delete_oauth_client)
    return app


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}


async def _credential(credential_id: str, caller: Caller, session: Session) -> d.Document[d.CredentialAttributes]:
    found = await _find(session, caller, Credential, credential_id)
    require(caller, "workspaces.credential.get", found.workspace_id)
    resource = d.Resource(
        id=found.id,
        links=d.Links(self=f"/v2/credentials/{found.id}"),
        attributes=d.CredentialAttributes(name=found.name, keys=found.keys),
        relationships={
            "user": d.to("user", found.user_id, "users"),
            "component": d.to("component", found.component_id, "components"),
            "workspace": d.to("workspace", found.workspace_id, "workspaces"),
        },
        type="credential",
    )
    return d.Document(data=resource)


async def _auth_client(auth_client_id: str, caller: Caller, session: Session) -> d.Document[d.AuthClientAttributes]:
    found = await _find(session, caller, AuthClient, auth_client_id, selectinload(AuthClient.components))
    require(caller, "workspaces.auth_client.get", found.workspace_id)
    resource = d.Resource(
        id=found.id,
        links=d.Links(self=f"/v2/auth-clients/{found.id}"),
        attributes=d.AuthClientAttributes(type=found.type, name=found.name, credentials=found.credentials),
        relationships={
            "components": d.ToMany(
                data=[d.Identifier(id=each.component_id, type="component") for each in found.components]
            ),
            "workspace": d.to("workspace", found.workspace_id, "workspaces"),
        },
        type="auth-client",
    )
    return d.Document(data=resource)


async def _flow(flow_id: str, caller: Caller, session: Session) -> d.Document[d.FlowAttributes]:
    found = await _find(session, caller, Flow, flow_id)
    require(caller, "workspaces.flow.get", found.workspace_id)
    resource = d.Resource(
        id=found.id,
        links=d.Links(self=f"/v2/flows/{found.id}"),
        attributes=d.FlowAttributes(
            name=found.name,
            description=found.description,
            type=found.type,
            status=found.status,
            current_status=found.status,
            default_mapper_type="jsonata",
            api_version="2.0",
            created_at=found.created_at,
            updated_at=found.updated_at,
            last_modified=found.updated_at,
            graph=found.graph,
        ),
        relationships={
            "user": d.to("user", found.user_id, "users"),
            "workspace": d.to("workspace", found.workspace_id, "workspaces"),
            "latest_version": d.to("flow-version", found.latest_version, f"flows/{found.id}/versions"),
        },
        type="flow",
    )
    return d.Document(data=resource)


async def _secret(
    workspace_id: str, secret_id: str, caller: Caller, session: Session
) -> d.Document[d.SecretAttributes]:
    require(caller, "workspaces.secret.get", workspace_id)
    found = await _find(session, caller, AuthSecret, secret_id)
    if found.workspace_id != workspace_id:
        raise HTTPException(404)
    return d.Document(data=_secret_resource(found))


async def _secrets(
    workspace_id: str,
    caller: Caller,
    session: Session,
    size: Annotated[int, Query(alias="page[size]", ge=1, le=100)] = 50,
    number: Annotated[int, Query(alias="page[number]", ge=1)] = 1,
) -> d.Page[d.SecretAttributes]:
    require(caller, "workspaces.secret.get", workspace_id)
    await _find(session, caller, Workspace, workspace_id)
    theirs = AuthSecret.workspace_id == workspace_id
    total = await session.scalar(select(func.count()).select_from(AuthSecret).where(theirs)) or 0
    page = select(AuthSecret).where(theirs).order_by(AuthSecret.id).limit(size).offset((number - 1) * size)
    found = await session.scalars(page)
    meta = d.PageMeta(page=number, per_page=size, total=total, total_pages=-(-total // size))
    return d.Page(data=[_secret_resource(secret) for secret in found], meta=meta)


async def _create_oauth_client(
    tenant_id: str, body: d.OAuthClientBody, request: Request, caller: Caller, session: Session
) -> d.Document[d.OAuthClientAttributes]:
    _require_in_tenant(caller, tenant_id, "tenants.oauth_clients.create")
    component_id = body.data.relationships.component.data.id
    await _find(session, caller, Component, component_id)
    made = OAuthClient(tenant_id=tenant_id, component_id=component_id, pair=body.data.attributes.model_dump())
    session.add(made)
    try:
        await session.flush()
    except IntegrityError:
        raise HTTPException(409, "the tenant has a client for this component") from None
    _note(session, caller, request, "oauth-client.create", made)
    await session.commit()
    return _oauth_client_document(made)


async def _oauth_client(
    tenant_id: str, oauth_client_id: str, caller: Caller, session: Session
) -> d.Document[d.OAuthClientAttributes]:
    _require_in_tenant(caller, tenant_id, "tenants.oauth_clients.get")
    return _oauth_client_document(await _find(session, caller, OAuthClient, oauth_client_id))


async def _replace_oauth_client(
    tenant_id: str, oauth_client_id: str, body: d.OAuthClientBody, request: Request, caller: Caller, session: Session
) -> d.Document[d.OAuthClientAttributes]:
    _require_in_tenant(caller, tenant_id, "tenants.oauth_clients.edit")
    found = await _find(session, caller, OAuthClient, oauth_client_id)
    component_id = body.data.relationships.component.data.id
    await _find(session, caller, Component, component_id)
    if component_id != found.component_id:
        await _require_unused(session, found)
        found.component_id = component_id
    found.pair = body.data.attributes.model_dump()
    _note(session, caller, request, "oauth-client.edit", found)
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "the tenant has a client for this component") from None
    return _oauth_client_document(found)


async def _delete_oauth_client(
    tenant_id: str, oauth_client_id: str, request: Request, caller: Caller, session: Session
) -> None:
    _require_in_tenant(caller, tenant_id, "tenants.oauth_clients.delete")
    found = await _find(session, caller, OAuthClient, oauth_client_id)
    await _require_unused(session, found)
    await session.delete(found)
    _note(session, caller, request, "oauth-client.delete", found)
    await session.commit()


async def _find(session: AsyncSession, caller: User, model: type[Owned], identifier: str, *options: ORMOption) -> Owned:
    found = await session.scalar(
        select(model).where(model.id == identifier, model.tenant_id == caller.tenant_id).options(*options)
    )
    if found is None:
        raise HTTPException(404)
    return found


def _require_in_tenant(caller: User, tenant_id: str, permission: str) -> None:
    if caller.tenant_id != tenant_id:
        raise HTTPException(404)
    require(caller, permission)


async def _require_unused(session: AsyncSession, client: OAuthClient) -> None:
    if await session.scalar(select(exists().where(FlowComponent.component_id == client.component_id))):
        raise HTTPException(409, "a flow uses the component")


def _note(session: AsyncSession, caller: User, request: Request, action: str, client: OAuthClient) -> None:
    session.add(
        AuditEvent(
            tenant_id=caller.tenant_id,
            user_id=caller.id,
            action=action,
            target_type="oauth-client",
            target_id=client.id,
            address=request.client.host if request.client else None,
        )
    )


def _oauth_client_document(client: OAuthClient) -> d.Document[d.OAuthClientAttributes]:
    resource = d.Resource(
        id=client.id,
        links=d.Links(self=f"/v2/tenants/{client.tenant_id}/oauth-clients/{client.id}"),
        attributes=d.OAuthClientAttributes(**client.pair),
        relationships={"component": d.to("component", client.component_id, "components")},
        type="oauth-client",
    )
    return d.Document(data=resource)


def _secret_resource(secret: AuthSecret) -> d.Resource[d.SecretAttributes]:
    return d.Resource(
        id=secret.id,
        links=d.Links(self=f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}"),
        attributes=d.SecretAttributes(
            name=secret.name,
            type=secret.type,
            state=secret.state,
            credentials={**secret.credentials, "expires_at": secret.expires_at},
            next_refresh_at=secret.next_refresh_at,
        ),
        relationships={
            "workspace": d.to("workspace", secret.workspace_id, "workspaces"),
            "user": d.to("user", secret.user_id, "users"),
            "auth_client": d.to("auth-client", secret.auth_client_id, "auth-clients"),
            "auth-client": d.to("auth-client", secret.auth_client_id, "auth-clients"),
        },
        type="auth-secret",
    )
