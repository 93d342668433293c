"""Asks a tenant's OpenID provider who somebody is, by a code (OpenID Connect Core 1.0 section 3.1; decision 31)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable, ValidationFailed
from keyrack.model.single_sign_on import AuthenticationRequest, SingleSignOn
from keyrack.oauth.account import process_userinfo, userinfo_request
from keyrack.oauth.authorization_code import build_authorization_url, build_token_request, process_callback
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.id_token import require_sign_in
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.oauth.pkce import challenge
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.request_parts import AuthorizationRequest
from keyrack.oauth.profiles.requests import with_query
from keyrack.oauth.provider_text import printable
from keyrack.oauth.token_response import process_token_response
from keyrack.provider.client import ProviderClient
from keyrack.provider.uri_guard import check_uri
from keyrack.service.consents.id_tokens import IdTokens
from keyrack.service.consents.server_metadata import ServerMetadata
from keyrack.service.secrets.refresh.sending import send
from keyrack.validation.emails import LONGEST_EMAIL

SCOPE = "openid email profile"

_LONGEST_NAME = 100
_LONGEST_CLAIM = 300
_SHOWN = ("iss", "sub", "email", "email_verified", "name", "given_name", "family_name", "preferred_username")
_UNKNOWN = (
    "What your organisation's sign-in service says about itself cannot be had: nothing answers at"
    " {issuer}/.well-known/openid-configuration, or it answers for another issuer."
)
_INCOMPLETE = "Your organisation's sign-in service does not say where to sign in, or names an address that is not used."


@dataclass(frozen=True, slots=True)
class Person:
    """Who has signed in at the provider, by its own word.

    Attributes:
        subject: never changes and is never given to somebody else (`sub`).
        email: the email, whether or not it is verified; None: it says none.
        email_verified: whether it says that the person has that email.
        first_name: as far as it says one.
        last_name: the same.
        claims: what it says, fit to be shown.
    """

    subject: str
    email: str | None
    email_verified: bool
    first_name: str
    last_name: str
    claims: Mapping[str, str] = field(default_factory=dict)


class IdentityProvider:
    """Speaks with the providers of tenants, within the bounds that hold for every call.

    Args:
        provider: calls them.
        issuers: what is known of them.
        clock: the time.
        allow_insecure: as of `check_uri`.
    """

    def __init__(
        self, provider: ProviderClient, issuers: ServerMetadata, clock: Clock, *, allow_insecure: bool
    ) -> None:
        self._provider = provider
        self._issuers = issuers
        self._id_tokens = IdTokens(issuers)
        self._clock = clock
        self._allow_insecure = allow_insecure

    async def address(
        self, settings: SingleSignOn, request: AuthenticationRequest, state: str, login_hint: str | None
    ) -> str:
        """Return where the browser goes to sign in.

        Args:
            settings: of the tenant.
            request: what was begun; a test asks the provider about itself anew.
            state: of the request.
            login_hint: the email that somebody gave, if any.

        Raises:
            ProviderUnavailable: nothing is known of the provider.
            ProviderError: it names no address that can be used.
        """
        metadata = await self._metadata(settings, newer=request.tester_id is not None)
        return build_authorization_url(
            self._profile(settings, metadata),
            redirect_uri=request.context.redirect_uri,
            state=state,
            scope=SCOPE,
            code_challenge=challenge(request.context.verifier),
            nonce=request.context.nonce,
            extra={} if login_hint is None else {"login_hint": login_hint},
        )

    async def sign_out_address(self, settings: SingleSignOn, back: str) -> str | None:
        """Return where people sign out at the provider, or None if it says of no such place, or cannot be asked.

        No ID token is kept, so the client is named instead, and the provider asks the person (OpenID Connect
        RP-Initiated Logout).

        Args:
            settings: of the tenant.
            back: where the provider leads afterwards, if that is registered there.
        """
        found = await self._issuers.metadata(settings.issuer, tenant_id=settings.tenant_id)
        if found is None or found.end_session_endpoint is None:
            return None
        try:
            check_uri(found.end_session_endpoint, allow_insecure=self._allow_insecure)
        except ValidationFailed:
            return None
        asked = {"client_id": settings.client_id, "post_logout_redirect_uri": back}
        return with_query(found.end_session_endpoint, asked, AuthorizationRequest())

    async def person(self, settings: SingleSignOn, request: AuthenticationRequest, params: Mapping[str, str]) -> Person:
        """Return who has signed in, of what the browser brings back.

        Args:
            settings: of the tenant; as they were when the request was begun.
            request: what was begun, and is used up.
            params: the callback's query parameters.

        Raises:
            ProviderError: the provider refused, or its word is not good; `failure` has what it said.
            ProviderUnavailable: it cannot be asked.
        """
        metadata = await self._metadata(settings)
        profile = self._profile(settings, metadata)
        code = process_callback(params, settings.issuer, iss_required=metadata.sends_iss)
        verifier = request.context.verifier
        exchange = build_token_request(profile, code=code, redirect_uri=request.context.redirect_uri, verifier=verifier)
        answer = await send(self._provider, exchange, tenant_id=settings.tenant_id)
        tokens = process_token_response(answer, sent=(code, verifier, profile.client_secret))
        at = self._clock()
        claims = await self._id_tokens.require(
            profile, tokens, request.context.nonce, at, issuer=settings.issuer, tenant_id=settings.tenant_id
        )
        subject = require_sign_in(claims, began=request.created_at, at=at)
        if not {"email", "email_verified"} <= claims.keys():  # with a code, they usually are in the userinfo
            claims = {**claims, **await self._userinfo(settings, metadata, tokens.access_token, subject)}
        return _person(subject, claims)

    async def _metadata(self, settings: SingleSignOn, *, newer: bool = False) -> IssuerMetadata:
        found = await self._issuers.metadata(settings.issuer, tenant_id=settings.tenant_id, newer=newer)
        if found is None:
            raise ProviderUnavailable(_UNKNOWN.format(issuer=settings.issuer.rstrip("/")))
        return found

    def _profile(self, settings: SingleSignOn, metadata: IssuerMetadata) -> ClientProfile:
        authorization, token = metadata.authorization_endpoint, metadata.token_endpoint
        if authorization is None or token is None:
            raise ProviderError(_INCOMPLETE)
        try:
            for address in (authorization, token):
                check_uri(address, allow_insecure=self._allow_insecure)
        except ValidationFailed:
            raise ProviderError(_INCOMPLETE) from None
        return ClientProfile(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            authorization_endpoint=authorization,
            token_endpoint=token,
            token_endpoint_auth_method=TokenEndpointAuthMethod(settings.client_auth),
            issuer=settings.issuer,
            sends_iss=metadata.sends_iss,
        )

    async def _userinfo(
        self, settings: SingleSignOn, metadata: IssuerMetadata, access_token: Secret, subject: str
    ) -> Mapping[str, Any]:
        """Return what the provider tells about the owner of an access token (OpenID Connect Core 1.0 section 5.3)."""
        if metadata.userinfo_endpoint is None:
            return {}
        request = userinfo_request(metadata.userinfo_endpoint, access_token)
        found = process_userinfo(await send(self._provider, request, tenant_id=settings.tenant_id))
        if found is None:
            raise ProviderError("The provider does not tell about the person, although it was asked for the email.")
        if found.get("sub") != subject:
            raise ProviderError("The provider tells about another person than the one who has signed in.")
        return {name: value for name, value in found.items() if name in _SHOWN and name != "iss"}


def _person(subject: str, claims: Mapping[str, Any]) -> Person:
    email = claims.get("email")
    known = email if isinstance(email, str) and 0 < len(email) <= LONGEST_EMAIL else None
    first, last = _name(claims, "given_name"), _name(claims, "family_name")
    if not first and not last:
        first, _, last = _name(claims, "name").rpartition(" ")
        first, last = (first, last) if first else (last, "")
    shown = {
        name: printable(value if isinstance(value, str) else str(value).lower(), _LONGEST_CLAIM)
        for name in _SHOWN
        if isinstance(value := claims.get(name), str | bool)
    }
    word = claims.get("email_verified")
    verified = known is not None and (word is True or word == "true")  # some write it as a text
    return Person(subject, known, verified, first, last, shown)


def _name(claims: Mapping[str, Any], claim: str) -> str:
    value = claims.get(claim)
    return printable(value, _LONGEST_NAME) if isinstance(value, str) else ""
