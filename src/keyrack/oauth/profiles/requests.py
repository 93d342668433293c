"""Makes of a usual request the one that a provider's profile asks for."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote_plus, urlencode

from keyrack.crypto.secret import Secret
from keyrack.oauth.profiles.kinds import BodyFormat
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import (
    AuthorizationRequest,
    ClientAuthentication,
    EndpointRequest,
    Scopes,
    Sent,
    TokenRequest,
)
from keyrack.oauth.profiles.templates import RANDOM, filled
from keyrack.oauth.scopes import split_scope
from keyrack.oauth.wire import FormRequest

_ALL = "*"
_WITHOUT_BODY = frozenset({"GET", "DELETE"})
"""Methods of HTTP whose parameters are in the query (RFC 9110 sections 9.3.1 and 9.3.5)."""


def with_parameters(
    usual: Mapping[str, str], own: Mapping[str, Sent], rename: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters of a request as a provider wants them.

    Args:
        usual: what the standard has, by its names.
        own: what the profile adds, changes, or leaves out with None. A template without a value for its placeholders
            is left out too.
        rename: the provider's names for the usual ones.
        values: for placeholders.
    """
    sent = dict(usual)
    known = {**values, RANDOM: secrets.token_urlsafe(16)}
    for name, value in own.items():
        text = _text(value, known)
        if text is None:
            sent.pop(name, None)
        else:
            sent[name] = text
    return {rename.get(name, name): value for name, value in sent.items()}


def with_scopes(usual: Mapping[str, str], said: Scopes) -> dict[str, str]:
    """Return parameters with their `scope` as a provider writes it, and with what it wants asked for in any case.

    Args:
        usual: parameters, `scope` among them if anything is asked for.
        said: how the provider has it.
    """
    sent = dict(usual)
    if "scope" in sent or said.default:
        sent["scope"] = said.separator.join(split_scope(sent.get("scope", "")) or said.default)
    if said.user_parameter is not None and said.user_default:
        sent[said.user_parameter] = said.separator.join(said.user_default)
    return sent


def with_query(endpoint: str, parameters: Mapping[str, str], said: AuthorizationRequest) -> str:
    """Return the address that a browser is sent to: an endpoint, its own query in front, with parameters.

    A parameter is never sent twice (RFC 6749 section 3.1): where the endpoint's own query names one, ours is sent.
    """
    base, query = own_query(endpoint)
    given = {name: value for name, value in parameters.items() if value or not said.leaves_out_empty}
    own = [part for name, part in query if name not in given]
    sent = [_encoded(name, value, said.unencoded) for name, value in given.items()]
    fragment = "" if said.in_fragment is None else f"#{said.in_fragment}"
    return f"{base}{fragment}?{'&'.join([*own, *sent])}"


def own_query(endpoint: str) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return an address without query and fragment, and the parts of its query, empty ones too, each with its name."""
    base, _, query = endpoint.partition("#")[0].partition("?")
    parts = query.split("&") if query else []
    return base, [(unquote_plus(part.partition("=")[0]), part) for part in parts]


def as_asked(request: FormRequest, said: EndpointRequest, values: Mapping[str, str]) -> FormRequest:
    """Return a request as a provider wants it: its parameters, its format, its headers.

    Args:
        request: the usual one, with the client's authentication.
        said: what the profile says of such requests.
        values: for placeholders; `client_id` and `client_secret` among them.
    """
    form = with_parameters(dict(request.form), said.parameters, said.rename, values)
    several = _several(request, said, form)
    headers = {
        name.lower(): text for name, value in said.headers.items() if (text := filled(value, values)) is not None
    }
    own, accept = headers.pop("authorization", None), headers.pop("accept", request.accept)
    return replace(
        request,
        url=_without(request.url, form),
        form=tuple((name, each) for name, value in form.items() for each in several.get(name, (value,))),
        authorization=request.authorization if own is None else Secret(own),
        accept=accept,
        method=said.method.upper(),
        body=BodyFormat.QUERY.value if said.method.upper() in _WITHOUT_BODY else said.body.value,
        headers=tuple(headers.items()),
        literals=tuple(
            (said.rename.get(name, name), value) for name, value in said.parameters.items() if isinstance(value, int)
        ),
    )


def _without(endpoint: str, form: Mapping[str, str]) -> str:
    """Return an endpoint without the parts of its query that are parameters of the request: nothing is sent twice."""
    base, query = own_query(endpoint)
    kept = [part for name, part in query if name not in form]
    return endpoint if len(kept) == len(query) else base + (f"?{'&'.join(kept)}" if kept else "")


def ways_to_authenticate(provider: ProviderProfile) -> Sequence[ClientAuthentication]:
    """Return how a client authenticates by a profile, in whichever request."""
    said = (provider.token, provider.refresh, provider.exchange, provider.revocation, provider.introspection)
    requests = (each for each in said if each is not None)
    own = [each.client_authentication for each in requests if each.client_authentication is not None]
    return [provider.client_authentication, *own]


def _several(request: FormRequest, said: EndpointRequest, form: Mapping[str, str]) -> dict[str, list[str]]:
    """Return all values of the usual parameters that have several, unless the profile has others, by their names."""
    given: dict[str, list[str]] = {}
    for name, value in request.form:
        given.setdefault(name, []).append(value)
    return {
        renamed: values
        for name, values in given.items()
        if len(values) > 1 and name not in said.parameters and (renamed := said.rename.get(name, name)) in form
    }


def refresh_of(provider: ProviderProfile) -> TokenRequest:
    """Return what a profile says of refresh requests: what it says of the first, unless it says so itself."""
    if provider.refresh is not None:
        return provider.refresh
    first = provider.token
    own = {name: value for name, value in first.parameters.items() if name != "grant_type"}
    return TokenRequest(
        method=first.method,
        body=first.body,
        parameters=own,
        rename=first.rename,
        headers=first.headers,
        client_authentication=first.client_authentication,
        sends_scope=first.sends_scope,
        sends_redirect_uri=first.sends_redirect_uri,
    )


def _text(value: Sent, values: Mapping[str, str]) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return None if value is None else filled(value, values)


def _encoded(name: str, value: str, unencoded: tuple[str, ...]) -> str:
    if _ALL in unencoded or name in unencoded:
        return f"{quote(name, safe='', errors='replace')}={_harmless(value)}"
    return urlencode({name: value}, quote_via=quote, safe="", errors="replace")


def _harmless(value: str) -> str:
    """Return a value that is sent as it is, but for what would end it or the address."""
    return quote(value, safe="/:@!$'()*,;?+~[]{}|\\^`\"<>=", errors="replace")
