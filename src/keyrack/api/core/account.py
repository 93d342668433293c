"""Gives account of a request: its line in the log and its count in the metrics."""

import time

import structlog

from keyrack import metrics
from keyrack.api.core.asgi import Scope
from keyrack.metrics import NO_ROUTE, OTHER

log = structlog.get_logger()

METHODS = {"GET", "POST", "PATCH", "PUT", "DELETE"}
"""Those that some route has."""
_COUNTED = METHODS | {"HEAD"}


class Account:
    """Logs and counts a request, once, by the method it came with.

    Attributes:
        scope: the request, as it is served.
        request_id: its id.
    """

    __slots__ = ("_given", "_method", "_started", "request_id", "scope")

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.scope = scope
        self.request_id = request_id
        self._method: str = scope["method"]
        self._started = time.perf_counter()
        self._given = False

    @property
    def method(self) -> str:
        """The method it came with, as it is counted: anybody may send any word."""
        return self._method if self._method in _COUNTED else OTHER

    @property
    def route(self) -> str:
        """The template of the route that was found, if there is one."""
        route: str = self.scope.get("path_template") or NO_ROUTE
        return route

    def give(self, status: int) -> None:
        """Log and count it with the status of its answer; later calls do nothing."""
        if self._given:
            return
        self._given = True
        scope, elapsed = self.scope, time.perf_counter() - self._started
        metrics.request(self.method, self.route, status, elapsed)
        # the path without its query string: queries carry codes and states (contract 0.18)
        log.info(
            "request",
            request_id=self.request_id,
            method=self._method,
            path=scope["path"][:200],
            status=status,
            ms=round(elapsed * 1000, 1),
        )
