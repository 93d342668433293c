"""Says where browsers come back to: one address a protocol, and one for each issuer that Keyrack found (contract 20.1).

With an address of its own each, an answer that one authorization server's user was led to another for is known by where
it arrives (RFC 9700 section 4.4, decision 42). Clients that somebody registers by hand have the documented address.
"""

from keyrack.oauth.issuer_name import is_issuer_name, issuer_name
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.core.unit import Unit

OAUTH2, OAUTH1 = "oauth2", "oauth1"
"""Names of the protocols whose browsers come back."""
CALLBACK_PATHS = {OAUTH2: "/callback/oauth2", OAUTH1: "/callback/oauth1"}
"""Where they come back to (contract 20.1)."""


async def redirect_uri(unit: Unit, public_url: str | None, protocol: str = OAUTH2) -> str:
    """Return the documented address of a tenant (contract 0.7, 20.1).

    Args:
        unit: of the tenant.
        public_url: the setting of this name.
        protocol: `oauth2` or `oauth1`.

    Raises:
        NotFound: the tenant is gone.
    """
    return await base_address(unit, public_url) + CALLBACK_PATHS[protocol]


def of_issuer(documented: str, issuer: str) -> str:
    """Return the address of one issuer, below the documented one."""
    return f"{documented}/{issuer_name(issuer)}"


def issuer_name_in(address: str) -> str | None:
    """Return the issuer's name in a redirect URI; empty: it is a documented one; None: it is none of ours."""
    if address.endswith(tuple(CALLBACK_PATHS.values())):
        return ""
    documented, _, name = address.rpartition("/")
    return name if documented.endswith(CALLBACK_PATHS[OAUTH2]) and is_issuer_name(name) else None
