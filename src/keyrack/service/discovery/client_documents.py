"""Tells the documents that this installation is named by at servers that take such clients (decision 42)."""

from typing import Any
from urllib.parse import urlsplit

from keyrack.errors import NotFound, ValidationFailed
from keyrack.oauth.client_document import client_document
from keyrack.oauth.issuer_name import host_in, is_issuer_name, issuer_name
from keyrack.provider.uri_guard import check_uri
from keyrack.service.tenancy.redirect_uris import CALLBACK_PATHS, OAUTH2, of_issuer

PATH = "/oauth/client-metadata.json"
"""Of the document that clients are named by that were made before issuers had documents of their own."""
PATH_OF_ISSUERS = "/oauth/client-metadata"
"""Where each issuer's is, below its name. Both are parts of `client_id`s in use: they cannot change."""


class ClientDocuments:
    """The installation's own documents: one for each issuer, with a redirect URI that no other issuer has.

    Args:
        public_url: the setting of this name; without it each tenant has its own address, and there is no document.
    """

    def __init__(self, public_url: str | None) -> None:
        self._public_url = public_url

    @property
    def _base(self) -> str | None:
        """Our address; None where authorization servers could not fetch from it: no https, or private."""
        if self._public_url is None:
            return None
        try:
            check_uri(self._public_url, allow_insecure=False)
        except ValidationFailed:
            return None
        return self._public_url

    def client_of(self, issuer: str) -> tuple[str, str] | None:
        """Return `client_id` and redirect URI of Keyrack at an issuer; None: nobody could fetch a document."""
        base = self._base
        if base is None:
            return None
        return f"{base}{PATH_OF_ISSUERS}/{issuer_name(issuer)}", of_issuer(base + CALLBACK_PATHS[OAUTH2], issuer)

    def is_client_id(self, client_id: object) -> bool:
        """Tell whether a `client_id` is the address of one of the documents."""
        if self._base is None or not isinstance(client_id, str):
            return False
        return client_id == self._base + PATH or client_id.startswith(f"{self._base}{PATH_OF_ISSUERS}/")

    def document(self, named: str | None = None) -> dict[str, Any]:
        """Return a document, for whoever asks.

        Args:
            named: the name of the issuer that it is for; None: the one that clients had before.

        Raises:
            NotFound: there is none.
        """
        base = self._base
        if base is None:
            raise NotFound("this installation has no public https address (KEYRACK_PUBLIC_URL), so it is not a client")
        host, documented = urlsplit(base).hostname or "", base + CALLBACK_PATHS[OAUTH2]
        if named is None:
            return client_document(base + PATH, documented, f"Keyrack at {host}")
        if not is_issuer_name(named):
            raise NotFound("that is the name of no issuer")
        address = f"{base}{PATH_OF_ISSUERS}/{named}"
        return client_document(address, f"{documented}/{named}", f"Keyrack at {host}, for {host_in(named)}")
