"""Describes the API as OpenAPI 3.1, from the handlers' own types (issue 2.9)."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.openapi.spec.schema import Schema
from litestar.params import PathParameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.routes import BaseRoute
from litestar.typing import FieldDefinition

from keyrack import __version__
from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.jsonapi import ErrorDocument

PATH_ID = Annotated[str, PathParameter(description="Opaque id; a malformed one is treated like an unknown one (404).")]

_MEANING: Mapping[int, str] = {
    400: "The request, its body or a parameter is not valid; one error for each problem, with a pointer.",
    401: "No valid user name and API key.",
    403: "Not permitted.",
    404: "No such resource, or a related one named in the body does not exist.",
    405: "The route does not take this method; `Allow` lists those it takes.",
    406: "Not JSON, or JSON is not accepted.",
    409: "Wrong resource type, duplicate, or blocked by the current state.",
    413: "The body is larger than 1 MiB.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "The database cannot be reached; `Retry-After` says when to come back.",
}
_ALWAYS = (400, 401, 404, 405, 406, 429, 503)
_WITH_BODY = (409, 413)


class Refusals:
    """Documents what a handler refuses with; the statuses of contract section 3 come by themselves."""

    @staticmethod
    def of(*statuses: int, body: bool = False) -> dict[int, ResponseSpec]:
        """Return the specification of error responses.

        Args:
            statuses: statuses of this handler beyond those every endpoint can answer.
            body: whether it takes a JSON body, which adds 409 and 413.
        """
        wanted = sorted({*_ALWAYS, *statuses, *(_WITH_BODY if body else ())})
        return {
            status: ResponseSpec(ErrorDocument, description=_MEANING[status], generate_examples=False)
            for status in wanted
        }


_KNOWN_AS: Mapping[bytes, bytes] = {
    b"keyrack.api.audit_log.": b"keyrack.api.audit.",
    b"keyrack.api.users.": b"keyrack.api.people.",
}
"""Modules that moved, and what the names of schemas still say: programs were generated from them."""


def as_json(app: Litestar) -> bytes:
    """Return the description of the API as JSON."""
    text = msgspec.json.encode(app.openapi_schema.to_schema())
    for now, before in _KNOWN_AS.items():
        text = text.replace(now, before)
    described = msgspec.json.decode(text)
    schemas = described["components"]["schemas"]
    described["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas)}
    return msgspec.json.encode(described)


class UnvalidatedBodySchemas(OpenAPISchemaPlugin):
    """Shows `UnvalidatedBody[T]` as `T`."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether this plugin describes a type."""
        return getattr(value, "__origin__", None) is UnvalidatedBody

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Tell whether this plugin describes a field."""
        return field_definition.origin is UnvalidatedBody

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Return the schema of what is inside."""
        (inner,) = get_args(field_definition.annotation)
        schema: Schema = schema_creator.for_field_definition(FieldDefinition.from_annotation(inner))
        return schema


class _NoPages(Router):
    """Takes none of the framework's own pages: `/openapi.json` and `/docs` are handlers of ours."""

    def register(self, value: Any) -> list[BaseRoute]:
        """Leave out what the framework adds."""
        del value
        return []


def config() -> OpenAPIConfig:
    """Return the description of the whole API."""
    return OpenAPIConfig(
        title="Keyrack",
        version=__version__,
        description=(
            "OAuth clients and user tokens for integration platforms. Every call is authenticated with HTTP Basic:"
            " user name (or email) and API key. A number such as 8.2 or contract 0.7 is a section of the contract, the"
            " rules that the API keeps: `docs/contract/README.md` in the repository of Keyrack."
        ),
        # relative to where the description comes from (OpenAPI 3.1 section 4.8.5): right under any proxy's path
        servers=[Server(url=".", description="where this description comes from")],
        security=[{"basic": []}],
        components=Components(security_schemes={"basic": SecurityScheme(type="http", scheme="basic")}),
        use_handler_docstrings=True,
        openapi_router=_NoPages("/", route_handlers=[]),
        render_plugins=[],
    )
