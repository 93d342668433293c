"""`/healthz`, `/readyz`, `/openapi.json` and `/docs`: outside the contract, without authentication."""

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.store.store import Store


@get("/healthz", include_in_schema=False)
async def healthz() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@get("/readyz", include_in_schema=False)
async def readyz(store: NamedDependency[Store]) -> dict[str, str]:
    """Tell that the database answers; 503 when it does not."""
    await store.ping()
    return {"status": "ready"}


@get("/openapi.json", include_in_schema=False)
async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the description of the API (OpenAPI 3.1)."""
    return Response(_encoded(request.app.openapi_schema), media_type=MediaType.JSON)


@lru_cache(maxsize=1)
def _encoded(schema: Any) -> bytes:
    return msgspec.json.encode(schema.to_schema())
