"""Checks the provider profile of an auth client, and what is filled in for it."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import regex

from keyrack.crypto.secret import Secret
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.oauth.client_assertion import (
    ALGORITHMS,
    SECRET_ALGORITHMS,
    AssertionSigner,
    UnusableKeyError,
    client_assertion,
)
from keyrack.oauth.client_auth import WITH_CERTIFICATE, TokenEndpointAuthMethod
from keyrack.oauth.client_certificate import UnusableCertificateError, check_key
from keyrack.oauth.profiles.addresses import Place, has_fixed_end, places
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.faults_of_calls import addresses_of_calls
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, AuthMethod, Grant
from keyrack.oauth.profiles.model import Input, ProviderProfile
from keyrack.oauth.profiles.reading import document_of, profile_of, stored_profile
from keyrack.oauth.profiles.requests import ways_to_authenticate
from keyrack.oauth.profiles.templates import alternatives
from keyrack.service.clients.auth_client_profile import (
    CERTIFICATE,
    CERTIFICATE_KEY,
    INPUTS,
    KEY_ID,
    PRIVATE_KEY,
    PROFILE,
    algorithm_of,
)
from keyrack.validation.json_types import AN_OBJECT, wrong_type
from keyrack.validation.known_names import close_to

_POINTER = "/data/attributes/credentials"
_METHODS = frozenset(method.value for method in TokenEndpointAuthMethod)
ADDRESSES = {
    "auth_uri": "authorization",
    "token_uri": "token",
    "refresh_token_uri": "refresh",
    "revocation_uri": "revocation",
    "issuer": "issuer",
}
"""Members of the credentials that a profile says, if they do not, and what it calls them."""
_LONGEST_INPUT = 500
_LONGEST_SECRET_INPUT = 20_000
"""Characters of a secret one: keys and signed tokens are long."""
_LONGEST_JUDGEMENT = 0.02
"""Seconds that a pattern may take."""
_LONGEST_JUDGEMENTS = 0.05
"""Seconds that all patterns of a request may take; the others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class ProfileRules:
    """The rules for one installation.

    Attributes:
        allow_insecure: accept `http` addresses.
    """

    allow_insecure: bool

    def checked(self, value: Any, pointer: str) -> Json:
        """Return a profile as it is stored: of one's own, or a copy of the one that comes along under a name.

        It is a copy, so that an update of Keyrack changes nothing for a client that works.

        Raises:
            ValidationFailed: it is none, there is none of the name, or it asks for what is not built yet.
        """
        return document_of(self._read(value, pointer))

    def _read(self, value: Any, pointer: str) -> ProviderProfile:
        """Return a profile that `checked` takes."""
        if isinstance(value, str):
            found = catalogue().get(value)
            if found is None:
                meant = close_to(value, catalogue())
                hint = f"; is it {meant}?" if meant else ""
                raise ValidationFailed(Problem(f"there is no provider profile of this name{hint}", pointer))
            profile = found
        elif isinstance(value, Mapping):
            try:
                profile = profile_of(dict(value), allow_insecure=self.allow_insecure)
            except ValidationFailed as wrong:
                moved = (replace(each, pointer=f"{pointer}{each.pointer or ''}") for each in wrong.problems)
                raise ValidationFailed(*moved) from None
        else:
            raise ValidationFailed(Problem(f"{wrong_type(AN_OBJECT, value)}, or the name of a profile", pointer))
        unsafe = [replace(each, pointer=f"{pointer}{each.pointer}") for each in _unsafe(profile)]
        if unsafe:
            raise ValidationFailed(*unsafe)
        _require_built(profile, pointer)
        return profile

    def profile_in(self, given: Mapping[str, Any]) -> ProviderProfile | None:
        """Return the profile of new credentials; None: there is none, or it is wrong, which `checked` tells."""
        try:
            return self._read(given.get(PROFILE), "")
        except ValidationFailed:
            return None

    def addresses(self, given: Mapping[str, Any]) -> Json:
        """Return the addresses that the profile of new credentials says, as `addresses_of`; none of a wrong one."""
        profile = self.profile_in(given)
        return {} if profile is None else addresses_of(profile)

    def wrong_inputs(self, stored: Json) -> list[Problem]:
        """Return what is wrong with what was filled in for the client, and with the key that it signs with."""
        if PROFILE not in stored:
            alone = [name for name in (INPUTS, PRIVATE_KEY, KEY_ID, CERTIFICATE, CERTIFICATE_KEY) if name in stored]
            return [Problem("goes with a provider_profile only", f"{_POINTER}/{name}") for name in alone]
        inputs = {name: said for name, said in stored_profile(stored[PROFILE]).inputs.items() if said.per_client}
        found = wrong_inputs(inputs, stored.get(INPUTS) or {}, f"{_POINTER}/{INPUTS}")
        return [*found, *_wrong_key(stored), *_wrong_certificate(stored)]

    def shows_certificate(self, given: Mapping[str, Any]) -> bool:
        """Tell whether the profile of new credentials wants the client to show a certificate in TLS."""
        profile = self.profile_in(given)
        return profile is not None and _wants_certificate(profile)


def addresses_of(profile: ProviderProfile) -> Json:
    """Return the addresses that a profile says, as members of a client's credentials; they may be templates."""
    said = {name: getattr(profile.endpoints, endpoint) for name, endpoint in ADDRESSES.items()}
    return {name: alternatives(template)[0] for name, template in said.items() if template is not None}


def _unsafe(profile: ProviderProfile) -> Iterator[Problem]:
    """Yield what would let somebody else than a client's maker choose who is told its secret, or bind it to nobody."""
    own = ((f"/endpoints/{name}", getattr(profile.endpoints, name)) for name in profile.endpoints.__struct_fields__)
    for pointer, template in (*own, *addresses_of_calls(profile.after_connecting)):
        for text in alternatives(template or ()):
            for name, place, behind in places(text):
                said = profile.inputs.get(name)
                of_client = said is not None and (said.per_client or said.enum is not None)
                fixed = place in {Place.PATH, Place.QUERY} or (place is Place.HOST and has_fixed_end(behind))
                if place is Place.SCHEME or not (of_client or fixed):
                    detail = f"has {name} where only an input that is per_client may stand, or a domain must follow it"
                    yield Problem(detail, pointer)
    if "nonce" in profile.authorization.parameters or "nonce" in profile.authorization.rename.values():
        yield Problem("is made anew for each request", "/authorization/parameters/nonce")
    if profile.authorization.starts_at_provider:
        detail = "cannot be: a code that comes without our state may be anybody's, so no account is connected with it"
        yield Problem(detail, "/authorization/starts_at_provider")


def _wrong_key(stored: Json) -> list[Problem]:
    algorithms = algorithms_of_key(stored_profile(stored[PROFILE]))
    if not algorithms:
        unused = [name for name in (PRIVATE_KEY, KEY_ID) if name in stored]
        return [Problem("is not asked for by the profile", f"{_POINTER}/{name}") for name in unused]
    if PRIVATE_KEY not in stored:
        return [Problem(f"{PRIVATE_KEY} is required", f"{_POINTER}/{PRIVATE_KEY}")]
    try:
        for algorithm in algorithms:
            client_assertion("x", AssertionSigner(algorithm, Secret(stored[PRIVATE_KEY])), "https://x.example")
    except UnusableKeyError as wrong:
        return [Problem(str(wrong), f"{_POINTER}/{PRIVATE_KEY}")]
    return []


def _wants_certificate(profile: ProviderProfile) -> bool:
    methods = {method.value for method in WITH_CERTIFICATE}
    return any(said.mutual_tls or said.method.value in methods for said in ways_to_authenticate(profile))


def _wrong_certificate(stored: Json) -> list[Problem]:
    """Return what is wrong with a client's certificate beside what was found when it was given."""
    members = (CERTIFICATE, CERTIFICATE_KEY)
    if not _wants_certificate(stored_profile(stored[PROFILE])):
        return [Problem("is not asked for by the profile", f"{_POINTER}/{name}") for name in members if name in stored]
    missing = [Problem(f"{name} is required", f"{_POINTER}/{name}") for name in members if name not in stored]
    if missing:
        return missing
    try:
        check_key(stored[CERTIFICATE], Secret(stored[CERTIFICATE_KEY]))
    except UnusableCertificateError as wrong:
        return [Problem(str(wrong), f"{_POINTER}/{CERTIFICATE_KEY}")]
    return []


def algorithms_of_key(profile: ProviderProfile) -> list[str]:
    """Return with which algorithms the client's private key signs: for the client, and for the grant."""
    ways = ways_to_authenticate(profile)
    found = {algorithm_of(said) for said in ways if said.method is AuthMethod.PRIVATE_KEY_JWT}
    if profile.grant is Grant.JWT_BEARER and profile.assertion.key is None:
        found.add(profile.assertion.algorithm)
    return sorted(found)


def wrong_inputs(inputs: Mapping[str, Input], given: Mapping[str, Any], pointer: str) -> list[Problem]:
    """Return what is wrong with values that were filled in.

    Args:
        inputs: what can be filled in.
        given: the values.
        pointer: of the values in the request.
    """
    found, until = [], time.monotonic() + _LONGEST_JUDGEMENTS
    for name, said in inputs.items():
        value, at = given.get(name), f"{pointer}/{name}"
        if value is None or value == "":
            if said.required and said.default is None and not said.learned:
                found.append(Problem(f"{name} is required", at))
        elif not isinstance(value, str) or len(value) > _longest(said):
            found.append(Problem(f"must be a string of at most {_longest(said)} characters", at))
        elif said.enum is not None and value not in said.enum:
            found.append(Problem(f"must be one of {', '.join(said.enum)}", at))
        elif not _fits(said, value, until):
            found.append(Problem(f"does not have the form of {said.title or name}", at))
    return found


def _longest(said: Input) -> int:
    return _LONGEST_SECRET_INPUT if said.secret else _LONGEST_INPUT


_FORMATS: Mapping[str, str] = {
    "hostname": r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?",
    "uuid": r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": r"https?://[^\s/?#@]+([/?#][^\s]*)?",
    "email": r"[^\s@]+@[^\s@]+",
}


def _fits(said: Input, value: str, until: float) -> bool:
    known = None if said.format is None else _FORMATS[said.format]
    return all(pattern is None or _matches(pattern, value, until) for pattern in (known, said.pattern))


def _matches(pattern: str, value: str, until: float) -> bool:
    """Tell whether a value has a form; one that takes too long to be judged has not: a profile may be anybody's."""
    try:
        left = min(_LONGEST_JUDGEMENT, until - time.monotonic())
        return left > 0 and regex.fullmatch(pattern, value, timeout=left) is not None
    except (TimeoutError, regex.error):
        return False


def _require_built(profile: ProviderProfile, pointer: str) -> None:
    """Refuse what a profile may say and Keyrack does not do yet.

    Raises:
        ValidationFailed: with what that is.
    """
    missing = [what for what, is_asked_for in _not_built(profile) if is_asked_for]
    if missing:
        raise ValidationFailed(Problem(f"{', '.join(missing)} cannot be used with auth clients yet", pointer))


def _not_built(profile: ProviderProfile) -> Iterator[tuple[str, bool]]:
    for said in ways_to_authenticate(profile):
        yield f"the client authentication {said.method}", said.method.value not in _METHODS
        known = SECRET_ALGORITHMS if said.method is AuthMethod.CLIENT_SECRET_JWT else ALGORITHMS
        yield f"the algorithm {said.algorithm}", said.algorithm is not None and said.algorithm not in known
    built = {Grant.AUTHORIZATION_CODE, Grant.DEVICE_CODE, *DIRECT_GRANTS}
    yield f"the grant {profile.grant}", profile.grant not in built
    yield f"the algorithm {profile.assertion.algorithm}", profile.assertion.algorithm not in ALGORITHMS
    by_fields = profile.client_authentication.method is AuthMethod.FIELDS
    yield "pushed requests of a client that authenticates by fields", by_fields and profile.authorization.pushed
