"""The document that a client is named by (draft-ietf-oauth-client-id-metadata-document).

Its address is the `client_id`. Servers that take such clients fetch it, so nobody has to register anything.
"""

from typing import Any
from urllib.parse import urlsplit

from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.dynamic_registration import CODE_GRANTS


def client_document(address: str, redirect_uri: str, name: str) -> dict[str, Any]:
    """Return the document (section 4 of the draft): metadata of RFC 7591 section 2, with the client's id.

    Args:
        address: where it is served, which is the `client_id`.
        redirect_uri: where browsers come back.
        name: of the client, for people.
    """
    origin = urlsplit(address)
    return {
        "client_id": address,
        "client_name": name,
        "client_uri": f"{origin.scheme}://{origin.netloc}",
        "redirect_uris": [redirect_uri],
        "grant_types": list(CODE_GRANTS),
        "response_types": ["code"],
        "token_endpoint_auth_method": TokenEndpointAuthMethod.NONE.value,
    }
