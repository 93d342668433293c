"""Shared by all commands: opens the store, prints results as JSON or for people."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyrack.cli.tables import Table, shown
from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.visible import json_text, visible

if TYPE_CHECKING:
    from keyrack.store.core.store import Store

T = TypeVar("T")

_API_KEY = "api_key"

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
        typer.echo(f"{visible(name)}: {shown(value)}")


def show_made(result: Mapping[str, Any], keys: Mapping[str, Secret], *, as_json: bool) -> None:
    """Print what was made, with API keys that are not shown again: for people each in a line of its own, to be copied.

    Args:
        result: as JSON has it; a member that is an object has its own members shown.
        keys: new API keys by the user name they go with. In the JSON each stands where `result` has an `api_key`.
        as_json: whether to print JSON.
    """
    if as_json:
        show_json(result)
        return
    flat = {
        f"{name} {inner}" if inner else name: text
        for name, value in result.items()
        for inner, text in (value.items() if isinstance(value, Mapping) else [("", value)])
        if _API_KEY not in (name, inner)
    }
    show(flat, as_json=False)
    for owner, key in keys.items():
        typer.echo(f"\nAPI key of {visible(owner)}; it is not shown again:\n\n{key.reveal()}")


def moment(at: datetime | None) -> str | None:
    """Return a time as the API prints it, or None."""
    return None if at is None else iso(at)


def show_json(value: Any) -> None:
    """Print JSON in one line."""
    typer.echo(json_text(value))


def complain(text: str) -> None:
    """Print one line on standard error."""
    typer.echo(visible(text), err=True)


def show_list(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print several results: a JSON array of all that is known, or a table with some columns of it."""
    if as_json:
        show_json(rows)
        return
    table = table_of(columns)
    table.fit(rows)
    for line in chain(table.header(), *map(table.row, rows)):
        typer.echo(line)


def table_of(columns: Sequence[str]) -> Table:
    """Return an empty table for standard output: as wide as the terminal, if that is one."""
    return Table(columns, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
