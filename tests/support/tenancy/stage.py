"""Two tenants with one of everything each, and all callers of the table: what the tests of tenant isolation play on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from litestar.routes import HTTPRoute

from support.app import Caller, World
from support.tenancy.bodies import Ids, body
from support.tenancy.callers import build_callers, build_locked_out
from support.tenancy.estate import Estate, build_estate
from support.tenancy.snapshot import Snapshot, snapshot
from support.tenancy.table import Row


@dataclass(frozen=True)
class Stage:
    """What is there.

    Attributes:
        world: the installation.
        mine: the tenant whose resources the table is about.
        other: another tenant.
        callers: by the letters of the table's columns.
        locked_out: callers without a good key, by what is wrong with it.
        snapshot: the rows of the installation as they were at first.
    """

    world: World
    mine: Estate
    other: Estate
    callers: dict[str, Caller]
    locked_out: dict[str, Caller]
    snapshot: Snapshot

    def routes(self) -> set[tuple[str, str]]:
        """Return method and path of all routes, from the application itself: /openapi.json leaves some out."""
        app = self.world.litestar
        return {
            (method, route.path_format)
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for method in route.methods - {"OPTIONS", "HEAD"}
        }


@contextmanager
def _kept(world: World, made: tuple[Estate, Estate, dict[str, Caller], dict[str, Caller]]) -> Iterator[Stage]:
    with snapshot(world) as rows:
        yield Stage(world, *made, rows)


async def build_stage(world: World) -> Any:
    """Fill both tenants of a world; return the stage as a context, which ends it."""
    mine, other = await build_estate(world, "Acme"), await build_estate(world, "Globex")
    callers = await build_callers(world, mine, other)
    return _kept(world, (mine, other, callers, await build_locked_out(world, mine)))


async def ask(who: Caller, row: Row, ids: Ids) -> httpx2.Response:
    """Send the request of a row, about the resources that `ids` name."""
    return await who.call(row.method, row.path.format_map(ids), body(row.method, row.path, ids))
