"""Asks a provider whether an access token works, with the client's authentication (RFC 7662)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.introspection import build_introspection_request, process_introspection_response
from keyrack.oauth.profile import ClientProfile
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.secrets.refresh.sending import send


@dataclass(frozen=True, slots=True)
class IntrospectionAnswer:
    """What came back.

    Attributes:
        active: whether the token works; None: the provider does not say.
        members: of an answer that tells.
        text: why the provider does not say.
        said: the provider's words for that, fit to be shown.
    """

    active: bool | None
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    text: str = ""
    said: Mapping[str, str] = field(default_factory=dict)


class Introspection:
    """Asks at the introspection endpoint of a client's provider profile.

    Args:
        provider: calls it, within the bounds of address, time and size that hold for every call.
        allow_insecure: accept http URLs and private addresses.
    """

    def __init__(self, provider: ProviderClient, *, allow_insecure: bool) -> None:
        self._provider = provider
        self._allow_insecure = allow_insecure

    async def ask(self, endpoint: str, profile: ClientProfile, secret: AuthSecret) -> IntrospectionAnswer:
        """Ask once about the access token of a secret; no transaction may be open.

        Args:
            endpoint: where.
            profile: the client that the token was issued to.
            secret: whose token it is.

        Raises:
            ValidationFailed: the address, or a value for it, cannot be used.
            ProviderUnavailable: nothing came back, or nothing that tells, for now.
        """
        check_uri(endpoint, allow_insecure=self._allow_insecure)
        token = Secret(str(secret.credentials.get("access_token") or ""))
        request = build_introspection_request(profile, endpoint, token)
        answer = await send(self._provider, request, tenant_id=secret.tenant_id)
        try:
            members = process_introspection_response(answer, (token, profile.client_secret))
        except ProviderError as refused:  # of the client: it means nothing of the token
            return IntrospectionAnswer(None, text=str(refused), said=refused.failure.said)
        return IntrospectionAnswer(members["active"], members)
