"""An operator's browser at the console: a service account that is signed in with permissions of a test's choice."""

from support.app import World
from support.console import ConsoleBrowser, signed_in

ALL = (
    "global.metrics.get",
    "workspaces.auth_secret.get",
    "tenants.tenant.get",
    "tenants.audit.get",
)
"""What an operator needs to see everything."""


async def operator_browser(world: World, *permissions: str) -> ConsoleBrowser:
    """Return a browser in which a new service account with these permissions is signed in."""
    return await signed_in(world, await world.add_service_account(*permissions), "")
