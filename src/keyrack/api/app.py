"""Assembles the HTTP application from the controllers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from keyrack.api.core import openapi
from keyrack.api.core.accept import require_json_acceptable
from keyrack.api.core.body import (
    MAX_BODY_BYTES,
    JsonRequest,
    is_unvalidated_body,
    make_unvalidated_body,
)
from keyrack.api.core.bracket_parameters import require_known
from keyrack.api.core.errors import on_fault, on_http_exception, on_keyrack_error, respond
from keyrack.api.core.jsonapi import Page
from keyrack.api.core.lists import DocumentResponse
from keyrack.api.core.middleware import PRINCIPAL, request_id_of
from keyrack.api.core.pages import for_people
from keyrack.errors import KeyrackError, Problem, Unauthorized, ValidationFailed
from keyrack.model.identity import Principal
from keyrack.validation.strict_json import refuse_unstorable_text


@dataclass(frozen=True, slots=True)
class ApplicationParts:
    """What the application is made of.

    Attributes:
        handlers: controllers and handlers.
        services: use cases by the name under which handlers ask for them.
        root: the path that a proxy has put in front of ours, or nothing; pages find it in the application's state.
    """

    handlers: Sequence[type[Controller] | HTTPRouteHandler | Router]
    services: Mapping[str, Any]
    root: str = ""


def create_application(parts: ApplicationParts, running: AbstractAsyncContextManager[None]) -> Litestar:
    """Build the application.

    Args:
        parts: controllers and use cases.
        running: entered when the server starts, left when it stops.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with running:
            yield

    return Litestar(
        route_handlers=list(parts.handlers),
        dependencies={
            "who": Provide(principal, sync_to_thread=False),
            "page": Provide(page, sync_to_thread=False),
            **{name: _UseCase(_named(name, parts.services), sync_to_thread=False) for name in parts.services},
        },
        before_request=_judge_request,
        exception_handlers={
            KeyrackError: for_people(on_keyrack_error, request_id_of),
            ValidationException: for_people(_on_parameters, request_id_of),
            HTTPException: for_people(on_http_exception, request_id_of),
            Exception: for_people(on_fault, request_id_of),
        },
        lifespan=[lifespan],
        state=State({"root": parts.root}),
        openapi_config=openapi.config(),
        plugins=[openapi.UnvalidatedBodySchemas()],
        request_class=JsonRequest,
        response_class=DocumentResponse,
        request_max_body_size=MAX_BODY_BYTES,
        type_decoders=[(is_unvalidated_body, make_unvalidated_body)],
        logging_config=None,
    )


class _UseCase(Provide):
    """Hands a use case to handlers.

    Compared by identity: the framework compares each with each for every handler, two million times at each start.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def principal(request: Request[Any, Any, Any]) -> Principal:
    """Hand the caller to a handler; `Middleware` has authenticated it.

    Raises:
        Unauthorized: it has not, so nobody is calling.
    """
    who: Principal | None = request.scope.get(PRINCIPAL)  # type: ignore[assignment] # put there by Middleware
    if who is None:
        raise Unauthorized
    return who


def page(
    page_size: Annotated[str | None, QueryParameter(name="page[size]", description="Rows per page, 1 to 1000.")] = None,
    page_number: Annotated[str | None, QueryParameter(name="page[number]", description="Page number, from 1.")] = None,
) -> Page:
    """Hand the wanted page to a handler; lists without a default size return everything (contract section 4)."""
    return Page.parse(page_size, page_number)


def _named(name: str, services: Mapping[str, Any]) -> Any:
    """Return what hands a use case to a handler.

    After the caller, where there must be one: what does not wait for each other, the framework does in a task each.
    """

    def provide() -> Any:
        return services[name]

    def provide_after(who: NamedDependency[Principal]) -> Any:
        del who
        return services[name]

    return provide if name in _FOR_ANYBODY else provide_after


_FOR_ANYBODY = frozenset(
    {
        "account_setup",
        "callbacks",
        "client_documents",
        "connect_page",
        "connect_themes",
        "console",
        "consent_links",
        "key_watch",
        "metrics_reader",
        "organisation_sign_in",
        "own_permissions",
        "store",
        "throttle",
    }
)
"""Use cases of handlers that nobody need sign in for."""


async def _judge_request(request: Request[Any, Any, Any]) -> None:
    """Judge what every handler would have to, once the route is known (contract section 3: 406 before 400).

    Waits for nothing; a plain function would be run in a thread by the framework.
    """
    if PRINCIPAL in request.scope:
        require_json_acceptable(request.headers.getall("accept", []))
    given = dict(sorted(request.query_params.dict().items()))  # the framework has them in no order at all
    require_known(request.route_handler, request.scope["path"], list(given))
    for name, values in given.items():
        refuse_unstorable_text(name, "the query")
        for value in values:
            refuse_unstorable_text(value, "the query", parameter=name)


def _on_parameters(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Answer query parameters of the wrong form."""
    del request
    extra = error.extra if isinstance(error.extra, list) else []
    problems = [
        Problem("is missing or has the wrong form", parameter=str(entry.get("key")))
        for entry in extra
        if isinstance(entry, dict)
    ]
    return respond(ValidationFailed(*(problems or [Problem("a parameter is missing or has the wrong form")])))
