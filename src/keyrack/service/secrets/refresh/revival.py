"""What becomes of the secrets behind an auth client whose credentials were set (again) (contract 0.13)."""

from keyrack.model.clients import AuthClient
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.core.unit import Unit


async def revive_secrets(unit: Unit, client: AuthClient) -> None:
    """Let the secrets that waited for a better client be refreshed, in the transaction that changes the client.

    Args:
        unit: bound to the client's owner.
        client: as it is now.
    """
    await AuthClientHealth(unit).revive(client.id)
