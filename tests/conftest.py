"""Fixtures for every test: the real counterparts, the rule for parts a machine lacks, and what runs only when named."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.proofs import ONLY_WHEN_NAMED

pytest_plugins = [  # each after those it imports from
    "support.parts",
    "support.postgres",
    "support.openbao",
    "support.statements_seen",
    "support.authorization_servers",
    "support.mcp_server",
    "support.app",
    "support.browser",
    "support.keyrack_processes",
    "support.loopback_peers",
    "support.running",
    "support.grants",
    "support.raw_provider",
    "support.device_desk",
    "support.collector",
]

if settings.get_current_profile_name() == "default":  # CI has a profile of its own, without deadlines too
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without looking for garbage: there is none, and that takes half of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out of a run what only `make proofs` runs, unless the run names it."""
    own = collection_path.name
    if own in ONLY_WHEN_NAMED and not any(own in named for named in config.args):
        return True
    return None
