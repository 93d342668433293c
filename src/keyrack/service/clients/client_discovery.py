"""What creating an auth client needs of those who ask authorization servers about themselves (decision 42)."""

from contextlib import AbstractContextManager
from typing import Protocol

from keyrack.service.clients.auth_client_values import NewAuthClient
from keyrack.store.core.unit import Unit


class ClientDiscovery(Protocol):
    """Completes new auth clients with what their authorization server says, and registers them there."""

    def is_needed(self, wanted: NewAuthClient) -> bool:
        """Tell whether a new client leaves something to be found out or registered."""

    async def redirect_uri(self, unit: Unit) -> str | None:
        """Return the documented redirect URI of the unit's owner; None: of a global client each tenant has its own."""

    async def completed(
        self, wanted: NewAuthClient, documented: str | None, *, tenant_id: str, auth_client_id: str
    ) -> NewAuthClient:
        """Ask, and register if that is wanted; return the client with all that came of it. No transaction may be open.

        Args:
            wanted: what the caller gave, which wins over what is found.
            documented: the redirect URI, below which the issuer's own is registered; see `redirect_uri`.
            tenant_id: whose connections are used.
            auth_client_id: that the client will have.

        Raises:
            ValidationFailed: there is no metadata of the issuer, or it names what may not be called.
            ProviderError: the server refuses to register the client.
            ProviderUnavailable: it did not answer.
        """

    def at_work(self, auth_client_id: str) -> AbstractContextManager[None]:
        """Keep recovery from what is registered for a client while it is completed and stored."""

    async def stored(self, unit: Unit, completed: NewAuthClient) -> None:
        """Note in the transaction that stores a completed client that its registration is not to be cleaned up.

        Raises:
            StateConflict: it was, meanwhile.
        """

    async def undo(self, completed: NewAuthClient, *, tenant_id: str) -> None:
        """Take a registration back that was made for a client that then could not be stored; never fails."""
