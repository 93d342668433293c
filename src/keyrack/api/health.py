"""`/healthz`, `/readyz` and `/openapi.json`: outside the contract, without authentication."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core import openapi
from keyrack.api.examples import EXAMPLES
from keyrack.service.operator.key_watch import KeyWatch
from keyrack.store.core.store import Store


@get("/healthz", include_in_schema=False)
async def healthz() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@get("/readyz", include_in_schema=False)
async def readyz(store: NamedDependency[Store], key_watch: NamedDependency[KeyWatch]) -> dict[str, str]:
    """Tell that the database answers and has room; 503 with the cause when it does not.

    Without its key service a process is still ready, as it serves those whose data keys it has, and no other process
    would do better; it says so.
    """
    await store.ping()
    store.require_writable()
    if key_watch.fault is not None:
        return {"status": "degraded", "keys": "unavailable"}
    return {"status": "ready"}


@get("/openapi.json", include_in_schema=False)
async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the description of the API (OpenAPI 3.1); it is made once."""
    state = request.app.state
    if "openapi_json" not in state:
        state["openapi_json"] = openapi.as_json(request.app, EXAMPLES)
    return Response(state["openapi_json"], media_type=MediaType.JSON)
