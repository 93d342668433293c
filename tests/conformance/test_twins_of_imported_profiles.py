"""Every entry of other projects' catalogues holds against its twin once it is imported."""

from pathlib import Path

import pytest

from keyrack.oauth.profiles.kinds import Grant
from keyrack.service.importers.providers.files import converted_file
from support.node import MODULES
from support.parts import require_part, why_not_installed
from support.twins import differing, play_all, refused

NANGO = MODULES / "@nangohq" / "providers" / "providers.yaml"
GRANT = MODULES / "grant" / "config" / "oauth.json"
NO_PROFILES = {"certn-partner": "names no address for tokens", "sentry-oauth": "begins at the provider, with a webhook"}
"""Entries that say too little to become a profile that could work."""
REFUSED = {
    "a client certificate is not played by a twin yet": 5,
    "requests of OAuth 1.0a are signed with HMAC-SHA1, not with PLAINTEXT": 1,
}
"""How many entries ask for what is not there yet, by what that is; the numbers may only fall."""


@pytest.mark.parametrize(("file", "catalogue"), [(NANGO, "nango"), (GRANT, "grant")])
def test_every_imported_entry_holds_against_its_twin(file: Path, catalogue: str) -> None:
    if not file.exists():
        require_part("catalogues from npm", why_not_installed("node"))
    entries = list(converted_file(file.read_bytes(), catalogue))
    reports = play_all(entry.profile for entry in entries)
    wrong = differing(reports)
    assert {name: lines for name, lines in wrong.items() if name not in NO_PROFILES} == {}
    waiting = refused(reports)
    assert {why for why in waiting.values() if list(waiting.values()).count(why) > REFUSED.get(why, 0)} == set()
    grants = {entry.profile.name: entry.profile.grant for entry in entries}
    played = {Grant.AUTHORIZATION_CODE, Grant.CLIENT_CREDENTIALS}  # and OAuth 1.0a, but for one signature method
    assert [name for name, why in waiting.items() if grants[name] in played and "certificate" not in why] == []
    assert len(reports) == len(entries)
