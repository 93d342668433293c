"""The access log: one line per request, without query strings, which may hold codes and states."""

import logging
from typing import Final

from aiohttp.abc import AbstractAccessLogger
from aiohttp.web import BaseRequest, StreamResponse

LOGGER: Final = logging.getLogger("keyrack.simulator.access")


class AccessLogger(AbstractAccessLogger):
    """Writes method, path, status and milliseconds."""

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Write one line; `time` is in seconds."""
        path = request.rel_url.raw_path
        self.logger.info("%s %s %d %.1fms", request.method, path, response.status, time * 1000)

    @property
    def enabled(self) -> bool:
        """Tell whether lines would be written at all."""
        return self.logger.isEnabledFor(logging.INFO)
