"""Benchmarks: Keyrack as a real process, beside other servers that do the same, in the same run."""

import sys
from pathlib import Path

# The real counterparts, PostgreSQL above all, are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
