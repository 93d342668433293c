"""Checks and merges the `credentials` of an auth client (contract section 14, 14.2, 14.3)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from keyrack.clock import now
from keyrack.descriptor.oauth_blocks import SENDS_ISS
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.oauth.account import MAX_PATH
from keyrack.oauth.client_auth import METHOD_OF, WITH_CERTIFICATE, TokenEndpointAuthMethod, unfit_for
from keyrack.oauth.client_certificate import UnusableCertificateError, check_certificate, end_of
from keyrack.oauth.lifetime import DEFAULT_LIFETIME
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, AuthMethod, Grant
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import names_secret, stored_profile
from keyrack.oauth.token_response import MAX_LIFETIME
from keyrack.provider.uri_guard import check_issuer, check_uri
from keyrack.service.clients.auth_client_profile import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    INPUTS,
    INSTAGRAM,
    INTROSPECTION_URI,
    KEY_ID,
    PRIVATE_KEY,
    PROFILE,
    origin_of,
    stored_methods,
)
from keyrack.service.clients.profile_rules import ADDRESSES, ProfileRules, addresses_of
from keyrack.service.clients.secret_expiry import in_range
from keyrack.service.tenancy.redirect_uris import issuer_name_in
from keyrack.validation.json_types import A_BOOLEAN, A_STRING, AN_OBJECT, wrong_type

_WITHOUT_SECRET = frozenset({TokenEndpointAuthMethod.NONE, TokenEndpointAuthMethod.PRIVATE_KEY_JWT}) | WITH_CERTIFICATE
POINTER = "/data/attributes/credentials"
_MAX_TEXT = 4096
_LONGEST_KEY = 20_000
_MAX_DIGITS = 10
_LONGEST_REGISTRATION = 16_000
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
RESOURCE, SCOPE = "resource", "scope"
"""Members that say what tokens are for (RFC 8707), and which scopes are asked for where nobody names any."""
REDIRECT_URI = "redirect_uri"
"""Member with the address that the client is registered with, where that is its issuer's own; else the documented."""
REGISTRATION, REGISTRATION_ENDPOINT = "registration", "registration_endpoint"
"""Members by which a client is registered (RFC 7591): metadata of its own, and where."""
REGISTRATION_CLIENT_URI, REGISTRATION_ACCESS_TOKEN = "registration_client_uri", "registration_access_token"
"""Members by which a registered client is read, changed and deleted at its server (RFC 7592)."""

Check = Callable[[Any, str], Any]
"""Takes a member's value and pointer, returns what to store; raises `ValidationFailed`."""


@dataclass(frozen=True, slots=True)
class _Member:
    check: Check
    required: bool = False
    fixed: bool = False
    """It decides whom the secret is told to, so it cannot change (14.3)."""
    late: bool = False
    """It may be given later, once, to a client that has none."""


@dataclass(frozen=True, slots=True)
class CredentialRules:
    """The rules for one installation.

    Attributes:
        allow_insecure: accept `http` and private addresses in URIs (`KEYRACK_ALLOW_INSECURE_PROVIDERS`).
    """

    allow_insecure: bool

    def made(self, kind: str, given: Mapping[str, Any]) -> Json:
        """Check the credentials of a new client; return them as they are stored.

        For oauth2 types the members are known and others are ignored; other types take any object.

        Raises:
            ValidationFailed: with one problem for every member at fault.
        """
        if not is_oauth2(kind):
            return dict(given)
        stored: Json = {}
        problems: list[Problem] = []
        profile = self.profiles.profile_in(given)
        known = {} if profile is None else addresses_of(profile)
        for name, member in self._members().items():
            value = given.get(name)
            if value is not None:
                _collect(stored, problems, name, member, value)
            elif name in known:
                stored[name] = known[name]
            elif member.required and not _is_spared(name, given, profile):
                problems.append(Problem(f"{name} is required", f"{POINTER}/{name}"))
        problems += _unfit(kind, stored, given)
        if PROFILE in stored or given.get(PROFILE) is None:  # of a profile that is refused nothing more is said
            problems += self.profiles.wrong_inputs(stored)
        problems += _wrong_type(kind, stored)
        if problems:
            raise ValidationFailed(*problems)
        return {**stored, "refresh_token_uri": stored.get("refresh_token_uri", stored["token_uri"])}

    def changed(self, client: AuthClient, given: Mapping[str, Any]) -> Json:
        """Check changed credentials; return what is stored from now on.

        For oauth2 types what is left out is kept, null removes what is optional, and the client's id and URIs must be
        those it has. Other types are replaced as a whole.

        Raises:
            ValidationFailed: with one problem for every member at fault.
        """
        if not is_oauth2(client.type):
            return dict(given)
        stored, problems = dict(client.credentials), []
        for name, member in self._members().items():
            if name not in given:
                continue
            value, pointer = given[name], f"{POINTER}/{name}"
            if member.fixed and not (member.late and name not in stored):
                if value != stored.get(name):
                    problems.append(Problem(f"{name} cannot be changed; create another auth client", pointer))
            elif value is not None:
                _collect(stored, problems, name, member, value)
            elif member.required:
                problems.append(Problem(f"{name} is required", pointer))
            else:
                stored.pop(name, None)
        problems += _unfit(client.type, stored, given)
        problems += self.profiles.wrong_inputs(stored)
        if problems:
            raise ValidationFailed(*problems)
        return stored

    @property
    def profiles(self) -> ProfileRules:
        """The rules for provider profiles."""
        return ProfileRules(allow_insecure=self.allow_insecure)

    def _members(self) -> Mapping[str, _Member]:
        uri = self._uri
        return {
            "client_id": _Member(_text, required=True, fixed=True),
            "client_secret": _Member(_client_secret),  # required but for public clients
            "auth_uri": _Member(uri, required=True, fixed=True),
            "token_uri": _Member(uri, required=True, fixed=True),
            "refresh_token_uri": _Member(uri, fixed=True),
            "token_expires_in": _Member(_whole(1)),
            # Extensions (contract 0.6).
            "pkce": _Member(_boolean),
            "client_auth": _Member(_client_auth),
            "revocation_uri": _Member(uri, fixed=True),
            INTROSPECTION_URI: _Member(uri, fixed=True),
            "issuer": _Member(self._issuer, fixed=True, late=True),
            SENDS_ISS: _Member(_boolean),
            "refresh_token_grace": _Member(_whole(0)),
            # Extensions (decision 33). The address is told users' tokens.
            "userinfo_uri": _Member(uri, fixed=True),
            "account_label_path": _Member(_path),
            "account_subject_path": _Member(_path),
            PROFILE: _Member(self.profiles.checked, fixed=True),
            INPUTS: _Member(_texts, fixed=True),
            PRIVATE_KEY: _Member(_long_text),
            KEY_ID: _Member(_text),
            CERTIFICATE: _Member(_certificate),
            CERTIFICATE_KEY: _Member(_long_text),
            # Extensions (decision 42).
            RESOURCE: _Member(self._resource, fixed=True),
            SCOPE: _Member(_scope),
            REDIRECT_URI: _Member(_redirect_uri, fixed=True),
            REGISTRATION_ENDPOINT: _Member(uri, fixed=True),
            REGISTRATION: _Member(_registration, fixed=True),
            REGISTRATION_CLIENT_URI: _Member(uri, fixed=True),
            REGISTRATION_ACCESS_TOKEN: _Member(_text, fixed=True),
        }

    def _uri(self, value: Any, pointer: str) -> str:
        uri = _text(value, pointer)
        check_uri(uri, allow_insecure=self.allow_insecure, pointer=pointer)
        return uri

    def _resource(self, value: Any, pointer: str) -> str:
        """Return a resource indicator: an absolute URI without a fragment (RFC 8707 section 2)."""
        resource = _text(value, pointer)
        if not resource.isprintable() or " " in resource or "#" in resource or not _is_absolute(resource):
            raise ValidationFailed(Problem("must be an absolute URI without a fragment (RFC 8707)", pointer))
        return resource

    def _issuer(self, value: Any, pointer: str) -> str:
        issuer = _text(value, pointer)
        check_issuer(issuer, allow_insecure=self.allow_insecure, pointer=pointer)
        return issuer


def shown(client: AuthClient) -> Json:
    """Return the credentials as those see them who may: with the default lifetime filled in (14.2)."""
    if not is_oauth2(client.type):
        return client.credentials
    return {**client.credentials, "token_expires_in": client.credentials.get("token_expires_in", DEFAULT_LIFETIME)}


def secret_of(kind: str, credentials: Mapping[str, Any]) -> object:
    """Return what of credentials can end: an oauth2 client's secret and certificate, of other types all; else None."""
    if not is_oauth2(kind):
        return credentials or None
    ends = [credentials.get(name) for name in ("client_secret", CERTIFICATE)]
    return tuple(ends) if any(ends) else None


def end_of_certificate(kind: str, credentials: Mapping[str, Any]) -> datetime | None:
    """Return when the certificate among credentials ends; None if there is none, or it practically never does."""
    if not is_oauth2(kind) or CERTIFICATE not in credentials:
        return None
    end = end_of(credentials[CERTIFICATE])
    return end if in_range(end) else None


def refresh_origin(kind: str, credentials: Mapping[str, Any]) -> str | None:
    """Return scheme, host and port that refresh requests go to; None for what is not refreshed."""
    if not is_oauth2(kind):
        return None
    return origin_of(credentials["refresh_token_uri"])


def named_issuer(client: AuthClient) -> str | None:
    """Return by what a client's own redirect URI is named: its issuer, or else where it was registered."""
    registered = client.credentials.get(REGISTRATION_ENDPOINT)
    return client.credentials.get("issuer") or (None if registered is None else origin_of(registered))


def redirect_uri_of(client: AuthClient) -> str | None:
    """Return the redirect URI that a client itself names; None: it has the documented one (contract 20.1)."""
    return client.credentials.get(REDIRECT_URI) if is_oauth2(client.type) else None


def _is_absolute(text: str) -> bool:
    """Tell whether a text is an absolute URI whose host, if it has one, can be read."""
    try:
        urlsplit(text)
    except ValueError:
        return False
    return _ABSOLUTE.match(text) is not None


def _is_spared(name: str, given: Mapping[str, Any], profile: ProviderProfile | None) -> bool:
    """Tell whether a required address may be missing: the profile is what is wrong, or nobody is sent there."""
    if name not in ADDRESSES or given.get(PROFILE) is None:
        return False
    return profile is None or (name == "auth_uri" and profile.grant in {*DIRECT_GRANTS, Grant.DEVICE_CODE})


def _wrong_type(kind: str, stored: Json) -> list[Problem]:
    """Return whether the profile's grant goes with the type, whose first tokens are exchanged (contract section 14)."""
    grant = stored_profile(stored[PROFILE]).grant if PROFILE in stored else None
    if kind != INSTAGRAM or grant not in DIRECT_GRANTS:
        return []
    return [Problem(f"the grant {grant} goes with the type oauth2 only", f"{POINTER}/{PROFILE}")]


def _collect(stored: Json, problems: list[Problem], name: str, member: _Member, value: Any) -> None:
    try:
        stored[name] = member.check(value, f"{POINTER}/{name}")
    except ValidationFailed as wrong:
        problems.extend(wrong.problems)


def _text(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        detail = f"must be a string of 1 to {_MAX_TEXT} characters, not only spaces"
        raise ValidationFailed(Problem(detail if isinstance(value, str) else wrong_type(A_STRING, value), pointer))
    return value


def _whole(least: int) -> Check:
    def check(value: Any, pointer: str) -> int:
        number = value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= MAX_LIFETIME:
            raise ValidationFailed(Problem(f"must be a whole number from {least} to {MAX_LIFETIME}", pointer))
        return number

    return check


def _boolean(value: Any, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise ValidationFailed(Problem(wrong_type(A_BOOLEAN, value), pointer))
    return value


def _path(value: Any, pointer: str) -> str:
    path = _text(value, pointer)
    if len(path) > MAX_PATH or not path.isprintable() or not all(path.split(".")):
        detail = f"must be names parted by dots, such as team.name, of at most {MAX_PATH} characters"
        raise ValidationFailed(Problem(detail, pointer))
    return path


def _long_text(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_KEY:
        raise ValidationFailed(Problem(f"must be a string of 1 to {_LONGEST_KEY} characters", pointer))
    return value


def _certificate(value: Any, pointer: str) -> str:
    chain = _long_text(value, pointer)
    try:
        check_certificate(chain, now())
    except UnusableCertificateError as wrong:
        raise ValidationFailed(Problem(str(wrong), pointer)) from None
    return chain


def _texts(value: Any, pointer: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValidationFailed(Problem(wrong_type(AN_OBJECT, value), pointer))
    return {str(name): _text(each, f"{pointer}/{name}") for name, each in value.items()}


def _scope(value: Any, pointer: str) -> str:
    text = _text(value, pointer)
    if not text.isprintable():
        raise ValidationFailed(Problem("must be scopes parted by spaces", pointer))
    return " ".join(text.split())


def _redirect_uri(value: Any, pointer: str) -> str:
    address = _text(value, pointer)
    if issuer_name_in(address) is None:
        raise ValidationFailed(Problem("must be where Keyrack takes callbacks of OAuth 2.0", pointer))
    return address


def _registration(value: Any, pointer: str) -> Json:
    """Return the metadata that a client was registered with (RFC 7591 section 2)."""
    if not isinstance(value, Mapping):
        raise ValidationFailed(Problem(wrong_type(AN_OBJECT, value), pointer))
    if len(json.dumps(value)) > _LONGEST_REGISTRATION:
        raise ValidationFailed(Problem(f"must be at most {_LONGEST_REGISTRATION} characters of JSON", pointer))
    return dict(value)


def _client_secret(value: Any, pointer: str) -> str:
    return "" if value == "" else _text(value, pointer)


def _client_auth(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or value not in METHOD_OF:
        raise ValidationFailed(Problem(f"must be one of {', '.join(METHOD_OF)}", pointer))
    return value


def _unfit(kind: str, stored: Json, given: Mapping[str, Any]) -> list[Problem]:
    """Return what keeps the client from authenticating as it is to (contract 0.23); an empty secret is none.

    Where a member that stays is at fault, what was sent is: `client_auth`.
    """
    methods = stored_methods(stored)
    if stored.get("client_secret") == "":
        del stored["client_secret"]
    problems = []
    public = _WITHOUT_SECRET.issuperset(methods) or not _sends_secret(stored)
    public = public and kind != INSTAGRAM  # whose exchange needs the secret
    if not public and "client_secret" not in stored and given.get("client_secret") in (None, ""):
        problems.append(Problem("client_secret is required", f"{POINTER}/client_secret"))
    client_id, client_secret = stored.get("client_id", ""), stored.get("client_secret", "")
    unfit = {name: why for method in methods for name, why in unfit_for(method, client_id, client_secret).items()}
    for name, why in unfit.items():
        at_fault = name if name in given and name in stored else "client_auth"
        problems.append(Problem(f"{name} {why}", f"{POINTER}/{at_fault}"))
    return problems


def _sends_secret(stored: Json) -> bool:
    """Tell whether requests have the client's secret in them where the profile alone says what is in them."""
    if "client_auth" in stored or PROFILE not in stored:
        return True
    profile = stored_profile(stored[PROFILE])
    return profile.client_authentication.method is not AuthMethod.FIELDS or names_secret(profile)
