"""`keyrack demo`: the command; what it does is in `keyrack.demo`."""

from typing import Annotated

import typer


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Exit after the last step: with 0 if every step succeeded, else 1.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Complete the consent yourself in a browser.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every call and its answer, not only a line a step.")
    ] = False,
) -> None:
    """Play a story that shows Keyrack. It runs on SQLite, with generated keys and the bundled simulator."""
    from keyrack.demo.play import play

    play(once=once, browser=browser, verbose=verbose)
