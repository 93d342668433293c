"""Classes of failed token requests, and which error code is of which class: everybody's codes and single providers'.

A code is written in lower case with `_` between its words. Of a provider, only what its documentation or its users'
reports say is here; what is not is told in the provider's words and judged by whether it repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """What has to happen before the request can succeed."""

    GRANT_DEAD = "grant_dead"
    """The user must authorize again; trying on is pointless."""

    CLIENT_REJECTED = "client_rejected"
    """The client's id or secret must be put right; the grant itself may be well."""

    TEMPORARY = "temporary"
    """Trying again later may help."""

    NO_ENDPOINT = "no_endpoint"
    """What answered is no token endpoint, by a wrong address or a firewall; it says nothing of grant or client."""

    OTHER = "other"
    """The provider refuses and does not say what; only when it goes on doing so is the grant given up."""


_DEAD, _CLIENT, _LATER = FailureClass.GRANT_DEAD, FailureClass.CLIENT_REJECTED, FailureClass.TEMPORARY

EVERYWHERE: Mapping[str, FailureClass] = {
    # RFC 6749 section 5.2, OpenID Connect Core section 3.1.2.6
    "invalid_grant": _DEAD,
    "invalid_scope": _DEAD,
    "interaction_required": _DEAD,
    "consent_required": _DEAD,
    "login_required": _DEAD,
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "unsupported_grant_type": _CLIENT,
    "temporarily_unavailable": _LATER,
    "server_error": _LATER,
    "slow_down": _LATER,
    # a refresh token that is not good any more, in other words
    "bad_refresh_token": _DEAD,  # GitHub, HubSpot
    "expired_authorization": _DEAD,  # HubSpot
    "invalid_refresh_token": _DEAD,  # Slack
    "token_expired": _DEAD,  # Slack
    "token_revoked": _DEAD,  # Slack
    "account_inactive": _DEAD,  # Slack
    "invalid_code": _DEAD,  # Zoho, with status 200
    "invalid_rapt": _DEAD,  # Google: the user has to sign in again
    "invalid_token": _DEAD,  # Cloud Foundry's UAA; RFC 6750's code in the wrong place
    "expired_token": _DEAD,
    "inactive_user": _DEAD,  # Salesforce
    "inactive_org": _DEAD,  # Salesforce
    "refresh_token_expired": _DEAD,
    "refresh_token_invalid": _DEAD,
    "refresh_token_not_found": _DEAD,
    "refresh_token_revoked": _DEAD,
    "keymanagement.service.invalid_refresh_token": _DEAD,  # Apigee
    "keymanagement.service.refresh_token_expired": _DEAD,  # Apigee
    # the client's own fault
    "incorrect_client_credentials": _CLIENT,  # GitHub
    "application_suspended": _CLIENT,  # GitHub
    "invalid_client_id": _CLIENT,  # Slack
    "invalid_client_secret": _CLIENT,
    "bad_client_id": _CLIENT,  # HubSpot
    "bad_client_secret": _CLIENT,  # Slack
    "deleted_client": _CLIENT,  # Google
    "disabled_client": _CLIENT,  # Google
    # nobody's
    "internal_error": _LATER,  # Slack
    "internal_failure": _LATER,  # Google
    "internal_server_error": _LATER,
    "service_unavailable": _LATER,
    "rate_limit_exceeded": _LATER,
    "ratelimited": _LATER,  # Slack
    "too_many_requests": _LATER,
}

CLIENT_ALONE = frozenset(
    {
        "invalid_client",
        "incorrect_client_credentials",
        "application_suspended",
        "invalid_client_id",
        "invalid_client_secret",
        "bad_client_id",
        "bad_client_secret",
        "deleted_client",
        "disabled_client",
    }
)
"""Codes that blame the client whichever grant it was sent with."""

LIMITED = ("rate limit", "too many requests")
"""Texts of limits that are told as refusals: Exact Online's `access_denied`, Zoho's `Access Denied`, both with 400."""


@dataclass(frozen=True, slots=True)
class Own:
    """A meaning that a code has at one provider alone.

    Attributes:
        code: as above; numbers as they are written.
        text: what must be part of the description, in lower case; empty for any.
        means: the class.
    """

    code: str
    means: FailureClass
    text: str = ""


_FACEBOOK = (
    Own("190", _DEAD),  # access token expired, revoked, or the password was changed
    *(Own(code, _LATER) for code in ("1", "2", "4", "17", "341", "613")),  # trouble of theirs; limits
)
_FEISHU = (
    *(Own(code, _DEAD) for code in ("20026", "20037", "20064", "20073")),  # invalid, expired, revoked, used
    Own("20050", _LATER),
)

AT_HOSTS: Mapping[str, tuple[Own, ...]] = {
    "atlassian.com": (Own("unauthorized_client", _DEAD, "refresh_token is invalid"),),
    "deviantart.com": (Own("invalid_request", _DEAD, "refresh_token is invalid"),),
    "facebook.com": _FACEBOOK,
    "instagram.com": _FACEBOOK,
    "feishu.cn": _FEISHU,
    "larksuite.com": _FEISHU,
    "salesforce.com": (Own("invalid_grant", _LATER, "already being processed"), Own("unknown_error", _LATER)),
    "weixin.qq.com": (Own("40030", _DEAD), Own("42002", _DEAD), Own("-1", _LATER)),
}
"""By the host of the token endpoint, or the domain it is in; they win over `EVERYWHERE`."""
