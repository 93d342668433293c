"""Every setting, error code, route and command is documented."""

from pathlib import Path

import pytest
from typer.main import get_command

from keyrack.api.core.errors import STATUS_AND_CODE
from keyrack.cli import app
from keyrack.settings import described
from support.app import World

ROOT = Path(__file__).parents[2]


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


@pytest.mark.parametrize("setting", sorted(described()))
def test_setting(setting: str) -> None:
    assert f"`{setting}`" in text("docs/operations.md")


@pytest.mark.parametrize("code", sorted({code for _, code in STATUS_AND_CODE.values()}))
def test_error_code(code: str) -> None:
    assert f"`{code}`" in text("docs/errors.md")


def test_commands() -> None:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [f"keyrack {name} {inner}" for inner in getattr(command, "commands", {})] or [f"keyrack {name}"]
    missing = [command for command in found if f"`{command}`" not in text("docs/commands.md")]
    assert len(found) > 10
    assert missing == []


async def test_routes(keyrack: World) -> None:
    description = (await keyrack.http.get("/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    found = [f"| {method.upper()} | `{path}` |" for path, item in description["paths"].items() for method in item]
    missing = [route for route in found if route not in text("docs/api.md")]
    assert len(found) > 40
    assert missing == []
