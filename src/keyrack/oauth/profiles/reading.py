"""Reads provider profiles, and says what is wrong with one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.profiles.answer_parts import Callback
from keyrack.oauth.profiles.faults import MOST_LEARNED, WORD, wrong_headers, wrong_names, wrong_pattern
from keyrack.oauth.profiles.faults_of_calls import addresses_of_calls, tables_of_calls, wrong_calls
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, AuthMethod, Grant
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.request_parts import Assertion, EndpointRequest, Sent, Template
from keyrack.oauth.profiles.shape import shape_problem
from keyrack.oauth.profiles.templates import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    RANDOM,
    TOKEN,
    alternatives,
    placeholders,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_MOST_INPUTS = 30
_LONGEST_ASSERTION = 3600
"""Seconds for which an assertion may be good."""
_FORMATS = frozenset({"hostname", "uuid", "uri", "email"})
_OF_HOSTS = frozenset({"hostname", "uuid"})
_METHODS, _METHODS_OF_REVOCATION = ("GET", "POST"), ("GET", "POST", "DELETE")
_OURS = {RANDOM, CLIENT_ID, CLIENT_SECRET}
_NEEDS: Mapping[Grant, tuple[str, ...]] = {
    Grant.AUTHORIZATION_CODE: ("authorization", "token"),
    Grant.CLIENT_CREDENTIALS: ("token",),
    Grant.DEVICE_CODE: ("device_authorization", "token"),
    Grant.JWT_BEARER: ("token",),
    Grant.TOKEN_EXCHANGE: ("token",),
    Grant.PASSWORD: ("token",),
    Grant.OAUTH1: ("temporary_credentials", "authorization", "token"),
}


def stored_profile(document: Any) -> ProviderProfile:
    """Return the profile that a JSON value says which was judged before."""
    return msgspec.convert(document, ProviderProfile)


def profile_of(document: Any, *, allow_insecure: bool = False) -> ProviderProfile:
    """Return the profile that a JSON value says.

    Args:
        document: the value.
        allow_insecure: accept `http` addresses.

    Raises:
        ValidationFailed: it is none; each problem has a pointer into the value.
    """
    try:
        profile = msgspec.convert(document, ProviderProfile)
    except msgspec.ValidationError as error:
        raise ValidationFailed(shape_problem(document, error)) from None
    found = list(problems(profile, allow_insecure=allow_insecure))
    if found:
        raise ValidationFailed(*found)
    return profile


def document_of(profile: ProviderProfile) -> dict[str, Any]:
    """Return a profile as a JSON value, without what is as usual."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(profile))
    own = {"refresh", "exchange", "oauth1"}  # to be there says something
    return {name: value for name, value in document.items() if name in own or value not in ({}, [], None)}


def problems(profile: ProviderProfile, *, allow_insecure: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with a profile whose members have the right types; arguments as of `profile_of`."""
    if not _NAME.fullmatch(profile.name):
        yield Problem("must be lower case letters, digits, - and _, and begin with a letter or digit", "/name")
    schemes = ("https", "http") if allow_insecure else ("https",)
    yield from _wrong_endpoints(profile, schemes)
    if len(profile.inputs) > _MOST_INPUTS:
        yield Problem(f"may have {_MOST_INPUTS} members at most", "/inputs")
    for name, given in profile.inputs.items():
        yield from _wrong_input(given, f"/inputs/{name}")
    yield from _wrong_requests(profile)
    known = _OURS | profile.inputs.keys() | set(profile.learned)
    yield from _wrong_learned(profile)
    yield from wrong_calls(profile.after_connecting)
    for pointer, address in addresses_of_calls(profile.after_connecting):
        yield from _wrong_addresses(address, pointer, profile.inputs, schemes)
    for pointer, sent in _templates(profile):
        unknown = sorted(set(placeholders(sent)) - known - _of_one_request(pointer))
        if unknown:
            yield Problem(f"has placeholders that are no inputs: {', '.join(unknown)}", pointer)
    if profile.client_authentication.method is AuthMethod.FIELDS and not _names_client(profile):
        yield Problem("with fields, a parameter or header has to name {client_id}", "/client_authentication/method")
    if profile.exchange is not None and not _names(profile.exchange, ACCESS_TOKEN):
        yield Problem("has to name {access_token} in a parameter or header", "/exchange")
    elif profile.exchange is None and profile.endpoints.exchange is not None:
        yield Problem("goes with the member exchange only", "/endpoints/exchange")
    yield from _wrong_once(profile)
    yield from _sent_twice(profile)
    yield from _wrong_callback(profile.callback)
    yield from _wrong_rules(profile)
    yield from _wrong_grant(profile)


def _of_one_request(pointer: str) -> set[str]:
    """Return placeholders that are known where a template stands, and nowhere else."""
    if pointer.startswith("/exchange/"):
        return {ACCESS_TOKEN}
    return {TOKEN} if pointer.startswith(("/revocation/", "/endpoints/revocation")) else set()


def _wrong_learned(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield what of the userinfo endpoint's answer cannot be kept: nothing takes the place of tokens."""
    names = profile.answer.userinfo_learned
    if names and profile.endpoints.userinfo is None:
        yield Problem("is learned of the userinfo endpoint, which is not named", "/answer/userinfo_learned")
    yield from wrong_names(names, "/answer/userinfo_learned")
    yield from wrong_names(profile.answer.token_claims, "/answer/token_claims")


def _wrong_grant(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield what goes with another grant only, and what the grant needs."""
    parts = {
        "oauth1": (Grant.OAUTH1, profile.oauth1 is not None),
        "assertion": (Grant.JWT_BEARER, profile.assertion != Assertion()),
        "token_exchange": (Grant.TOKEN_EXCHANGE, profile.token_exchange is not None),
        "keeps_password": (Grant.PASSWORD, profile.keeps_password),
    }
    for name, (grant, is_said) in parts.items():
        if is_said and profile.grant is not grant:
            yield Problem(f"goes with the grant {grant} only", f"/{name}")
    if profile.grant is Grant.TOKEN_EXCHANGE and profile.token_exchange is None:
        yield Problem(f"is needed for the grant {profile.grant}", "/token_exchange")
    if not 0 < profile.assertion.lifetime <= _LONGEST_ASSERTION:
        yield Problem(f"must be 1 to {_LONGEST_ASSERTION} seconds", "/assertion/lifetime")
    if profile.grant is Grant.PASSWORD:
        yield from _wrong_user(profile.inputs)
    if profile.grant is Grant.CLIENT_CREDENTIALS and profile.client_authentication.method is AuthMethod.NONE:
        detail = f"the grant {profile.grant} is for clients that authenticate (RFC 6749 section 4.4)"
        yield Problem(detail, "/client_authentication/method")


def _wrong_user(inputs: Mapping[str, Input]) -> Iterator[Problem]:
    """Yield what is wrong with the inputs that the grant `password` sends (RFC 6749 section 4.3.2)."""
    for name in ("username", "password"):
        if name not in inputs:
            yield Problem(f"is needed for the grant {Grant.PASSWORD}", f"/inputs/{name}")
    if "password" in inputs and not inputs["password"].secret:
        yield Problem("must be secret", "/inputs/password/secret")


def _wrong_once(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield inputs that are forgotten once there are tokens, and are needed afterwards."""
    forgotten = {name for name, said in profile.inputs.items() if said.once}
    if forgotten and profile.grant in DIRECT_GRANTS:
        yield Problem(f"is needed again with the grant {profile.grant}", f"/inputs/{min(forgotten)}/once")
    first: tuple[str, ...] = ("/authorization/", "/endpoints/authorization", "/after_connecting/")
    if profile.refresh is not None:
        first += ("/token/",)
    for pointer, sent in _templates(profile) if forgotten else ():
        for name in sorted(forgotten.intersection(placeholders(sent))) if not pointer.startswith(first) else ():
            yield Problem(f"needs {name}, which is forgotten by then", pointer)


def _wrong_rules(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield pages of rules that a browser must not be led to."""
    for number, rule in enumerate(profile.rules):
        if rule.documentation is not None and not rule.documentation.startswith("https://"):
            yield Problem("must be an https address", f"/rules/{number}/documentation")


def _wrong_endpoints(profile: ProviderProfile, schemes: tuple[str, ...]) -> Iterator[Problem]:
    for name in _NEEDS[profile.grant]:
        if getattr(profile.endpoints, name) is None and profile.endpoints.issuer is None:
            text = f"is needed for the grant {profile.grant}, or an issuer to discover it from"
            yield Problem(text, f"/endpoints/{name}")
    named = profile.endpoints.pushed_authorization or profile.endpoints.issuer
    if profile.authorization.pushed and named is None:
        yield Problem("is needed to push requests, or an issuer to discover it from", "/endpoints/pushed_authorization")
    for name in profile.endpoints.__struct_fields__:
        template = getattr(profile.endpoints, name)
        if template is not None:
            yield from _wrong_addresses(template, f"/endpoints/{name}", profile.inputs, schemes)


_FIXED = frozenset(
    {
        "redirect_uri", "state", "code", "code_verifier", "code_challenge", "code_challenge_method", "refresh_token",
        "client_assertion", "client_assertion_type", "client_id", "request", "request_uri", "dpop_jkt",
    }
)  # fmt: skip
"""Parameters that bind a request to us or stand for others; a profile may rename them, and replaces none."""


_OF_A_TOKEN = ("/revocation", "/introspection")
"""Requests about one token, which is theirs to name."""


def _requests(profile: ProviderProfile) -> Iterator[tuple[str, EndpointRequest]]:
    """Yield each request of Keyrack's own that a profile says something of, with its pointer."""
    requests: tuple[tuple[str, EndpointRequest | None], ...] = (
        ("/token", profile.token), ("/refresh", profile.refresh), ("/exchange", profile.exchange),
        ("/revocation", profile.revocation), ("/introspection", profile.introspection),
    )  # fmt: skip
    for pointer, said in requests:
        if said is not None:
            yield pointer, said


def _names(said: EndpointRequest, placeholder: str) -> bool:
    sent = (*said.parameters.values(), *said.headers.values())
    return any(isinstance(each, str | tuple) and placeholder in placeholders(each) for each in sent)


def _wrong_requests(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield what no request may be made to say, whatever a provider wants."""
    requests: list[tuple[str, Mapping[str, Sent], Mapping[str, str]]] = [
        ("/authorization", profile.authorization.parameters, profile.authorization.rename)
    ]
    for pointer, said in _requests(profile):
        requests.append((pointer, said.parameters, said.rename))
        yield from _wrong_message(said, pointer)
    for pointer, parameters, rename in requests:
        fixed = _FIXED | {"token"} if pointer in _OF_A_TOKEN else _FIXED
        elsewhere = pointer == "/revocation" and _token_elsewhere(profile)
        for name, value in parameters.items():
            if name in fixed and not _is_as_it_is(name, value) and not (name == TOKEN and value is None and elsewhere):
                yield Problem("cannot be replaced; it can be renamed", f"{pointer}/parameters/{name}")
        for name, after in rename.items():
            if after in fixed and name != after:
                yield Problem(f"cannot be called {after}, which is another parameter", f"{pointer}/rename/{name}")


def _token_elsewhere(profile: ProviderProfile) -> bool:
    """Tell whether the token that is revoked is in the address, in a header, or a parameter of another name."""
    return _names(profile.revocation, TOKEN) or TOKEN in placeholders(profile.endpoints.revocation or ())


def _is_as_it_is(name: str, value: Sent) -> bool:
    """Tell whether a parameter says no more than it should: the client's own id; a word, and no request object."""
    if name == "client_id":
        return value in (None, "{client_id}")
    return name == "request" and isinstance(value, str) and WORD.fullmatch(value) is not None


def _wrong_message(said: EndpointRequest, pointer: str) -> Iterator[Problem]:
    methods = _METHODS_OF_REVOCATION if pointer == "/revocation" else _METHODS
    if said.method.upper() not in methods:
        yield Problem(f"must be {' or '.join(methods)}", f"{pointer}/method")
    yield from wrong_headers(said.headers, pointer)


_OF_CALLBACKS = frozenset({"code", "state", "iss", "error", "access_token", "refresh_token", "id_token"})


def _wrong_callback(said: Callback) -> Iterator[Problem]:
    """Yield what the parameters of a callback cannot be called."""
    if said.code == said.state or not said.code or not said.state:
        yield Problem("code and state need names of their own", "/callback")
    for name in ("iss", "error"):
        if name in (said.code, said.state):
            yield Problem(f"cannot be called {name}, which is another parameter", "/callback")
    taken = sorted({*_OF_CALLBACKS, said.code, said.state}.intersection(said.learned))
    if taken or len(said.learned) > MOST_LEARNED:
        detail = f"may have {MOST_LEARNED} names at most, and none that has a meaning of its own"
        yield Problem(detail, "/callback/learned")


_IN_BODY, _IN_HEADER = (
    {AuthMethod.CLIENT_SECRET_POST},
    {AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_BASIC_RAW},
)


def _sent_twice(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield each request that would carry the client's secret more than once (RFC 6749 section 2.3)."""
    for pointer, said in _requests(profile):
        method = (said.client_authentication or profile.client_authentication).method
        headers = {name.lower(): value for name, value in said.headers.items()}
        usual = (method in _IN_BODY and CLIENT_SECRET not in said.parameters) or (
            method in _IN_HEADER and "authorization" not in headers
        )
        sent = (*said.parameters.values(), *headers.values())
        own = sum(isinstance(each, str | tuple) and CLIENT_SECRET in placeholders(each) for each in sent)
        if usual + own > 1:
            yield Problem("carries the client's secret twice; the method fields sends it as it is named only", pointer)


def _templates(profile: ProviderProfile) -> Iterator[tuple[str, Template]]:
    """Yield each template of a profile, with its pointer."""
    for name in profile.endpoints.__struct_fields__:
        if (address := getattr(profile.endpoints, name)) is not None:
            yield f"/endpoints/{name}", address
    yield from addresses_of_calls(profile.after_connecting)
    tables: list[tuple[str, Mapping[str, Sent]]] = [
        ("/authorization/parameters", profile.authorization.parameters),
    ]
    for at, said in _requests(profile):
        tables += [(f"{at}/parameters", said.parameters), (f"{at}/headers", said.headers)]
    if profile.oauth1 is not None:
        tables.append(("/oauth1/request_parameters", profile.oauth1.request_parameters))
    tables += _of_direct_grants(profile)
    tables += tables_of_calls(profile.after_connecting)
    for pointer, values in tables:
        for name, value in values.items():
            if isinstance(value, str | tuple):
                yield f"{pointer}/{name}", value


def _of_direct_grants(profile: ProviderProfile) -> Iterator[tuple[str, Mapping[str, Sent]]]:
    """Yield what the parts of direct grants have for templates, with their pointers."""
    assertion, exchange = profile.assertion, profile.token_exchange
    yield "/assertion", {name: getattr(assertion, name) for name in ("key", "key_id", "issuer", "subject", "audience")}
    yield "/assertion/claims", assertion.claims
    if exchange is not None:
        yield "/token_exchange", {name: getattr(exchange, name) for name in ("subject_token", "actor_token")}
        for name in ("audience", "resource"):
            yield f"/token_exchange/{name}", {str(at): text for at, text in enumerate(getattr(exchange, name))}


def _names_client(profile: ProviderProfile) -> bool:
    """Tell whether requests say which client they are from; an assertion says who made it (RFC 7523 section 2.1)."""
    return profile.grant is Grant.JWT_BEARER or any(CLIENT_ID in placeholders(sent) for _, sent in _templates(profile))


def names_secret(profile: ProviderProfile) -> bool:
    """Tell whether the profile itself puts the client's secret somewhere."""
    return any(CLIENT_SECRET in placeholders(sent) for _, sent in _templates(profile))


def _wrong_addresses(
    template: Template, pointer: str, inputs: Mapping[str, Input], schemes: tuple[str, ...]
) -> Iterator[Problem]:
    for text in alternatives(template):
        if text.startswith("{"):  # a whole address, or its beginning, is filled in
            continue
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.netloc:
            yield Problem("must be an https address", pointer)
        for name in placeholders(parts.netloc):
            given = inputs.get(name)
            bounded = given is None or given.pattern or given.enum or given.format in _OF_HOSTS or given.learned
            if not bounded:
                yield Problem(f"has {name} in its host, which then needs a pattern, an enum or a format", pointer)


def _wrong_input(given: Input, pointer: str) -> Iterator[Problem]:
    if given.format is not None and given.format not in _FORMATS:
        yield Problem(f"must be one of {', '.join(sorted(_FORMATS))}", f"{pointer}/format")
    if given.pattern is not None:
        yield from wrong_pattern(given.pattern, f"{pointer}/pattern")
    if given.enum is not None and given.default is not None and given.default not in given.enum:
        yield Problem("is none of the values there are", f"{pointer}/default")
