"""Maps every error of Keyrack to an HTTP answer (contract section 3). The only such map."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, MethodNotAllowedException
from msgspec import UNSET

from keyrack import errors as e
from keyrack.api.core.jsonapi import UNREADABLE, Error, ErrorDocument, ErrorSource
from keyrack.crypto.envelope import DecryptionFailed
from keyrack.logs import log_fault

STATUS_AND_CODE: Mapping[type[e.KeyrackError], tuple[int, str]] = {
    e.BadRequest: (400, "bad_request"),
    e.ValidationFailed: (400, "validation_error"),
    e.NotRefreshable: (400, "not_refreshable"),
    e.ProviderError: (400, "provider_error"),
    e.ProviderUnavailable: (400, "provider_unavailable"),
    e.Unauthorized: (401, "unauthorized"),
    e.Forbidden: (403, "forbidden"),
    e.ContractSuspended: (403, "contract_suspended"),
    e.NotFound: (404, "not_found"),
    e.RelatedNotFound: (404, "related_not_found"),
    e.MethodNotAllowed: (405, "method_not_allowed"),
    e.NotAcceptable: (406, "not_acceptable"),
    e.TypeConflict: (409, "type_conflict"),
    e.IdConflict: (409, "id_conflict"),
    e.AlreadyExists: (409, "already_exists"),
    e.InUse: (409, "in_use"),
    e.StateConflict: (409, "state_conflict"),
    e.OAuthClientMissing: (409, "oauth_client_missing"),
    e.QuotaExceeded: (409, "quota_exceeded"),
    e.TokenNotValid: (409, "token_not_valid"),
    e.FrozenError: (423, "frozen"),
    DecryptionFailed: (409, "unreadable"),
    e.WrongKey: (409, "unreadable"),
    e.RequestTimeout: (408, "request_timeout"),
    e.PayloadTooLarge: (413, "payload_too_large"),
    e.RateLimited: (429, "rate_limited"),
    e.HeadTooLarge: (431, "headers_too_large"),
    e.TooManyConnections: (503, "too_many_connections"),
    e.DatabaseUnavailable: (503, "database_unavailable"),
    e.DiskFull: (503, "disk_full"),
    e.KeyServiceUnavailable: (503, "key_service_unavailable"),
    e.DataKeyRetired: (503, "data_key_retired"),
    e.KeyrackError: (500, "internal_error"),
}
"""Status and code of every error class; a class not listed is that of its nearest listed base."""

_SECONDS = {
    "data_key_retired": 1,
    "database_unavailable": 1,
    "disk_full": 10,
    "key_service_unavailable": 5,
    "too_many_connections": 1,
}
"""After how many a caller should come back, by code; for a full disk somebody has to make room."""

_UNREADABLE = "What is stored encrypted is damaged, or its key is gone; the request id finds it in the log."
_INTERNAL = "Something went wrong on our side; the request id finds it in the log."
_BY_STATUS: Mapping[int, type[e.KeyrackError]] = {
    HTTPStatus.BAD_REQUEST: e.BadRequest,
    HTTPStatus.NOT_FOUND: e.NotFound,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: e.PayloadTooLarge,
}


def status_and_code(error: e.KeyrackError) -> tuple[int, str]:
    """Return the HTTP status and code of an error."""
    return next(STATUS_AND_CODE[cls] for cls in type(error).__mro__ if cls in STATUS_AND_CODE)


def error_document(error: e.KeyrackError) -> tuple[int, bytes, Mapping[str, str]]:
    """Return the status, body and extra headers that say an error."""
    status, code = status_and_code(error)
    title = HTTPStatus(status).phrase
    meta: Any = dict(error.meta) if error.meta else UNSET
    entries = []
    for problem in error.problems:
        source: Any = UNSET
        if problem.pointer is not None:
            source = ErrorSource(pointer=problem.pointer)
        elif problem.parameter is not None:
            source = ErrorSource(parameter=problem.parameter)
        detail = {"internal_error": _INTERNAL, UNREADABLE: _UNREADABLE}.get(code, problem.detail)
        entries.append(Error(str(status), code, title, detail, source, meta))
    return status, msgspec.json.encode(ErrorDocument(entries)), _headers(error)


def _headers(error: e.KeyrackError) -> dict[str, str]:
    if isinstance(error, e.Unauthorized):
        return {"www-authenticate": 'Basic realm="api"'}
    if isinstance(error, e.MethodNotAllowed):
        return {"allow": ", ".join(error.allow)}
    if isinstance(error, e.RequestTimeout):
        return {"connection": "close"}
    seconds = error.retry_after if isinstance(error, e.RateLimited) else _SECONDS.get(status_and_code(error)[1])
    return {} if seconds is None else {"retry-after": str(seconds)}


def respond(error: e.KeyrackError) -> Response[bytes]:
    """Return the HTTP response that says an error."""
    status, body, headers = error_document(error)
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=dict(headers))


def on_keyrack_error(request: Request[Any, Any, Any], error: e.KeyrackError) -> Response[bytes]:
    """Answer an expected refusal."""
    del request
    if status_and_code(error)[0] == HTTPStatus.INTERNAL_SERVER_ERROR or status_and_code(error)[1] == UNREADABLE:
        log_fault(error)
    return respond(error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses before a handler runs: unknown route, method, size, parameters."""
    del request
    if isinstance(error, MethodNotAllowedException):
        given = (error.headers or {}).get("allow", "")
        methods = (method.strip() for method in given.split(","))
        allowed = [method for method in methods if method and method != "OPTIONS"]
        return respond(e.MethodNotAllowed([*allowed, "HEAD"] if "GET" in allowed else allowed))  # contract 0.22
    refusal = _BY_STATUS.get(error.status_code)
    if refusal is None:
        log_fault(error)
        return respond(e.KeyrackError())
    return respond(refusal())


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault of ours: 500, with nothing of its cause."""
    del request
    log_fault(error)
    return respond(e.KeyrackError())
