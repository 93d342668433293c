"""Finds out whose account at a provider tokens are for, from what the provider says (decision 33).

Sources are the claims of an ID token, the answer of a userinfo endpoint (OpenID Connect Core 1.0 section 5.3), and
a configured path in the token response. What is found is a hint for people: nothing is decided by it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.model.secrets import ProviderAccount
from keyrack.oauth.body import NotUnderstood, parse_answer
from keyrack.oauth.dpop import TOKEN_TYPE
from keyrack.oauth.profiles.answers import member_at
from keyrack.oauth.provider_text import printable
from keyrack.oauth.wire import ClientCertificate, QueryRequest, RawResponse

MAX_LABEL, MAX_SUBJECT = 200, 255
"""Characters that are kept of what a provider says."""
MAX_PATH = 200
"""Characters of a configured path."""

_LABELS = ("email", "preferred_username", "name", "login", "username", "display_name", "displayName", "nickname")
_SUBJECTS = ("sub", "id")
_SECRET = re.compile("token|secret", re.IGNORECASE)
"""A step of a path that leads to what must not be shown."""
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class AccountSource:
    """Where a provider says whose account it is; all optional.

    Attributes:
        userinfo_uri: the address to ask with the access token.
        label_paths: dotted paths to what people know the account by, such as `team.name`, tried in this order; each is
            looked up in the token response, in the answer of the userinfo endpoint and among the ID token's claims.
        subject_paths: the same for what the provider knows it by, such as `authed_user.id`.
    """

    userinfo_uri: str | None = field(default=None, repr=False)
    label_paths: tuple[str, ...] = ()
    subject_paths: tuple[str, ...] = ()


NOTHING_KNOWN = AccountSource()


def userinfo_request(
    uri: str, access_token: Secret, proof_key: Secret | None = None, certificate: ClientCertificate | None = None
) -> QueryRequest:
    """Return the request that asks whose token it is (OpenID Connect Core 1.0 section 5.3.1, RFC 6750 section 2.1).

    Args:
        uri: where.
        access_token: whose it is, is asked.
        proof_key: the key that the token is bound to, if it is (RFC 9449 section 7.1).
        certificate: what the client shows in TLS: the token may be bound to it (RFC 8705 section 3).
    """
    scheme = "Bearer" if proof_key is None else TOKEN_TYPE
    return QueryRequest(
        uri, (), Secret(f"{scheme} {access_token.reveal()}"), proof_key=proof_key, certificate=certificate
    )


def process_userinfo(response: RawResponse) -> Mapping[str, Any] | None:
    """Return the members of a successful answer; None if it is none."""
    if response.status not in _SUCCESS:
        return None
    try:
        found = parse_answer(response)
    except NotUnderstood:
        return None
    return None if found.cut else found.values


def account_of(
    source: AccountSource,
    *,
    response: Mapping[str, Any],
    claims: Mapping[str, Any],
    userinfo: Mapping[str, Any] | None = None,
    sent: Iterable[Secret] = (),
) -> ProviderAccount:
    """Return whose account it is, as far as it was said.

    Args:
        source: where to look.
        response: the members of the token response, if there is one.
        claims: of the ID token that came with it; empty without one.
        userinfo: what the userinfo endpoint answered. It does not count where its `sub` is not that of the ID token
            (OpenID Connect Core 1.0 section 5.3.2).
        sent: tokens, never to be shown.
    """
    asked = userinfo or {}
    if claims.get("sub") and asked.get("sub") and claims["sub"] != asked["sub"]:
        asked = {}
    places = (response, asked, claims)
    label = _at(source.label_paths, places) or _first(_LABELS, (claims, asked))
    subject = _at(source.subject_paths, places) or _first(_SUBJECTS, (claims, asked))
    sent = tuple(sent)
    return ProviderAccount(printable(label, MAX_LABEL, sent) or None, printable(subject, MAX_SUBJECT, sent) or None)


def _at(paths: tuple[str, ...], places: tuple[Mapping[str, Any], ...]) -> str:
    shown = [path for path in paths if not _SECRET.search(path)]
    return next((text for path in shown for place in places if (text := _text(member_at(place, path)))), "")


def _first(names: tuple[str, ...], places: tuple[Mapping[str, Any], ...]) -> str:
    return next((text for place in places for name in names if (text := _text(place.get(name)))), "")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)
