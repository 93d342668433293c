"""What a provider profile says of answers: what comes back with a browser and with tokens, and how long it is good."""

from typing import Any

from msgspec import field

from keyrack.oauth.profiles.kinds import LifetimeUnit
from keyrack.oauth.profiles.request_parts import Part


class Callback(Part, frozen=True):
    """What the provider adds to the redirect URI.

    Attributes:
        code: name of the parameter with the code (RFC 6749 section 4.1.2).
        state: name of the parameter with the state.
        learned: parameters that are kept with the connection, among its `undefined_params`, and can be placeholders.
    """

    code: str = "code"
    state: str = "state"
    learned: tuple[str, ...] = ()


class Answer(Part, frozen=True):
    """Where things are in the answer of the token endpoint. Paths are names of members with dots between.

    Attributes:
        objects: paths of objects that may hold the tokens, tried in this order; the answer itself comes last.
        access_token: paths, tried in this order; as those that follow.
        refresh_token: see `access_token`.
        expires_in: see `access_token`.
        lifetime_unit: what `expires_in` counts.
        scope: see `access_token`.
        account: what names the account to a person.
        account_id: what names it to the provider.
        error: the code of an error.
        error_description: its text.
        fails_where: paths and the values that say that an answer with status 200 is an error.
        final_errors: codes after which only a new consent helps.
        learned: paths of what is kept with the connection, and can be a placeholder.
        userinfo_learned: the same of the answer of `userinfo`, by the name that it is kept under.
        token_claims: the same of the claims of an access token that is a JWT.
    """

    objects: tuple[str, ...] = ()
    access_token: tuple[str, ...] = ("access_token",)
    refresh_token: tuple[str, ...] = ("refresh_token",)
    expires_in: tuple[str, ...] = ("expires_in",)
    lifetime_unit: LifetimeUnit = LifetimeUnit.SECONDS
    scope: tuple[str, ...] = ("scope",)
    account: tuple[str, ...] = ()
    account_id: tuple[str, ...] = ()
    error: tuple[str, ...] = ("error",)
    error_description: tuple[str, ...] = ("error_description",)
    fails_where: dict[str, Any] = field(default_factory=dict)
    final_errors: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    userinfo_learned: dict[str, str] = field(default_factory=dict)
    token_claims: dict[str, str] = field(default_factory=dict)


class Lifetimes(Part, frozen=True):
    """How long tokens live where the answers do not say; seconds.

    Attributes:
        access_token: 0: it does not end.
        refresh_token: after which a new consent is needed if nothing was refreshed.
        refresh_token_absolute: after which it is needed in any case.
        rotates: whether each refresh brings a new refresh token.
        rotation_grace: for how long the one before still works.
        refresh_before: how long before its end a token should be renewed.
    """

    access_token: int | None = None
    refresh_token: int | None = None
    refresh_token_absolute: int | None = None
    rotates: bool | None = None
    rotation_grace: int | None = None
    refresh_before: int | None = None
