"""Says what each request to a provider must be, by its profile and RFC 6749 where the profile says nothing."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyrack.oauth.profiles.kinds import BodyFormat, Pkce
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import ClientAuthentication, EndpointRequest, Sent, Template, TokenRequest
from keyrack.simulator.twin.client_authentication import credentials, shows_certificate
from keyrack.simulator.twin.expectation import Expected, Order
from keyrack.simulator.twin.received import Pair, normal, pairs_of
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.templates import chosen, form_of, written

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_OPAQUE = re.compile(r"[!-~]{8,2000}")
RFC = "as RFC 6749 has it"
"""Stands where no member of the profile decides."""


@dataclass
class Reading:
    """A profile as it is read for one connection.

    Attributes:
        profile: whose.
        registered: client and connection.
        learned: what callbacks and answers have told, for placeholders.
        assertions: `jti` of assertions that have come.
    """

    profile: ProviderProfile
    registered: Registration
    learned: dict[str, str] = field(default_factory=dict)
    assertions: set[str] = field(default_factory=set)

    @property
    def public(self) -> dict[str, str]:
        """Values of placeholders in what a browser sees: the client's secret is never among them."""
        return {**self.learned, **self.registered.values, "client_id": self.registered.client_id}

    @property
    def confidential(self) -> dict[str, str]:
        """Values of placeholders in what is sent to the provider itself."""
        return {**self.public, "client_secret": self.registered.client_secret}

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes that are asked for."""
        return self.registered.scopes or self.profile.scopes.default

    def endpoint(self, name: str) -> tuple[str, list[Pair]] | None:
        """Return an endpoint without its query, and the query; None if the profile has none, or it cannot be filled in.

        `refresh` and `exchange` are `token` where the profile does not say otherwise.
        """
        said: Template | None = getattr(self.profile.endpoints, name)
        if said is None and name in {"refresh", "exchange"}:
            said = self.profile.endpoints.token
        if said is None:
            return None
        text = chosen(said, {**self.learned, **self.registered.values})
        if text is None:
            return None
        address, _, query = written(text, {**self.learned, **self.registered.values}).partition("?")
        return normal(address), pairs_of(query)

    @property
    def refresh(self) -> TokenRequest:
        """What a refresh request is: as the first one where the profile does not say otherwise."""
        return self.profile.refresh or self.profile.token


def authorization_parameters(reading: Reading) -> Mapping[str, Expected]:
    """Return the parameters that the address must have that a browser is sent to, its own query among them."""
    profile, registered = reading.profile, reading.registered
    usual = {
        "response_type": Expected(RFC, "code"),
        "client_id": Expected(RFC, registered.client_id),
        "redirect_uri": Expected(RFC, registered.redirect_uri),
        "state": Expected(RFC, fits=_opaque),
    }
    if reading.scopes:
        usual["scope"] = Expected("/scopes", profile.scopes.separator.join(reading.scopes))
    if profile.authorization.sends_nonce or "openid" in reading.scopes:
        always = profile.authorization.sends_nonce
        usual["nonce"] = Expected("/authorization/sends_nonce", fits=_opaque, optional=not always)
    if profile.pkce is not Pkce.OFF:
        usual["code_challenge"] = Expected("/pkce", fits=_challenge)
        usual["code_challenge_method"] = Expected("/pkce", profile.pkce.value)
    if profile.scopes.user_parameter is not None and profile.scopes.user_default:
        text = profile.scopes.separator.join(profile.scopes.user_default)
        usual[profile.scopes.user_parameter] = Expected("/scopes/user_default", text)
    said = profile.authorization
    found = with_own(usual, said.parameters, said.rename, reading.public, "/authorization", typed=False)
    if said.leaves_out_empty:
        found = {name: expected for name, expected in found.items() if expected.value != ""}
    own = reading.endpoint("authorization")
    query = [] if own is None else [pair for pair in own[1] if pair.name not in found]
    return {**{pair.name: Expected("/endpoints/authorization", pair.value) for pair in query}, **found}


def code_order(reading: Reading, code: str, challenge: str) -> Order:
    """Return what the request must be that exchanges a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    usual = {
        "grant_type": Expected(RFC, "authorization_code"),
        "code": Expected(RFC, code, secret=True),
        "redirect_uri": Expected(RFC, reading.registered.redirect_uri),
    }
    if reading.profile.pkce is not Pkce.OFF:
        usual["code_verifier"] = Expected("/pkce", fits=_verifier(challenge, reading.profile.pkce), secret=True)
    return request_order(reading, "token", reading.profile.token, usual, "/token")


def refresh_order(reading: Reading, refresh_token: str, granted: tuple[str, ...]) -> Order:
    """Return what a refresh request must be (RFC 6749 section 6)."""
    said, profile = reading.refresh, reading.profile
    usual = {
        "grant_type": Expected(RFC, "refresh_token"),
        "refresh_token": Expected(RFC, refresh_token, secret=True),
    }
    if said.sends_scope and granted:
        usual["scope"] = Expected("/refresh/sends_scope", profile.scopes.separator.join(granted))
    if said.sends_redirect_uri:
        usual["redirect_uri"] = Expected("/refresh/sends_redirect_uri", reading.registered.redirect_uri)
    if profile.refresh is None:  # as the first request, but for what makes it the first
        own = {name: value for name, value in said.parameters.items() if name != "grant_type"}
        return request_order(reading, "refresh", said, usual, "/token", own)
    return request_order(reading, "refresh", said, usual, "/refresh")


def exchange_order(reading: Reading, first_token: str) -> Order:
    """Return what the request must be that exchanges a first token for one that lives longer.

    No RFC has it: it is the client's authentication and what the profile says, with the token for `{access_token}`.
    """
    with_token = replace(reading, learned={**reading.learned, "access_token": first_token})
    said = reading.profile.exchange or TokenRequest()
    order = request_order(with_token, "exchange", said, {}, "/exchange")
    secret = {name: replace(said, secret=True) for name, said in order.parameters.items() if said.value == first_token}
    return replace(order, parameters={**order.parameters, **secret})


def revocation_order(reading: Reading, token: str, hint: str) -> Order | None:
    """Return what the request must be that revokes a token (RFC 7009 section 2.1); None where there is no endpoint.

    Args:
        reading: of the profile.
        token: that is revoked; it stands for `{token}` too.
        hint: its kind.
    """
    with_token = replace(reading, learned={**reading.learned, "token": token})
    if with_token.endpoint("revocation") is None:
        return None
    usual = {
        "token": Expected("RFC 7009 section 2.1", token, secret=True),
        "token_type_hint": Expected("RFC 7009 section 2.1", hint),
    }
    order = request_order(with_token, "revocation", reading.profile.revocation, usual, "/revocation")
    secret = {name: replace(said, secret=True) for name, said in order.parameters.items() if said.value == token}
    return replace(order, parameters={**order.parameters, **secret}, hidden=token)


def introspection_order(reading: Reading) -> Order:
    """Return what an introspection request must be (RFC 7662 section 2.1); its token is looked at by who answers."""
    usual = {
        "token": Expected("RFC 7662 section 2.1", fits=_opaque, secret=True),
        "token_type_hint": Expected("RFC 7662 section 2.1", "access_token"),
    }
    return request_order(reading, "introspection", reading.profile.introspection, usual, "/introspection")


def device_order(reading: Reading) -> Order:
    """Return what a device authorization request must be (RFC 8628 section 3.1): of an authorization's parameters."""
    profile = reading.profile
    usual: dict[str, Expected] = {}
    if reading.scopes:
        usual["scope"] = Expected("/scopes", profile.scopes.separator.join(reading.scopes))
    if profile.scopes.user_parameter is not None and profile.scopes.user_default:
        text = profile.scopes.separator.join(profile.scopes.user_default)
        usual[profile.scopes.user_parameter] = Expected("/scopes/user_default", text)
    return _as_authorization(reading, "device_authorization", usual)


def device_code_order(reading: Reading, device_code: str) -> Order:
    """Return what the request must be that asks for a device's tokens (RFC 8628 section 3.4)."""
    usual = {
        "grant_type": Expected("RFC 8628 section 3.4", "urn:ietf:params:oauth:grant-type:device_code"),
        "device_code": Expected("RFC 8628 section 3.4", device_code, secret=True),
    }
    return request_order(reading, "token", reading.profile.token, usual, "/token")


def pushed_order(reading: Reading) -> Order:
    """Return what a pushed authorization request must be (RFC 9126 section 2.1): what a browser would bring."""
    own = reading.endpoint("authorization")
    query = () if own is None else {pair.name for pair in own[1]}
    asked = authorization_parameters(reading)
    asked = {
        name: said for name, said in asked.items() if name not in query or said.pointer != "/endpoints/authorization"
    }
    order = _as_authorization(reading, "pushed_authorization", None)
    return replace(order, parameters={**order.parameters, **asked})


def pushed_parameters(reading: Reading, request_uri: str) -> Mapping[str, Expected]:
    """Return the parameters of the address that a browser is sent to once a request was pushed (section 4)."""
    own = reading.endpoint("authorization")
    query = [] if own is None else own[1]
    named = reading.profile.authorization.rename.get("client_id", "client_id")
    return {
        **{pair.name: Expected("/endpoints/authorization", pair.value) for pair in query},
        named: Expected("RFC 9126 section 4", reading.registered.client_id),
        "request_uri": Expected("RFC 9126 section 4", request_uri),
    }


def _as_authorization(reading: Reading, name: str, usual: Mapping[str, Expected] | None) -> Order:
    """Return what a request must be that has what an authorization request has, and the client's authentication.

    Args:
        reading: of the profile.
        name: of the endpoint.
        usual: the RFC's parameters; None: those of the authorization request are not read here.
    """
    found, token = reading.endpoint(name), reading.endpoint("token")
    if found is None:
        raise LookupError(f"the profile has no {name} endpoint that can be filled in")
    profile, (address, query) = reading.profile, found
    way, where = _authentication(profile, profile.token, "/token")
    audience = address if token is None else token[0]
    of_client, basic = credentials(way, reading.registered, audience, reading.assertions, where)
    parameters: Mapping[str, Expected] = of_client
    if usual is not None:
        said = profile.authorization
        known = {**usual, **of_client}
        parameters = with_own(known, said.parameters, said.rename, reading.confidential, "/authorization", typed=False)
    headers = {} if basic is None else {"authorization": Expected(f"{where}/method", basic, secret=True)}
    shown = certificate(reading, way)
    return Order(name, "/authorization", "POST", address, query, BodyFormat.FORM, parameters, headers, shown)


def request_order(
    reading: Reading,
    name: str,
    said: EndpointRequest,
    usual: Mapping[str, Expected],
    pointer: str,
    own: Mapping[str, Sent] | None = None,
) -> Order:
    """Return what a request of Keyrack's own must be.

    Args:
        reading: of the profile.
        name: of the request, and of its endpoint.
        said: what the profile says of it.
        usual: what the RFC says, by its own names; the client's authentication comes to it.
        pointer: where the profile says it.
        own: parameters of the profile, if they are not all of `said`.
    """
    found = reading.endpoint(name)
    if found is None:
        raise LookupError(f"the profile has no {name} endpoint that can be filled in")
    address, query = found
    way, where = _authentication(reading.profile, said, pointer)
    of_client, basic = credentials(way, reading.registered, address, reading.assertions, where)
    headers = {
        header.lower(): Expected(f"{pointer}/headers/{header}", written(text, reading.confidential), secret=True)
        for header, template in said.headers.items()
        if (text := chosen(template, reading.confidential)) is not None
    }
    if basic is not None:
        headers.setdefault("authorization", Expected(f"{where}/method", basic, secret=True))
    mine = said.parameters if own is None else own
    in_json = said.body is BodyFormat.JSON and said.method.upper() != "GET"
    parameters = with_own({**usual, **of_client}, mine, said.rename, reading.confidential, pointer, typed=in_json)
    query = [pair for pair in query if pair.name not in parameters]  # nothing is sent twice
    shown = certificate(reading, way)
    return Order(name, pointer, said.method.upper(), address, query, said.body, parameters, headers, shown)


def certificate(reading: Reading, way: ClientAuthentication | None = None) -> bytes | None:
    """Return the certificate that a request shows in TLS (RFC 8705); None if it does without.

    Args:
        reading: of the profile.
        way: how the client authenticates there; None: as everywhere.
    """
    said = reading.profile.client_authentication if way is None else way
    return (reading.registered.certificate or b"") if shows_certificate(said) else None


def with_own(
    usual: Mapping[str, Expected],
    own: Mapping[str, Sent],
    rename: Mapping[str, str],
    values: Mapping[str, str],
    pointer: str,
    *,
    typed: bool,
) -> dict[str, Expected]:
    """Return the parameters of a request under the provider's names: the usual ones, and what the profile says of them.

    Args:
        usual: by the RFC's names.
        own: the profile's: further ones and other values; null, or a placeholder without a value, takes one away.
        rename: the provider's names for the RFC's.
        values: for placeholders.
        pointer: the part of the profile.
        typed: numbers and truth values are sent as such, not as texts.
    """
    wanted = {name: expected for name, expected in usual.items() if name not in own}
    for name, value in own.items():
        expected = _own(value, values, f"{pointer}/parameters/{name}", typed=typed)
        if expected is not None:
            wanted[name] = expected
    return {rename.get(name, name): expected for name, expected in wanted.items()}


def _own(value: Sent, values: Mapping[str, str], pointer: str, *, typed: bool) -> Expected | None:
    if value is None:
        return None
    if isinstance(value, bool | int):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return Expected(pointer, value if typed else text)
    template = chosen(value, values)
    if template is None:
        return None
    form = form_of(template, values)
    if form is not None:
        return Expected(pointer, fits=lambda got: None if form.fullmatch(str(got)) else "is not random as it should be")
    return Expected(pointer, written(template, values), secret="client_secret" in template)


def _authentication(profile: ProviderProfile, said: EndpointRequest, pointer: str) -> tuple[ClientAuthentication, str]:
    if said.client_authentication is not None:
        return said.client_authentication, f"{pointer}/client_authentication"
    return profile.client_authentication, "/client_authentication"


def _opaque(value: Any) -> str | None:
    return None if _OPAQUE.fullmatch(str(value)) else "is no text that could not be guessed"


def _challenge(value: Any) -> str | None:
    return None if _VERIFIER.fullmatch(str(value)) else "is no code challenge (RFC 7636 section 4.2)"


def _verifier(challenge: str, method: Pkce) -> Callable[[Any], str | None]:
    def judge(value: Any) -> str | None:
        text = str(value)
        if not _VERIFIER.fullmatch(text):
            return "is no code verifier (RFC 7636 section 4.1)"
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        made = digest if method is Pkce.S256 else text
        return None if made == challenge else "does not go with the code challenge"

    return judge
