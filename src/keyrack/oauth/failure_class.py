"""The classes of failed token requests: what has to happen before one can succeed (contract section 0.13, 0.24)."""

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
