"""Fills the usual build's database with what Keyrack has when it is measured, and tells where each thing is."""

import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bench import contents
from bench.peers.usual.access import engine
from bench.peers.usual.models import (
    ApiKey,
    AuthClient,
    AuthClientComponent,
    AuthSecret,
    Base,
    Component,
    Credential,
    Flow,
    FlowComponent,
    Membership,
    OAuthClient,
    Role,
    Tenant,
    User,
    Workspace,
    hash_of,
    new_id,
    now,
)

_EMAIL = "root@root.example"
_ADMIN = [f"tenants.oauth_clients.{action}" for action in ("create", "delete", "edit", "get")]
_OWNER = [
    f"workspaces.{what}.{action}"
    for what in ("auth_client", "credential", "flow", "secret")
    for action in ("create", "delete", "edit", "get")
]


async def fill(url: str) -> dict[str, Any]:
    """Create the tables and rows; return the members of an `Estate`."""
    made = engine(url)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(made) as session:
        told = await _rows(session)
        await session.commit()
    await made.dispose()
    return told


async def _rows(session: AsyncSession) -> dict[str, Any]:
    api_key = secrets.token_urlsafe(32)
    tenant = await _added(session, Tenant(name="Bench"))
    owned = {"tenant_id": tenant.id}
    workspace = await _added(session, Workspace(**owned, name="Bench"))
    user = await _added(session, User(**owned, email=_EMAIL))
    admin = await _added(session, Role(**owned, name="admin", permissions=_ADMIN))
    owner = await _added(session, Role(**owned, name="owner", permissions=_OWNER))
    await _added(session, Membership(user_id=user.id, workspace_id=None, role_id=admin.id))
    await _added(session, Membership(user_id=user.id, workspace_id=workspace.id, role_id=owner.id))
    await _added(session, ApiKey(user_id=user.id, key_hash=hash_of(api_key)))
    component, used = [await _added(session, Component(**owned, name=name)) for name in ("measured", "used")]
    spare = [Component(id=new_id(), **owned, name=f"spare-{n}") for n in range(contents.SPARE_COMPONENTS)]
    session.add_all(spare)
    placed = {**owned, "workspace_id": workspace.id}
    theirs = {**placed, "user_id": user.id}
    oauth_client = await _added(session, OAuthClient(**owned, component_id=component.id, pair=contents.PAIR))
    auth_client = await _added(
        session, AuthClient(**placed, name="Measured", type="oauth2", credentials=contents.AUTH_CLIENT)
    )
    await _added(session, AuthClientComponent(auth_client_id=auth_client.id, component_id=component.id))
    credential = await _added(
        session, Credential(**theirs, component_id=component.id, name="Measured", keys=contents.KEYS)
    )
    expires_at = now() + timedelta(seconds=contents.SECRET["expires_in"])
    fresh = {"type": "oauth2", "state": "ready", "expires_at": expires_at, "next_refresh_at": expires_at}
    stored = [
        AuthSecret(
            id=new_id(),
            **theirs,
            **fresh,
            auth_client_id=auth_client.id,
            name=f"Secret {n}",
            credentials=contents.SECRET,
        )
        for n in range(contents.SECRETS)
    ]
    session.add_all(stored)
    flow = await _added(
        session,
        Flow(
            **theirs, name="Measured", description="", type="ordinary", status="inactive", latest_version=new_id(),
            graph=contents.graph("main/used:run", used.id),
        ),
    )  # fmt: skip
    await _added(session, FlowComponent(flow_id=flow.id, component_id=used.id))
    secrets_path, clients_path = f"/v2/workspaces/{workspace.id}/secrets", f"/v2/tenants/{tenant.id}/oauth-clients"
    return {
        "user_name": _EMAIL,
        "api_key": api_key,
        "credential": f"/v2/credentials/{credential.id}",
        "oauth_client": f"{clients_path}/{oauth_client.id}",
        "auth_client": f"/v2/auth-clients/{auth_client.id}",
        "flow": f"/v2/flows/{flow.id}",
        "secret": f"{secrets_path}/{stored[0].id}",
        "secrets": secrets_path,
        "oauth_clients": clients_path,
        "spare_components": [each.id for each in spare],
    }


async def _added(session: AsyncSession, row: Any) -> Any:
    session.add(row)
    await session.flush()
    return row
