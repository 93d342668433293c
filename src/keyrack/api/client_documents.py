"""`/oauth/client-metadata/ISSUER`: documents whose addresses are our `client_id` at an issuer (decision 42)."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath

from keyrack.service.discovery.client_documents import PATH, PATH_OF_ISSUERS, ClientDocuments

_CACHED = "public, max-age=3600"


@get(PATH, include_in_schema=False)
async def client_metadata(client_documents: NamedDependency[ClientDocuments]) -> Response[Any]:
    """Return the document that older clients are named by to whoever asks: authorization servers, without a key."""
    return _answer(client_documents.document())


@get(PATH_OF_ISSUERS + "/{issuer_name:str}", include_in_schema=False)
async def issuer_client_metadata(
    issuer_name: FromPath[str], client_documents: NamedDependency[ClientDocuments]
) -> Response[Any]:
    """Return the document for one issuer, as the other."""
    return _answer(client_documents.document(issuer_name))


def _answer(document: dict[str, Any]) -> Response[Any]:
    body = msgspec.json.encode(document)
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": _CACHED})
