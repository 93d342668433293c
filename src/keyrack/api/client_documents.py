"""`/oauth/client-metadata.json`: the document whose address is a `client_id` of ours (decision 42)."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.service.discovery.client_documents import PATH, ClientDocuments

_CACHED = "public, max-age=3600"


@get(PATH, include_in_schema=False)
async def client_metadata(client_documents: NamedDependency[ClientDocuments]) -> Response[Any]:
    """Return the document to whoever asks: authorization servers do, who have no key of ours."""
    body = msgspec.json.encode(client_documents.document())
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": _CACHED})
