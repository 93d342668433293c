"""Describes the API as OpenAPI 3.1, from the handlers' own types (issue 2.9)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

import msgspec
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag
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
    423: "The operator has frozen this because of an incident.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "The database cannot be reached, or its disk is full; `Retry-After` says when to come back.",
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


_SUCCESS: Mapping[str, str] = {"201": "Created.", "202": "Accepted.", "204": "Done. There is no body."}
_METHODS = ("get", "post", "put", "patch", "delete")
"""In this order a path's operations are described."""


def as_json(app: Litestar, examples: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the description of the API as JSON.

    Args:
        app: the application.
        examples: for operations, by method and path such as `POST /v2/flows`: request bodies by what they are
            examples of.
    """
    text = msgspec.json.encode(app.openapi_schema.to_schema())
    for now, before in _KNOWN_AS.items():
        text = text.replace(now, before)
    described = msgspec.json.decode(text)
    schemas = described["components"]["schemas"]
    described["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas)}
    described["paths"] = _in_order(described["paths"], [tag["name"] for tag in described["tags"]])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            _explain(operation, examples.get(f"{method.upper()} {path}", {}))
    return msgspec.json.encode(described)


def _in_order(paths: Mapping[str, Any], sections: Sequence[str]) -> dict[str, Any]:
    """Return paths by their section, each list before what it lists; in a path reading comes first."""

    def place(path: str) -> tuple[int, str]:
        tags = next(iter(paths[path].values())).get("tags", [])
        return min((sections.index(tag) for tag in tags if tag in sections), default=len(sections)), path

    return {
        path: {method: paths[path][method] for method in _METHODS if method in paths[path]}
        for path in sorted(paths, key=place)
    }


def _explain(operation: dict[str, Any], examples: Mapping[str, Any]) -> None:
    """Let an operation's docstring be its summary, and what is beyond the first line its description; add examples."""
    first, _, more = operation.get("description", "").partition("\n")
    if first:
        operation["summary"] = first.removesuffix(".")
    if first and not more.strip():
        del operation["description"]
    for status in _SUCCESS.keys() & operation["responses"].keys():
        operation["responses"][status]["description"] = _SUCCESS[status]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["examples"] = {
            f"example {number}": {"summary": title, "value": body}
            for number, (title, body) in enumerate(examples.items(), start=1)
        }


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


_WELCOME = """\
OAuth clients and user tokens for integration platforms.

**Signing in.** Every call is authenticated with HTTP Basic. Press *Authorize* and type

* as user name your email, or the name of a service account;
* as password an API key, `kr_…`. A key is shown once, where it is made: by `keyrack bootstrap` for the first admin and
  the first service account, by `keyrack users create`, `keyrack service-accounts create` and `keyrack api-keys create`,
  and by `POST /v2/users/me/api-keys` for whoever has one already. Who runs this installation can make one for you.

`GET /v2/users/me` shows whose key it is, `GET /v2/tenants` and `GET /v2/workspaces` the ids that most other calls need.

**Examples.** The bodies below work when they are sent: put your own ids in the place of words in capitals such as
`COMPONENT_ID`, and the names of a team, a component and one of its functions into a step's `command`.

**Errors** are documents too: `errors` names each thing that is wrong with a `code`, with a `detail` for people, and in
`source` the `pointer` or `parameter` of the request that it is about.

**Numbers** such as 8.2 or contract 0.7 are sections of the contract, the rules that the API keeps:
`docs/contract/README.md` in the repository of Keyrack. Guides for each of its users are there too, in `docs/guides/`.
"""
_AUTHORIZE = """\
User name: your email, or the name of a service account. Password: an API key (`kr_…`), which was shown once where it
was made; who runs this installation can make you another with `keyrack api-keys create`. It stays in this page until
you close or reload it, and is sent to this Keyrack only.
"""
SECTIONS: Mapping[str, str] = {
    "OAuth clients": "What a tenant has registered at providers: one client for each component (first generation).",
    "Consents": "Let a user connect an account; this makes a credential or an auth secret.",
    "Credentials": "What users have connected, first generation: the component refreshes the tokens.",
    "Auth clients": "Clients of the second generation: any number, for one or more components, in four scopes.",
    "Auth secrets": "What users have connected, second generation: Keyrack keeps the tokens fresh.",
    "Deleted clients": "Clients of both generations that can still be put back as they were (extension).",
    "Components": "Connectors to providers, their builds (`component.json`) and variables.",
    "Flows": "Graphs of steps, which use components with credentials or secrets.",
    "Runner": "What the program that starts components asks for, and hands back.",
    "Tenants": "Parts of the installation with users, roles and clients of their own.",
    "Roles": "Which permissions a tenant's roles have, and who is its admin.",
    "Users": "People, the own account and its API keys.",
    "Service accounts": "Programs that serve the whole installation, with permissions of their own.",
    "Contracts": "Customers of a tenant, their members and invites.",
    "Workspaces": "Where flows, credentials and secrets live, and who works there.",
    "Teams": "Who writes a contract's components.",
    "Webhooks": "Events sent to an address of the tenant (extension).",
    "Audit": "Who did what.",
}
"""The sections of the page, in its order."""


def config() -> OpenAPIConfig:
    """Return the description of the whole API."""
    return OpenAPIConfig(
        title="Keyrack",
        version=__version__,
        description=_WELCOME,
        # relative to where the description comes from (OpenAPI 3.1 section 4.8.5): right under any proxy's path
        servers=[Server(url=".", description="where this description comes from")],
        security=[{"basic": []}],
        components=Components(
            security_schemes={"basic": SecurityScheme(type="http", scheme="basic", description=_AUTHORIZE)}
        ),
        tags=[Tag(name=name, description=about) for name, about in SECTIONS.items()],
        use_handler_docstrings=True,
        openapi_router=_NoPages("/", route_handlers=[]),
        render_plugins=[],
    )
