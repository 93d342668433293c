"""What the simulator can be told to do: one record; its fields are the vocabulary of files, control API and URLs.

The table in docs/simulator.md is made from this record (`keyrack.simulator.reference`).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

Endpoint = Literal[
    "authorize",
    "token",
    "revoke",
    "introspect",
    "me",
    "metadata",
    "device",
    "par",
    "register",
    "mcp",
    "oauth1_request",
    "oauth1_authorize",
    "oauth1_token",
    "oauth1_me",
    "ig_exchange",
    "ig_refresh",
]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

ErrorCode = Literal[
    "access_denied",
    "authorization_pending",
    "consent_required",
    "expired_token",
    "interaction_required",
    "invalid_client",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "use_dpop_nonce",
]

MAX_DELAY_MS = 600_000
MAX_PADDING = 64 * 1024 * 1024
MAX_SIM_LENGTH = 2_000

Overrides = Mapping[str, Any]
"""Some fields of a `Behaviour`, by name, checked by `check_overrides`."""


def _about(
    group: str,
    text: str,
    *,
    ge: int | None = None,
    le: int | None = None,
    pattern: str | None = None,
    max_length: int | None = None,
) -> Meta:
    extra = {"group": group}
    if ge is not None:
        return Meta(description=text, extra=extra, ge=ge, le=le)
    return Meta(description=text, extra=extra, pattern=pattern, max_length=max_length)


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the simulator answers. The defaults are those of a well-behaved authorization server (RFC 6749)."""

    approval: Annotated[
        Literal["page", "auto"],
        _about("consent", "`page` shows login and consent; `auto` approves at once as the first user."),
    ] = "page"
    deny: Annotated[
        Literal["", ErrorCode],
        _about("consent", "The authorization ends with this error instead of a page (RFC 6749 4.1.2.1)."),
    ] = ""
    iss: Annotated[
        Literal["send", "omit", "wrong"],
        _about("consent", "The `iss` parameter of the callback (RFC 9207): right, left out, or another issuer."),
    ] = "send"
    state: Annotated[
        Literal["echo", "omit", "wrong"],
        _about("consent", "The `state` parameter of the callback: as sent, left out, or altered."),
    ] = "echo"
    require_pushed: Annotated[
        bool, _about("consent", "Authorization requests must have been pushed (RFC 9126 5), as the metadata then says.")
    ] = False

    code_lifetime: Annotated[
        int, _about("tokens", "Seconds an authorization code can be redeemed; 0 means it is born expired.", ge=0)
    ] = 60
    device_code_lifetime: Annotated[
        int, _about("tokens", "Seconds in which a device code can be decided and exchanged (RFC 8628).", ge=1)
    ] = 600
    device_interval: Annotated[
        int,
        _about("tokens", "Seconds between requests with a device code; who asks sooner gets `slow_down`.", ge=0),
    ] = 5
    request_uri_lifetime: Annotated[
        int, _about("tokens", "Seconds in which a pushed request can be used, once (RFC 9126).", ge=0)
    ] = 60
    access_token_lifetime: Annotated[int, _about("tokens", "Seconds an access token works.", ge=0)] = 3600
    access_token_format: Annotated[
        Literal["opaque", "jwt"],
        _about("tokens", "`jwt`: signed ES256 (RFC 9068), the public key at `/jwks.json`."),
    ] = "opaque"  # noqa: S105 - a format, not a secret
    refresh_token_lifetime: Annotated[
        int, _about("tokens", "Seconds a refresh token works; 0 means without end.", ge=0)
    ] = 0
    no_refresh_token: Annotated[bool, _about("tokens", "A refresh token is never issued.")] = False
    refresh_only_with: Annotated[
        str,
        _about(
            "tokens",
            "No refresh token unless the authorization request carried this parameter, such as "
            "`access_type=offline`, or `scope=offline_access` for one value of the scope.",
            pattern="^([A-Za-z0-9_.-]+=.*)?$",
            max_length=200,
        ),
    ] = ""
    rotation: Annotated[
        Literal["off", "overlap", "one_time", "strict"],
        _about(
            "tokens",
            "`off`: the refresh token stays. `overlap`: each refresh brings a new one, the old keep working. "
            "`one_time`: the old one is dead. `strict`: using the old one again revokes the whole family.",
        ),
    ] = "off"
    rotation_grace: Annotated[
        int, _about("tokens", "Milliseconds in which a rotated refresh token may still be used.", ge=0)
    ] = 0
    repeat_refresh_token: Annotated[
        bool, _about("tokens", "With `rotation` `off`, a refresh repeats the refresh token in its reply.")
    ] = False

    dpop: Annotated[
        Literal["accepted", "required", "ignored"],
        _about(
            "tokens",
            "Proofs of possession (RFC 9449), checked strictly: tokens are bound where one comes along. `required`:"
            " none without. `ignored`: Bearer tokens whatever comes.",
        ),
    ] = "accepted"
    dpop_nonce: Annotated[
        int,
        _about("tokens", "Seconds after which there is another nonce that proofs must repeat; 0 asks for none.", ge=0),
    ] = 0

    expires_in: Annotated[
        Literal["number", "string", "omit"],
        _about("replies", "The member `expires_in`: a number, a string of digits, or left out."),
    ] = "number"
    token_type: Annotated[str, _about("replies", "The member `token_type`.", max_length=100)] = "Bearer"  # noqa: S105 - a type, not a secret
    omit_scope: Annotated[bool, _about("replies", "The member `scope` is left out.")] = False
    extra_members: Annotated[
        dict[str, Any],
        _about("replies", "More members, such as `instance_url`; in a URL `name=value;name=value`."),
    ] = msgspec.field(default_factory=dict)
    nest_under: Annotated[
        str,
        _about("replies", "The token's members are nested in this member, beside `ok`.", max_length=100),
    ] = ""
    reply_format: Annotated[
        Literal["json", "form", "html"],
        _about("replies", "JSON, form-encoded, or a 200 with an HTML page in place of the answer."),
    ] = "json"
    fail: Annotated[
        Literal["", ErrorCode],
        _about(
            "replies",
            "The token endpoint refuses with this error, as those for devices and pushed requests; nothing is used up.",
        ),
    ] = ""
    errors_as_200: Annotated[bool, _about("replies", "OAuth errors of the token endpoint come with 200.")] = False
    bare_errors: Annotated[
        bool, _about("replies", "A bad client secret is a 403 and a bad grant a 400, both without a body.")
    ] = False

    registered_secret_lifetime: Annotated[
        int,
        _about("registration", "Seconds the secret of a registered client works, as it is told; 0: without end.", ge=0),
    ] = 0
    initial_access_token: Annotated[
        str, _about("registration", "Registering needs this token (RFC 7591 section 3).", max_length=200)
    ] = ""

    latency: Annotated[
        int, _about("transport", "Milliseconds to wait before the request is processed.", ge=0, le=MAX_DELAY_MS)
    ] = 0
    latency_after: Annotated[
        int, _about("transport", "Milliseconds to wait between processing and answering.", ge=0, le=MAX_DELAY_MS)
    ] = 0
    status: Annotated[
        int,
        _about("transport", "Answer with this status (400 to 599), not processed; 0 is off.", ge=0, le=599),
    ] = 0
    status_bare: Annotated[bool, _about("transport", "`status` comes without a body.")] = False
    retry_after: Annotated[
        int,
        _about("transport", "Seconds in the `Retry-After` header sent with `status`; -1 sends none.", ge=-1),
    ] = -1
    retry_after_as_date: Annotated[bool, _about("transport", "`Retry-After` is sent as an HTTP date.")] = False
    hang_up: Annotated[
        Literal["", "before", "after", "midway"],
        _about(
            "transport",
            "The connection is cut: `before` processing, `after` it (the response is lost), or `midway` in the body.",
        ),
    ] = ""
    padding: Annotated[
        int,
        _about("transport", "The body is preceded by this many blanks, streamed.", ge=0, le=MAX_PADDING),
    ] = 0
    redirect_to: Annotated[
        str,
        _about("transport", "Answer 307 with this absolute URL, not processed.", pattern="^(https?://[!-~]+)?$"),
    ] = ""
    faults_at: Annotated[
        tuple[Endpoint, ...],
        _about("transport", "The endpoints at which a client's transport fields apply."),
    ] = ("token",)


FIELDS: Mapping[str, Any] = get_type_hints(Behaviour, include_extras=True)


def group_of(name: str) -> str:
    """Return the group of a field: `consent`, `tokens`, `replies`, `registration` or `transport`."""
    return str((meta_of(name).extra or {})["group"])


def meta_of(name: str) -> Meta:
    """Return the description and limits of a field."""
    meta: Meta = FIELDS[name].__metadata__[0]
    return meta


def _names(groups: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in FIELDS if group_of(name) in set(groups))


TRANSPORT = _names(["transport"])
TRAVELLING = _names(["tokens", "replies"])
"""Fields that, given on the authorization URL, hold for the grant that comes of it."""


def check_overrides(raw: Overrides, *, from_text: bool = False) -> Overrides:
    """Check some fields of a behaviour.

    Args:
        raw: values by field name.
        from_text: accept numbers and flags written as text.

    Returns:
        The same fields with values of their declared types.

    Raises:
        ValueError: a name is unknown or a value does not fit; the message names the field.
    """
    try:
        checked = msgspec.convert(dict(raw), Behaviour, strict=not from_text)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from None
    if checked.status and checked.status < 400:  # noqa: PLR2004 - the first status that is an error
        raise ValueError("Expected `status` 0 or 400 to 599 - at `$.status`")
    return {name: getattr(checked, name) for name in raw}


@lru_cache(maxsize=256)
def parse_sim(text: str) -> Overrides:
    """Parse the query parameter `sim`, as in `no_refresh_token,latency:200`.

    Items are separated by commas, a name from its value by the first colon; a name alone sets a flag.

    Raises:
        ValueError: an item is unknown, given twice, or does not fit.
    """
    if len(text) > MAX_SIM_LENGTH:
        raise ValueError("sim is too long")
    raw: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        name, colon, value = item.partition(":")
        if name in raw:
            raise ValueError(f"sim names {name[:40]!r} twice")
        raw[name] = _typed(name, value if colon else None)
    return check_overrides(raw, from_text=True)


def _typed(name: str, value: str | None) -> object:
    if value is None:
        return True
    if name == "extra_members":
        pairs = (pair.partition("=") for pair in filter(None, value.split(";")))
        return {key: member for key, _, member in pairs}
    if name == "faults_at":
        return value.split(";")
    return value
