"""The usual build's sessions, and who asks for what: Basic authentication with an API key, and permissions by role."""

import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import joinedload, selectinload

from bench.peers.usual.models import ApiKey, Membership, User, hash_of

_POOL_SIZE = 10  # as Keyrack's default
_basic = HTTPBasic()


def engine(url: str) -> AsyncEngine:
    """Return an engine of SQLAlchemy for a URL of PostgreSQL or SQLite."""
    driver = url.replace("postgresql://", "postgresql+asyncpg://", 1).replace("sqlite://", "sqlite+aiosqlite://", 1)
    return create_async_engine(driver, pool_size=_POOL_SIZE, max_overflow=0, pool_pre_ping=True)


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]


async def _caller(session: Session, given: Annotated[HTTPBasicCredentials, Security(_basic)]) -> User:
    found = await session.scalar(
        select(ApiKey)
        .where(ApiKey.key_hash == hash_of(given.password))
        .options(joinedload(ApiKey.user).options(selectinload(User.memberships).joinedload(Membership.role)))
    )
    if found is None or not secrets.compare_digest(found.user.email.encode(), given.username.encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
    return found.user


Caller = Annotated[User, Depends(_caller)]


def require(caller: User, permission: str, workspace_id: str | None = None) -> None:
    """Insist on a permission in the caller's tenant, or in one workspace of it.

    Raises:
        HTTPException: 403, the caller has no role with it.
    """
    for membership in caller.memberships:
        if membership.workspace_id in {None, workspace_id} and permission in membership.role.permissions:
            return
    raise HTTPException(403)
