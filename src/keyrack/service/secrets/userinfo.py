"""Asks a provider whose access token it is (OpenID Connect Core 1.0 section 5.3; decision 33)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.oauth.account import process_userinfo, userinfo_request
from keyrack.oauth.provider_text import error_meta
from keyrack.oauth.token_response import members_of
from keyrack.oauth.wire import ClientCertificate
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.secrets.refresh.sending import send


@dataclass(frozen=True, slots=True)
class UserInfoAnswer:
    """What came back.

    Attributes:
        status: of the answer; 0 where none could be read.
        members: of a successful answer that can be understood; else None.
        said: what the provider says is wrong, fit to be shown.
    """

    status: int
    members: Mapping[str, Any] | None = field(repr=False)
    said: Mapping[str, str]


class UserInfo:
    """Asks with a token, at addresses that were configured or that the issuer names.

    Args:
        provider: calls them, within the bounds of address, time and size that hold for every call.
        allow_insecure: accept http URLs and private addresses.
    """

    def __init__(self, provider: ProviderClient, *, allow_insecure: bool) -> None:
        self._provider = provider
        self._allow_insecure = allow_insecure

    async def ask(
        self,
        uri: str,
        access_token: Secret,
        *,
        tenant_id: str,
        proof_key: Secret | None = None,
        certificate: ClientCertificate | None = None,
    ) -> UserInfoAnswer:
        """Ask once; no transaction may be open.

        Args:
            uri: where.
            access_token: whose it is, is asked.
            tenant_id: for whom.
            proof_key: the key that the token is bound to, if it is.
            certificate: what the client shows in TLS, if it has one.

        Raises:
            ValidationFailed: the address or the token cannot be used.
            ProviderUnavailable: nothing came back.
        """
        check_uri(uri, allow_insecure=self._allow_insecure)
        request = userinfo_request(uri, access_token, proof_key, certificate)
        answer = await send(self._provider, request, tenant_id=tenant_id)
        found = process_userinfo(answer)
        said = {} if found is not None else error_meta(members_of(answer).values, (access_token,))
        return UserInfoAnswer(answer.status, found, {name: str(text) for name, text in said.items()})
