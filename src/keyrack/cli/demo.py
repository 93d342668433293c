"""`keyrack demo`; what it does is in `keyrack.demo`."""

from typing import Annotated

import typer


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End after the story: exit 0 if every step held, else 1.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Let a person go through the consent in a browser.")
    ] = False,
) -> None:
    """Show Keyrack's main job on SQLite with generated keys and the bundled simulator."""
    from keyrack.demo.play import play

    play(once=once, browser=browser)
