"""Finds the provider profile that stands for another system's provider, by its name."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from keyrack.errors import ConfigurationError
from keyrack.model import Json
from keyrack.oauth.profiles.catalogue import catalogue

_LARGEST = 1 << 20
_FAMILIES: Mapping[str, str] = {
    "google": "google",
    "gmail": "google",
    "youtube": "google",
    "microsoft": "microsoft",
    "azure": "microsoft",
    "outlook": "microsoft",
    "one-drive": "microsoft",
    "onedrive": "microsoft",
    "sharepoint": "microsoft",
    "excel": "microsoft",
}
"""By the first part of a name: what has one authorization server for many products."""
_FIRST_PART = re.compile(r"[A-Za-z]?[a-z0-9]+")
_NANGO: Mapping[str, str] = {
    "exact": "exact-online",
    "facebook-pages": "facebook",
    "github-app-oauth": "github",
    "gitlab-self-hosted": "gitlab",
    "jira-data-center": "jira",
    "atlassian": "jira",
    "monday-com": "monday",
    "quickbooks-sandbox": "quickbooks",
    "shopify-partner": "shopify",
    "slack-bot": "slack",
    "stripe-express": "stripe",
    "stripe-app": "stripe",
    "twitter-v2": "x",
    "twitter": "x",
    "x-social": "x",
    "xero-oauth2": "xero",
    "zoho-crm": "zoho",
    "zoho-books": "zoho",
    "zoho-desk": "zoho",
    "zoho-mail": "zoho",
    "hubspot-developer": "hubspot",
}
_N8N: Mapping[str, str] = {
    "googleApi": "google",
    "gSuiteAdmin": "google",
    "gmail": "google",
    "youTube": "google",
    "twitter": "x",
    "mondayCom": "monday",
    "helpScout": "helpscout",
    "jiraSoftwareCloud": "jira",
    "linkedInCommunityManagement": "linkedin",
    "quickBooks": "quickbooks",
    "surveyMonkey": "surveymonkey",
    "facebookGraph": "facebook",
    "ciscoWebex": "webex",
    "clickUp": "clickup",
    "bitly": "",
}
_OAUTHAPP: Mapping[str, str] = {"microsoft_azure_ad": "microsoft"}
_TABLES = {"nango": _NANGO, "n8n": _N8N, "vault-oauthapp": _OAUTHAPP}


def no_profile(provider: str) -> str:
    """Return why a client of a provider without a profile is left out."""
    return f"there is no provider profile for {provider!r}: name one in the mapping file, or give --profiles"


class Profiles:
    """Profiles for one system's providers.

    Args:
        source: the system.
        named: by the other system's name of a provider: a profile's name, as the mapping file has it.
        folder: where profiles of one's own are, as `keyrack providers import` writes them; they count first.
    """

    def __init__(self, source: str, named: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._table = _TABLES[source]
        self._named = named or {}
        self._folder = folder
        self._read: dict[str, str | Json | None] = {}

    def of(self, provider: str) -> str | Json | None:
        """Return what an auth client takes as `provider_profile`: a name or a whole profile; None if there is none."""
        if provider not in self._read:
            self._read[provider] = self._found(provider)
        return self._read[provider]

    def _found(self, provider: str) -> str | Json | None:
        name = self._named.get(provider, provider)
        own = self._own(name)
        if own is not None:
            return own
        known = catalogue()
        family = _FIRST_PART.match(name)
        candidates = [name, self._table.get(name, ""), _FAMILIES.get(family[0].lower() if family else "", "")]
        return next((each for each in candidates if each in known), None)

    def _own(self, name: str) -> Json | None:
        if self._folder is None or not name or "/" in name or name.startswith("."):
            return None
        path = self._folder / f"{name}.json"
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{path} is no provider profile") from None
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path} is no provider profile")
        return found
