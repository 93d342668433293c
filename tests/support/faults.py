"""Faults put into the program under test, for a moment."""

from collections.abc import Callable
from typing import Any

import pytest


def fail_once(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, error: Callable[[], BaseException], times: int = 1
) -> None:
    """Let a method fail before it does anything."""
    original = getattr(owner, method)
    left = [times]

    async def failing(self: Any, *args: Any, **more: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise error()
        return await original(self, *args, **more)

    monkeypatch.setattr(owner, method, failing)
