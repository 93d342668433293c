"""Every entry of other projects' catalogues holds against its twin once it is imported."""

from pathlib import Path

import pytest

from keyrack.service.importers.providers.files import converted_file
from support.node import MODULES
from support.parts import require_part, why_not_installed
from support.twins import differing, play_all, refused

NANGO = MODULES / "@nangohq" / "providers" / "providers.yaml"
GRANT = MODULES / "grant" / "config" / "oauth.json"
NO_PROFILES = {"certn-partner": "names no address for tokens", "sentry-oauth": "begins at the provider, with a webhook"}
"""Entries that say too little to become a profile that could work."""


@pytest.mark.parametrize(("file", "catalogue"), [(NANGO, "nango"), (GRANT, "grant")])
def test_every_imported_entry_holds_against_its_twin(file: Path, catalogue: str) -> None:
    if not file.exists():
        require_part("catalogues from npm", why_not_installed("node"))
    entries = list(converted_file(file.read_bytes(), catalogue))
    reports = play_all(entry.profile for entry in entries)
    wrong = differing(reports)
    assert {name: lines for name, lines in wrong.items() if name not in NO_PROFILES} == {}
    assert {name: why for name, why in refused(reports).items() if name not in NO_PROFILES} == {}
    assert len(reports) == len(entries)
