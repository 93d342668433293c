"""Converts a `providers.yaml` in Nango's format: each OAUTH2, OAUTH2_CC and OAUTH1 entry becomes a profile.

Aliases are resolved: an entry that names another has its members beside its own. What is not about getting and renewing
tokens, such as addresses of the API and webhooks, is kept as it is (`ProviderProfile.kept`) and acted on by nothing.
Scripts are code of that project: an entry that names one says something that a profile cannot.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from keyrack.oauth.profiles.answer_parts import Answer, Callback, Lifetimes
from keyrack.oauth.profiles.call_parts import Call
from keyrack.oauth.profiles.kinds import AuthMethod, BodyFormat, Grant, LifetimeUnit, Pkce, SignatureMethod
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.request_parts import (
    AuthorizationRequest,
    ClientAuthentication,
    Endpoints,
    OAuth1,
    RevocationRequest,
    Scopes,
    Sent,
    Template,
    TokenRequest,
)
from keyrack.oauth.profiles.templates import placeholders
from keyrack.service.importers.providers.client_inputs import bounded_inputs
from keyrack.service.importers.providers.conversion import HOST, ConvertedEntry, Members, checked, profile_name
from keyrack.service.importers.providers.nango_inputs import (
    asked_by,
    filled_in_elsewhere,
    inputs_of,
    inputs_of_hosts,
    missing,
)
from keyrack.service.importers.providers.nango_scripts import ENDINGS, OF_ENTRIES, SCRIPTS, at_base

MODES: Mapping[str, Grant] = {
    "OAUTH2": Grant.AUTHORIZATION_CODE,
    "OAUTH2_CC": Grant.CLIENT_CREDENTIALS,
    "OAUTH1": Grant.OAUTH1,
}
_MOST_ALIASES = 8

_KEPT = (
    "proxy",
    "categories",
    "docs_connect",
    "webhook_allowed_query_params",
    "webhook_routing_script",
    "webhook_user_defined_secret",
)
"""Not about tokens."""
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_SPACES = re.compile(r"\s*\|\|\s*")
_OF_THE_CONNECTION = ("connectionConfig.", "credentials.", "integrationConfig.")
_USUAL: Mapping[str, Mapping[str, str]] = {
    "authorization_params": {"response_type": "code"},
    "refresh_params": {"grant_type": "refresh_token"},
}
_GRANT_TYPES = {Grant.AUTHORIZATION_CODE: "authorization_code", Grant.CLIENT_CREDENTIALS: "client_credentials"}
_METHODS = {
    "basic": AuthMethod.CLIENT_SECRET_BASIC,
    "header": AuthMethod.CLIENT_SECRET_BASIC,
    "body": AuthMethod.CLIENT_SECRET_POST,
    "post": AuthMethod.CLIENT_SECRET_POST,
    "private_key_jwt": AuthMethod.PRIVATE_KEY_JWT,
    "custom": AuthMethod.FIELDS,
}
_CUSTOM, _CC = "custom", Grant.CLIENT_CREDENTIALS
"""Nango knows `custom` with this grant only."""


def converted(catalogue: Mapping[str, Any]) -> Iterator[ConvertedEntry]:
    """Yield each OAuth entry of a catalogue as a profile.

    Args:
        catalogue: what the file holds, by name.
    """
    for name in catalogue:
        entry = _resolved(catalogue, name)
        mode = entry.get("auth_mode")
        if isinstance(mode, str) and mode in MODES:
            yield _converted(str(name), mode, entry)


def _resolved(catalogue: Mapping[str, Any], name: Any) -> dict[str, Any]:
    """Return an entry with the members of those that it is an alias of; its own count."""
    entry: dict[str, Any] = {}
    for _ in range(_MOST_ALIASES):
        found = catalogue.get(name) if isinstance(name, str) else None
        if not isinstance(found, dict):
            break
        entry = {**{key: value for key, value in found.items() if key != "alias"}, **entry}
        name = found.get("alias")
        if name is None:
            return entry
    return {**entry, "alias": name} if entry else entry  # of nothing, or of too many after each other


def _converted(name: str, mode: str, entry: Mapping[str, Any]) -> ConvertedEntry:
    members, grant = Members({key: value for key, value in entry.items() if isinstance(key, str)}), MODES[mode]
    members.take("auth_mode", str)
    kept = {key: value for key in _KEPT if (value := members.take(key, (dict, list, str, bool))) is not None}
    endpoints = _endpoints(members, grant)
    authorization = _authorization(members)
    token, refresh = _token_requests(members, grant)
    answer, callback, way = _answer(members), _callback(members), _authentication(members, grant)
    if way.method is AuthMethod.FIELDS:
        token, refresh, answer = _by_name_and_password(token), None, _or_jwt(answer)
    calls: tuple[Call, ...] = ()
    forgets: tuple[str, ...] = ()
    revocation = RevocationRequest()
    base = _base_url(kept)
    script = OF_ENTRIES.get(name) or SCRIPTS.get(members.values.get("post_connection_script"))
    found = None if script is None else script.calls_at(base)
    if script is not None and found is not None and members.take("post_connection_script", str) is not None:
        endpoints, answer = script.said(endpoints, answer)
        calls, forgets = found, script.forgets
    ending = ENDINGS.get(members.values.get("pre_connection_deletion_script"))
    where = None if ending is None else at_base(ending.endpoint, base)
    if ending is not None and where is not None:
        members.take("pre_connection_deletion_script", str)
        endpoints, revocation = msgspec.structs.replace(endpoints, revocation=where), ending.request
    learned = {*answer.learned, *callback.learned}
    guide, pages = members.take("setup_guide_url", str), members.take("docs", str)
    inputs = inputs_of(members, learned)
    inputs |= {each: msgspec.structs.replace(inputs[each], once=True) for each in forgets if each in inputs}
    inputs |= inputs_of_hosts(endpoints, inputs, learned)
    inputs |= {each: Input() for each in missing(authorization, token, refresh) if each not in {*inputs, *learned}}
    inputs |= filled_in_elsewhere(inputs, endpoints, authorization, learned, calls)
    inputs |= {each: Input(pattern=HOST) for each in asked_by(calls) if each not in {*inputs, *learned}}
    first = {each for each in placeholders(endpoints.authorization or "") if each in learned and each not in inputs}
    inputs |= {each: Input(pattern=HOST) for each in first}  # needed before anything can be learned
    inputs = bounded_inputs(endpoints, inputs, learned - first)
    profile = ProviderProfile(
        name=profile_name(name),
        title=members.take("display_name", str) or name,
        grant=grant,
        documentation=guide or pages,
        inputs=inputs,
        endpoints=endpoints,
        authorization=authorization,
        token=token,
        refresh=refresh,
        revocation=revocation,
        after_connecting=_with_known_conditions(calls, inputs),
        client_authentication=way,
        scopes=Scopes(separator=members.take("scope_separator", str) or " ", default=members.texts("default_scopes")),
        pkce=Pkce.OFF if members.take("disable_pkce", bool) else Pkce.S256,
        callback=callback,
        answer=answer,
        lifetimes=_lifetimes(members),
        oauth1=_oauth1(members, grant),
        kept=kept,
    )
    return checked(name, mode, profile, members)


def _with_known_conditions(calls: tuple[Call, ...], inputs: Mapping[str, Input]) -> tuple[Call, ...]:
    """Return calls without conditions on what an entry has nobody fill in."""
    told = {name for call in calls for name in call.tells}

    def is_known(conditions: Mapping[str, Template]) -> bool:
        return all(each in {*inputs, *told} for text in conditions.values() for each in placeholders(text))

    return tuple(msgspec.structs.replace(call, choose=tuple(filter(is_known, call.choose))) for call in calls)


def _base_url(kept: Mapping[str, Any]) -> Template | None:
    """Return the address of the API that scripts ask, as a template; None where an entry names none."""
    proxy = kept.get("proxy")
    said = proxy.get("base_url") if isinstance(proxy, dict) else None
    return _template(said) if isinstance(said, str) and said else None


def _endpoints(members: Members, grant: Grant) -> Endpoints:
    return Endpoints(
        authorization=_template(members.take("authorization_url", str)),
        token=_template(members.take("token_url", str)),
        refresh=_template(members.take("refresh_url", str)),
        temporary_credentials=_template(members.take("request_url", str)) if grant is Grant.OAUTH1 else None,
    )


def _authorization(members: Members) -> AuthorizationRequest:
    parameters = _parameters(members, "authorization_params", _USUAL["authorization_params"])
    auth = members.take("auth", dict)
    if auth not in (None, {"response_type": "code"}):
        members.give_back("auth")
    rename: dict[str, str] = {}
    replaced = members.take("authorization_url_replacements", dict) or {}
    for before, after in replaced.items():
        if not isinstance(before, str) or not isinstance(after, str):
            members.give_back("authorization_url_replacements")
            continue
        usual, ours = before.removesuffix("="), after.removesuffix("=")
        if ours:
            rename[usual] = ours
        else:
            parameters[usual] = None
    unencoded = members.texts("authorization_url_skip_encode")
    if members.take("decode_url", bool):
        unencoded = ("*",)
    starts = members.take("installation", str)
    if starts not in (None, "outbound"):
        members.give_back("installation")
    fragment = members.take("authorization_url_fragment", str)
    nonce = parameters.pop("nonce", None)
    return AuthorizationRequest(
        parameters=parameters,
        sends_nonce=nonce is not None,
        rename=rename,
        unencoded=tuple("scope" if each == "scopes" else each for each in unencoded),
        leaves_out_empty=bool(members.take("authorization_url_skip_empty", bool)),
        in_fragment=None if fragment is None else "/" + fragment.lstrip("/"),
        starts_at_provider=starts == "outbound",
    )


def _token_requests(members: Members, grant: Grant) -> tuple[TokenRequest, TokenRequest | None]:
    body = members.take("body_format", str) or "form"
    if body not in list(BodyFormat):
        members.give_back("body_format")
        body = "form"
    headers = {}
    for name, value in (members.take("token_headers", dict) or {}).items():
        if isinstance(name, str) and isinstance(value, str):
            headers[name.lower()] = _template(value) or ""
        else:
            members.give_back(f"token_headers.{name}")
    headers = {name: value for name, value in headers.items() if (name, value) != ("content-type", _FORM)}
    usual = {"grant_type": _GRANT_TYPES[grant]} if grant in _GRANT_TYPES else {}
    token = TokenRequest(body=BodyFormat(body), parameters=_parameters(members, "token_params", usual), headers=headers)
    renewing = {
        **_parameters(members, "refresh_token_params", _USUAL["refresh_params"]),
        **_parameters(members, "refresh_params", _USUAL["refresh_params"]),
    }
    # The parameters of the first request are not repeated: Nango sends each request its own.
    same = not renewing and not token.parameters
    return token, None if same else TokenRequest(body=token.body, parameters=renewing, headers=headers)


_FORM = "application/x-www-form-urlencoded"


def _authentication(members: Members, grant: Grant) -> ClientAuthentication:
    said = members.take("authorization_method", str)
    given = members.take("token_request_auth_method", str)
    for name, method in (("authorization_method", said), ("token_request_auth_method", given)):
        if method is not None and (method not in _METHODS or (method == _CUSTOM and grant is not _CC)):
            members.give_back(name)
    word = str(given or said)
    method = _METHODS.get(word if word != _CUSTOM or grant is _CC else "", AuthMethod.CLIENT_SECRET_POST)
    return ClientAuthentication(method=method, mutual_tls=bool(members.take("require_client_certificate", bool)))


def _by_name_and_password(token: TokenRequest) -> TokenRequest:
    """Return a token request whose client's id and secret are called as those of a person, which is Nango's `custom`.

    Nothing else goes with it that the entry does not name, no `grant_type` either.
    """
    own: dict[str, Sent] = {"grant_type": None, **token.parameters}
    return msgspec.structs.replace(token, parameters={**own, "username": "{client_id}", "password": "{client_secret}"})


def _or_jwt(answer: Answer) -> Answer:
    """Return where the answer to such a request has its token."""
    return msgspec.structs.replace(answer, access_token=(*answer.access_token, "jwt"))


def _answer(members: Members) -> Answer:
    inner = members.take("alternate_access_token_response_path", str)
    unit = members.take("expires_in_unit", str) or "seconds"
    if unit not in list(LifetimeUnit):
        members.give_back("expires_in_unit")
        unit = "seconds"
    learned = [*members.texts("token_response_metadata"), *members.texts("refresh_token_response_metadata")]
    return Answer(
        objects=() if inner is None else (inner,),
        lifetime_unit=LifetimeUnit(unit),
        learned=tuple(dict.fromkeys(learned)),
    )


def _callback(members: Members) -> Callback:
    code = members.take("authorization_code_param_in_callback", str)
    return Callback(code=code or "code", learned=members.texts("redirect_uri_metadata"))


def _lifetimes(members: Members) -> Lifetimes:
    milliseconds = members.take("token_expires_in_ms", int)
    return Lifetimes(
        access_token=None if milliseconds is None else milliseconds // 1000,
        refresh_before=members.take("token_expiration_buffer", int),
    )


def _oauth1(members: Members, grant: Grant) -> OAuth1 | None:
    if grant is not Grant.OAUTH1:
        return None
    method = members.take("signature_method", str) or SignatureMethod.HMAC_SHA1
    if method not in list(SignatureMethod):
        members.give_back("signature_method")
        method = SignatureMethod.HMAC_SHA1
    return OAuth1(
        signature_method=SignatureMethod(method),
        request_parameters=_parameters(members, "request_params", {}),
    )


def _parameters(members: Members, name: str, usual: Mapping[str, str]) -> dict[str, Sent]:
    """Return the parameters of a request that are not as usual; what is usual and missing is sent all the same."""
    given = members.take(name, dict) or {}
    sent: dict[str, Sent] = {}
    for key, value in given.items():
        if isinstance(value, str):
            sent[str(key)] = _template(value)
        elif isinstance(value, bool | int):
            sent[str(key)] = value
        else:
            members.give_back(f"{name}.{key}")
    return {key: value for key, value in sent.items() if usual.get(key) != value}


def _template(text: str | None) -> Template | None:
    """Return a text with Nango's placeholders as a template of ours; `||` parts alternatives."""
    if text is None:
        return None
    found = [_PLACEHOLDER.sub(_placeholder, each) for each in _SPACES.split(text)]
    return found[0] if len(found) == 1 else tuple(found)


def _placeholder(found: re.Match[str]) -> str:
    name = found[1].strip()
    for start in _OF_THE_CONNECTION:
        name = name.removeprefix(start)
    return "{" + {"clientId": "client_id", "clientSecret": "client_secret"}.get(name, name) + "}"
