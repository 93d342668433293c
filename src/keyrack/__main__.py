"""Runs the command `keyrack` for `python -m keyrack`."""

from keyrack.cli import main

main()
