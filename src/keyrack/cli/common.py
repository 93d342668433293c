"""Shared by all commands: opens the store, prints results as JSON or for people."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.visible import json_text, visible

if TYPE_CHECKING:
    from keyrack.store.core.store import Store

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def with_store(use: "Callable[[Store], Awaitable[T]]") -> T:
    """Open the store of the settings, use it, and close it.

    Raises:
        KeyrackError: whatever the settings or the use raise.
    """
    from keyrack import logs
    from keyrack.settings import load_settings
    from keyrack.wiring.storage import open_store

    settings = load_settings()
    logs.configure(settings)

    async def run() -> T:
        store = open_store(settings)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one result: a JSON object, or a name and value a line."""
    if as_json:
        show_json(result)
        return
    for name, value in result.items():
        typer.echo(visible(f"{name}: {value}"))


def show_json(value: Any) -> None:
    """Print JSON in one line."""
    typer.echo(json_text(value))


def complain(text: str) -> None:
    """Print one line on standard error."""
    typer.echo(visible(text), err=True)


def show_list(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print several results: a JSON array, or a table."""
    if as_json:
        show_json(rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        # as texts: plain strings are read as markup
        table.add_row(*(Text("" if value is None else visible(str(value))) for value in row.values()))
    Console().print(table)
