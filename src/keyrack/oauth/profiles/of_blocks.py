"""The provider profile of a component's `oauth2` block: how a provider is talked to, never where (decision 38)."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.profiles.catalogue import catalogue
from keyrack.oauth.profiles.kinds import AuthMethod, Grant
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import problems
from keyrack.oauth.profiles.request_parts import Endpoints
from keyrack.oauth.profiles.requests import ways_to_authenticate
from keyrack.oauth.profiles.shape import shape_problem
from keyrack.validation.json_types import AN_OBJECT, wrong_type
from keyrack.validation.known_names import close_to

_METHODS = frozenset(
    {
        AuthMethod.CLIENT_SECRET_POST,
        AuthMethod.CLIENT_SECRET_BASIC,
        AuthMethod.CLIENT_SECRET_BASIC_RAW,
        AuthMethod.NONE,
        AuthMethod.FIELDS,
    }
)
"""With which the OAuth client of a component can authenticate: it has an id and a secret, and no key."""


def profile_of_block(value: Any) -> ProviderProfile:
    """Return the profile that a block says, or names of those that come along, without any address, calls included.

    The block's own addresses are the only ones, as without a profile: whoever publishes a component cannot have the
    secret of a client told anywhere else by what a profile says.

    Args:
        value: a name, or a profile, which needs no `name` and no `endpoints` then.

    Raises:
        ValidationFailed: there is none of the name, it is none, or a component's client cannot do what it asks for.
            Pointers start at the value.
    """
    if isinstance(value, str):
        named = catalogue().get(value)
        if named is None:
            meant = close_to(value, catalogue())
            hint = f"; is it {meant}?" if meant else ""
            raise ValidationFailed(Problem(f"there is no provider profile of this name{hint}"))
        profile = named
    elif isinstance(value, Mapping):
        try:
            profile = msgspec.convert(document := {"name": "component", **value}, ProviderProfile)
        except msgspec.ValidationError as error:
            raise ValidationFailed(shape_problem(document, error)) from None
    else:
        raise ValidationFailed(Problem(f"{wrong_type(AN_OBJECT, value)}, or the name of a profile"))
    wrong = [each for each in problems(profile) if not (each.pointer or "").startswith("/endpoints")]
    wrong += [Problem(f"{what} cannot be used with a component's OAuth client") for what in _unusable(profile)]
    if wrong:
        raise ValidationFailed(*wrong)
    return replace(profile, endpoints=Endpoints(), after_connecting=())


def _unusable(profile: ProviderProfile) -> Iterator[str]:
    if profile.grant is not Grant.AUTHORIZATION_CODE:
        yield f"the grant {profile.grant}"
    for said in ways_to_authenticate(profile):
        if said.method not in _METHODS or said.mutual_tls:
            yield f"the client authentication {said.method}"
    asked = {
        "an exchange of the first token": profile.exchange is not None,
        "pushed authorization requests": profile.authorization.pushed,
        "connecting that begins at the provider": profile.authorization.starts_at_provider,
        "binding tokens to a key": profile.dpop is not None,
    }
    yield from (what for what, is_asked_for in asked.items() if is_asked_for)
