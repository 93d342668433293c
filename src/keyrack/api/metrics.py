"""`/metrics`, for Prometheus: outside the contract; protected unless the operator opens it."""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from keyrack.api.core.middleware import PRINCIPAL
from keyrack.exposition import CONTENT_TYPE
from keyrack.model.identity import Principal
from keyrack.service.operator.metrics import MetricsReader


def _take_as_it_is(request: Request[Any, Any, Any]) -> None:
    """Judge nothing: scrapers accept text."""
    del request


@get("/metrics", include_in_schema=False, before_request=_take_as_it_is)
async def metrics(request: Request[Any, Any, Any], metrics_reader: NamedDependency[MetricsReader]) -> Response[bytes]:
    """Return the metrics of all processes of this server."""
    who: Principal | None = request.scope.get(PRINCIPAL)  # type: ignore[assignment] # put there by Middleware
    return Response(await metrics_reader.read(who), media_type=CONTENT_TYPE)
