"""Refuses query parameters of the form `name[...]` that a route does not read (contract 0.22).

`filter[stat]` for `filter[state]` would otherwise list everything. Which ones a route reads is what its handler, and
what the handler depends on, declare as a `QueryParameter`; so the OpenAPI document names the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.utils.signature import ParsedSignature

from keyrack.errors import Problem, ValidationFailed

_API = ("/v1/", "/v2/")
_SHOWN = 100


def require_known(handler: BaseRouteHandler, path: str, names: list[str]) -> None:
    """Refuse names in brackets that a route does not know; others that it does not know are ignored.

    Args:
        handler: the route's.
        path: of the request; outside of the API, as in a callback, others may add what they want.
        names: of the query's parameters, decoded.

    Raises:
        ValidationFailed: with one problem for each.
    """
    given = [name for name in names if "[" in name]
    if not given or not path.startswith(_API):
        return
    known = bracket_parameters(handler)
    detail = f"this route takes {', '.join(sorted(known))}" if known else "this route takes no such parameter"
    problems = [
        Problem(f"is not known; {detail}", parameter=name[:_SHOWN]) for name in given[:_SHOWN] if name not in known
    ]
    if problems:
        raise ValidationFailed(*problems)


def bracket_parameters(handler: BaseRouteHandler) -> frozenset[str]:
    """Return the query parameters in brackets that a route reads."""
    names = _query_parameters(handler.parsed_fn_signature, handler.resolve_dependencies())
    return frozenset(name for name in names if "[" in name)


def _query_parameters(signature: ParsedSignature, dependencies: Mapping[str, Provide]) -> Iterator[str]:
    for name, parameter in signature.parameters.items():
        described: Any = parameter.kwarg_definition
        if isinstance(described, QueryParameter):
            yield described.name or name
        elif name in dependencies:
            yield from _query_parameters(dependencies[name].parsed_fn_signature, dependencies)
