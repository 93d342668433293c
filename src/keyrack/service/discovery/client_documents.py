"""Tells the document that this installation is named by at servers that take such clients (decision 42)."""

from typing import Any
from urllib.parse import urlsplit

from keyrack.errors import NotFound, ValidationFailed
from keyrack.oauth.client_document import client_document
from keyrack.provider.uri_guard import check_uri
from keyrack.service.consents.protocols import CALLBACK_PATHS, OAUTH2

PATH = "/oauth/client-metadata.json"
"""Part of the `client_id` of clients that exist: it cannot change."""


class ClientDocuments:
    """The installation's own document.

    Args:
        public_url: the setting of this name; without it each tenant has its own address, and there is no document.
    """

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url

    @property
    def client_id(self) -> str | None:
        """The address of the document; None where authorization servers could not fetch it: no https, or not public."""
        if self._public_url is None:
            return None
        try:
            check_uri(self._public_url, allow_insecure=False)
        except ValidationFailed:
            return None
        return self._public_url + PATH

    def document(self) -> dict[str, Any]:
        """Return the document, for whoever asks.

        Raises:
            NotFound: there is none.
        """
        address = self.client_id
        if address is None or self._public_url is None:
            raise NotFound("this installation has no public https address (KEYRACK_PUBLIC_URL), so it is not a client")
        host = urlsplit(address).hostname or ""
        return client_document(address, self._public_url + CALLBACK_PATHS[OAUTH2], f"Keyrack at {host}")
