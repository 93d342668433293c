"""How the server asks whether a request can be answered without the application: in the state of the lifespan."""

from collections.abc import Callable
from typing import Protocol

from keyrack.api.core.asgi import Scope

DIRECT = "keyrack.direct"
"""The name of a `Direct` in the state."""
COUNTED = "keyrack.counted"
"""In a scope: the request has been counted against the limits of rates; the refusal, or None if it is within them."""

Answer = tuple[bytes, bytes]
"""Lines of headers, each with its end, and the body, of a 200."""


class Direct(Protocol):
    """Answers what it can at once."""

    def take(self, scope: Scope, answer: Callable[[Answer | None], None]) -> bool:
        """Answer a request later, if it is one for this; tell whether it is.

        Args:
            scope: the request.
            answer: is given the answer, or None: the application must be asked after all, with the same scope.
        """
