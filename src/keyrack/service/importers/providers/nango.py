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
from keyrack.oauth.profiles.kinds import AuthMethod, BodyFormat, Grant, LifetimeUnit, Pkce, SignatureMethod
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.request_parts import (
    AuthorizationRequest,
    ClientAuthentication,
    Endpoints,
    OAuth1,
    Scopes,
    Sent,
    Template,
    TokenRequest,
)
from keyrack.oauth.profiles.templates import placeholders
from keyrack.service.importers.providers.client_inputs import bounded_inputs
from keyrack.service.importers.providers.conversion import HOST, ConvertedEntry, Members, checked, profile_name
from keyrack.service.importers.providers.nango_scripts import SCRIPTS

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
}
_IMPLIED = ("client_id", "client_secret", "client_certificate", "client_private_key")
"""Credentials of a client that every client of the method has: they need no input of their own."""
_INPUT_TEXTS = {
    "title": "title",
    "description": "description",
    "pattern": "pattern",
    "default_value": "default",
    "example": "example",
    "format": "format",
    "prefix": "prefix",
    "suffix": "suffix",
    "doc_section": "documentation",
}


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
    answer, callback = _answer(members), _callback(members)
    script = SCRIPTS.get(members.values.get("post_connection_script"))
    if script is not None:
        members.take("post_connection_script", str)
        endpoints, answer = script.said(endpoints, answer)
    learned = {*answer.learned, *callback.learned}
    guide, pages = members.take("setup_guide_url", str), members.take("docs", str)
    inputs = _inputs(members, learned)
    inputs |= _inputs_of_hosts(endpoints, inputs, learned)
    inputs |= {each: Input() for each in _missing(authorization, token, refresh) if each not in {*inputs, *learned}}
    inputs |= _filled_in_elsewhere(inputs, endpoints, authorization, learned)
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
        client_authentication=_authentication(members),
        scopes=Scopes(separator=members.take("scope_separator", str) or " ", default=members.texts("default_scopes")),
        pkce=Pkce.OFF if members.take("disable_pkce", bool) else Pkce.S256,
        callback=callback,
        answer=answer,
        lifetimes=_lifetimes(members),
        oauth1=_oauth1(members, grant),
        kept=kept,
    )
    return checked(name, mode, profile, members)


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


def _authentication(members: Members) -> ClientAuthentication:
    said = members.take("authorization_method", str)
    given = members.take("token_request_auth_method", str)
    for name, method in (("authorization_method", said), ("token_request_auth_method", given)):
        if method is not None and method not in _METHODS:
            members.give_back(name)
    method = _METHODS.get(str(given or said), AuthMethod.CLIENT_SECRET_POST)
    return ClientAuthentication(method=method, mutual_tls=bool(members.take("require_client_certificate", bool)))


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


def _inputs(members: Members, learned: set[str]) -> dict[str, Input]:
    inputs: dict[str, Input] = {}
    for table, per_client in (("connection_config", False), ("credentials", True), ("integration_config", True)):
        for name, said in (members.take(table, dict) or {}).items():
            if name in _IMPLIED and table == "credentials":
                continue
            if not isinstance(said, dict):
                members.give_back(f"{table}.{name}")
                continue
            inputs[str(name)] = _input(members, f"{table}.{name}", said, per_client=per_client)
    for name in members.texts("connection_configuration"):
        inputs.setdefault(name, Input(required=False))
    for name in learned & inputs.keys():
        del inputs[name]
    return inputs


def _input(members: Members, where: str, said: Mapping[str, Any], *, per_client: bool) -> Input:
    inner = Members({str(key): value for key, value in said.items()})
    kind = inner.take("type", str) or "string"
    texts = {ours: value for theirs, ours in _INPUT_TEXTS.items() if (value := inner.take(theirs, str)) is not None}
    learned = bool(inner.take("automated", bool))
    made = Input(
        type=kind,
        enum=inner.texts("enum") or None,
        required=not inner.take("optional", bool),
        secret=bool(inner.take("secret", bool)),
        hidden=bool(inner.take("hidden", bool)),
        learned=learned,
        order=inner.take("order", int),
        per_client=per_client,
        **texts,
    )
    for name in inner.not_expressed():
        members.give_back(f"{where}.{name}")
    return made


def _inputs_of_hosts(endpoints: Endpoints, inputs: Mapping[str, Input], learned: set[str]) -> dict[str, Input]:
    """Return the inputs of addresses that the entry does not describe, and those in a host that lack a pattern."""
    made: dict[str, Input] = {}
    for name in endpoints.__struct_fields__:
        for each in placeholders(getattr(endpoints, name) or ""):
            given = inputs.get(each)
            if given is None and each not in learned:
                made[each] = Input(pattern=HOST)
            elif given is not None and not (given.pattern or given.enum or given.format or given.learned):
                members = {field: getattr(given, field) for field in given.__struct_fields__}
                made[each] = Input(**{**members, "pattern": HOST})
    return made


def _filled_in_elsewhere(
    inputs: Mapping[str, Input], endpoints: Endpoints, authorization: AuthorizationRequest, learned: set[str]
) -> dict[str, Input]:
    """Return the inputs that a connection is given by code of that project before it begins: here, the client is."""
    before = {name for sent in authorization.parameters.values() for name in _named(sent)}
    for name in endpoints.__struct_fields__:
        before |= set(placeholders(getattr(endpoints, name) or ""))
    return {
        name: msgspec.structs.replace(said, learned=False, per_client=True)
        for name, said in inputs.items()
        if said.learned and name in before - learned
    }


def _missing(authorization: AuthorizationRequest, *requests: TokenRequest | None) -> Iterator[str]:
    """Yield the placeholders of requests."""
    for sent in authorization.parameters.values():
        yield from _named(sent)
    for request in requests:
        if request is not None:
            for value in (*request.parameters.values(), *request.headers.values()):
                yield from _named(value)


def _named(sent: Sent) -> Iterator[str]:
    if isinstance(sent, str | tuple):
        yield from (each for each in placeholders(sent) if each not in {"random", "client_id", "client_secret"})


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
