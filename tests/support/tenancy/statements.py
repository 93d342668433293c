"""What a request costs, without a clock: the statements that it has the database execute, in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from support.app import World


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Gather the statements of everything that happens in the block; values are parameters, so not in them."""
    gathered: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        gathered.append(statement)

    engine = world.store._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield gathered
    finally:
        event.remove(engine, "before_cursor_execute", note)
