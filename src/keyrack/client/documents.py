"""Turns answers into results and errors; nothing here does input or output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from keyrack.client.errors import KeyrackClientError, Problem, Unexpected, refusal
from keyrack.client.results import (
    AuthClient,
    AuthSecret,
    Component,
    Contract,
    Credential,
    Flow,
    OAuthClient,
    User,
    Workspace,
)
from keyrack.crypto.secret import Secret

T = TypeVar("T")
_CLIENT_FAULT = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: `body` is what its JSON says, None where it is no JSON.

    It may hold tokens, so it is left out of the repr.

    Attributes:
        at: the server's time when it answered, ours where it did not say.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    at: datetime


Parse = Callable[[Mapping[str, Any], datetime], T]
"""Makes a result of a resource and the server's time."""


def time_of(headers: Mapping[str, str]) -> datetime:
    """Return the time in the `Date` header, else ours."""
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def retry_after(headers: Mapping[str, str], at: datetime) -> float | None:
    """Return the seconds of `Retry-After`, a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - at).total_seconds())
    except (TypeError, ValueError):
        return None


def resource(answer: Answer, parse: Parse[T]) -> T:
    """Return the one resource of a good answer.

    Raises:
        Refused: the answer is an error document.
        Unexpected: it is something else.
    """
    return _parsed(answer, lambda body: parse(body["data"], answer.at))


def page(answer: Answer, parse: Parse[T]) -> tuple[list[T], int]:
    """Return the resources of a page, and how many pages there are.

    Raises:
        Refused: the answer is an error document.
        Unexpected: it is something else.
    """

    def read(body: Any) -> tuple[list[T], int]:
        return [parse(each, answer.at) for each in body["data"]], int(body["meta"].get("total_pages", 1))

    return _parsed(answer, read)


def _parsed(answer: Answer, read: Callable[[Any], T]) -> T:
    if answer.status >= _CLIENT_FAULT:
        raise _error(answer)
    try:
        return read(answer.body)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unexpected(f"{answer.status}, but not a document of Keyrack; is the address right?") from None


def _error(answer: Answer) -> KeyrackClientError:
    try:
        problems = [_problem(entry) for entry in answer.body["errors"]]
        return refusal(
            answer.status, problems, retry_after(answer.headers, answer.at), answer.headers.get("x-request-id")
        )
    except (KeyError, TypeError, IndexError, AttributeError):
        return Unexpected(f"{answer.status} without an error document; is the address right?")


def _problem(entry: Mapping[str, Any]) -> Problem:
    source = entry.get("source", {})
    return Problem(
        code=entry["code"],
        detail=entry["detail"],
        pointer=source.get("pointer"),
        parameter=source.get("parameter"),
        meta=entry.get("meta", {}),
    )


def user(data: Mapping[str, Any], _: datetime) -> User:
    """Read a user."""
    its = data["attributes"]
    return User(id=data["id"], email=its["email"], first_name=its["first_name"], last_name=its["last_name"])


def contract(data: Mapping[str, Any], _: datetime) -> Contract:
    """Read a contract."""
    return Contract(id=data["id"], name=data["attributes"]["name"], status=data["attributes"]["status"])


def workspace(data: Mapping[str, Any], _: datetime) -> Workspace:
    """Read a workspace."""
    its = data["attributes"]
    return Workspace(id=data["id"], name=its["name"], type=its["type"], contract_id=_related(data, "contract"))


def component(data: Mapping[str, Any], _: datetime) -> Component:
    """Read a component."""
    its = data["attributes"]
    return Component(id=data["id"], name=its["name"], team_name=its["team_name"], access=its["access"])


def flow(data: Mapping[str, Any], _: datetime) -> Flow:
    """Read a flow."""
    its = data["attributes"]
    return Flow(
        id=data["id"],
        name=its["name"],
        type=its["type"],
        status=its["status"],
        current_status=its["current_status"],
        workspace_id=_related(data, "workspace"),
        graph=its["graph"],
    )


def oauth_client(data: Mapping[str, Any], _: datetime) -> OAuthClient:
    """Read an OAuth client."""
    its = data["attributes"]
    return OAuthClient(
        id=data["id"],
        client_id=its["client_id"],
        client_secret=Secret(its["client_secret"]),
        component_id=_related(data, "component") if "relationships" in data else None,
    )


def auth_client(data: Mapping[str, Any], _: datetime) -> AuthClient:
    """Read an auth client."""
    its = data["attributes"]
    return AuthClient(
        id=data["id"],
        name=its["name"],
        type=its["type"],
        component_ids=tuple(each["id"] for each in data["relationships"]["components"]["data"]),
        credentials=its.get("credentials"),
    )


def credential(data: Mapping[str, Any], _: datetime) -> Credential:
    """Read a credential."""
    return Credential(
        id=data["id"],
        name=data["attributes"]["name"],
        component_id=_related(data, "component"),
        workspace_id=_related(data, "workspace"),
        keys=data["attributes"].get("keys"),
    )


def auth_secret(data: Mapping[str, Any], at: datetime) -> AuthSecret:
    """Read an auth secret."""
    its = data["attributes"]
    credentials = its.get("credentials")
    told = (credentials or {}).get("expires_at")
    expires_at = None if told is None else datetime.fromisoformat(told)
    return AuthSecret(
        id=data["id"],
        name=its["name"],
        type=its["type"],
        state=its["state"],
        error=its.get("error"),
        error_code=its.get("error_code"),
        workspace_id=_related(data, "workspace"),
        auth_client_id=_related(data, "auth_client"),
        expires_at=expires_at,
        seconds_left=None if expires_at is None else (expires_at - at).total_seconds(),
        credentials=credentials,
    )


def dpop_proof(data: Mapping[str, Any], at: datetime) -> Secret:
    """Read a proof."""
    del at
    return Secret(data["attributes"]["proof"])


def _related(data: Mapping[str, Any], name: str) -> str:
    identifier: str = data["relationships"][name]["data"]["id"]
    return identifier
