"""Makes an auth secret of another system's grant. Pure functions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.service.clients.auth_client_profile import FIELDS, provider_of
from keyrack.service.clients.connection_inputs import asked_inputs, is_needed, wrong_connection_inputs
from keyrack.service.importers.other_systems.entries import FoundGrant
from keyrack.service.secrets.changes import SecretOwner, bare
from keyrack.service.secrets.oauth2_credentials import POINTER, check_new
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.validation.pointer import join

_BOUND = "tokens of this provider are bound to keys that cannot be moved: connect again in Keyrack"
_TOKENS = ("access_token", "refresh_token", "scope")


def new_secret(
    found: FoundGrant, client: AuthClient, owner: SecretOwner, batch_id: str, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Return a secret with a grant's tokens, which awaits its cutover.

    Args:
        found: the grant.
        client: its auth client.
        owner: whose it becomes.
        batch_id: the import that brings it.
        schedule: when tokens are due.
        now: the current time.

    Raises:
        ValidationFailed: tokens are missing or wrong, or something that the client's profile asks for is.
    """
    empty = bare(owner, client, found.name, None, now)
    waiting = replace(empty, connected_at=found.connected_at, cutover_batch_id=batch_id)
    return _with_grant(waiting, found, client, schedule, now)


def renewed_secret(
    stored: AuthSecret, found: FoundGrant, client: AuthClient, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Return a secret that was brought before with the grant's newer tokens.

    Raises:
        ValidationFailed: as `new_secret`.
    """
    return _with_grant(replace(stored, stated_lifetime=None), found, client, schedule, now)


def has_tokens_of(stored: AuthSecret, found: FoundGrant) -> bool:
    """Tell whether a secret has the tokens of a grant already."""
    return all(stored.credentials.get(name) == found.credentials.get(name) for name in _TOKENS)


def _with_grant(
    secret: AuthSecret, found: FoundGrant, client: AuthClient, schedule: Schedule, now: datetime
) -> AuthSecret:
    provider = provider_of(client)
    if provider is not None and provider.dpop is not None:
        raise ValidationFailed(Problem(_BOUND, POINTER))
    issued_at = min(found.issued_at or found.told_at or now, now)
    fields, rest = _filled_in(client, found.settings)
    given: Json = {**found.credentials, "undefined_params": {**rest, **found.answer}}
    if fields:
        given[FIELDS] = fields
    if found.expires_at is not None:
        issued_at = min(issued_at, found.expires_at - timedelta(seconds=1))
        given["expires_in"] = int((found.expires_at - issued_at).total_seconds())
    checked = check_new(given)
    wrong = [each for each in wrong_connection_inputs(client, checked, join(POINTER, FIELDS)) if _counts(client, each)]
    if wrong:
        raise ValidationFailed(*wrong)
    fresh = with_tokens(secret, client, checked, schedule, issued_at)
    return fresh if found.expires_at is None else replace(fresh, expires_at=found.expires_at)


def _filled_in(client: AuthClient, settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part what was filled in for a connection: into what the client's profile asks for, and the rest."""
    asked = {_plain(name): name for name in asked_inputs(client)}
    fields = {asked[_plain(name)]: value for name, value in settings.items() if _plain(name) in asked}
    return fields, {name: value for name, value in settings.items() if _plain(name) not in asked}


def _counts(client: AuthClient, problem: Problem) -> bool:
    """Tell whether what is wrong with an input matters: one that is filled in, or must be."""
    said = asked_inputs(client).get((problem.pointer or "").rpartition("/")[2])
    return said is None or is_needed(said) or "required" not in problem.detail


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
