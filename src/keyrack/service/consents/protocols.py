"""Speaks a consent's protocol: OAuth 2.0 or 1.0a, behind one interface (contract sections 20 and 21)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from keyrack.clock import Clock, now
from keyrack.crypto.secret import Secret
from keyrack.model.consents import AuthorizationContext, Consent
from keyrack.oauth import authorization_code, device, oauth1, pkce
from keyrack.oauth.dpop import new_proof_key
from keyrack.oauth.id_token import new_nonce
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.answer_parts import Callback
from keyrack.oauth.profiles.answers import learned_of_callback
from keyrack.oauth.state import STATE, states_of
from keyrack.oauth.token_response import KNOWN_MEMBERS, TokenResponse, process_token_response
from keyrack.oauth.wire import FormRequest, RawResponse
from keyrack.service.consents.values import NewConsent, PlannedConsent
from keyrack.service.tenancy.redirect_uris import CALLBACK_PATHS, OAUTH1, OAUTH2

DEVICE = "device"
"""Name of the protocol without a callback in a consent's context; the others are named as in the callback's path."""


class ConsentCallback(Protocol):
    """How a callback is read."""

    def lookup(self, params: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        """Return under which hashes the consent of a callback may be stored, each with the parameter it was made of.

        They are nobody's if there is nothing to hash. Hashes of one protocol are never those of the other.
        """

    def is_of(self, consent: Consent, parameter: str) -> bool:
        """Tell whether a consent is found by a parameter of this name."""

    def learned(self, consent: Consent, params: Mapping[str, str]) -> dict[str, str]:
        """Return what a callback tells that is kept with the connection."""

    def granted(self, consent: Consent, params: Mapping[str, str], *, iss_required: bool = False) -> Secret:
        """Return what a callback brings to be exchanged: a code, or a verifier.

        Args:
            consent: whose callback it is.
            params: the callback's query parameters.
            iss_required: the server is known to send `iss` (RFC 9207).

        Raises:
            ProviderError: access was not granted.
        """


class ConsentProtocol(Protocol):
    """What is said to the token endpoint, and how it answers."""

    def request(self, consent: Consent, profile: ClientProfile, granted: Secret) -> FormRequest:
        """Return the request that exchanges what was granted."""

    def tokens(
        self, consent: Consent, profile: ClientProfile, answer: RawResponse, granted: Secret | None
    ) -> TokenResponse:
        """Interpret the answer.

        Args:
            consent: whose answer it is.
            profile: client and provider.
            answer: what came back.
            granted: what was exchanged, as far as it is still known: masked should the provider echo it.

        Raises:
            ProviderError, ProviderUnavailable: there are no tokens in it.
        """


class AuthorizationCode:
    """OAuth 2.0, the authorization code grant: the `state` is the key, the code is exchanged."""

    def lookup(self, params: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        """Return the hash of the `state`, and of what may be one under another name."""
        return states_of(params)

    def is_of(self, consent: Consent, parameter: str) -> bool:
        """Tell whether the parameter is called as the consent's provider calls it."""
        return parameter == (consent.context.state_parameter or STATE)

    def learned(self, consent: Consent, params: Mapping[str, str]) -> dict[str, str]:
        """Return those parameters that the provider's profile names."""
        return learned_of_callback(params, consent.context.learns or ())

    def granted(self, consent: Consent, params: Mapping[str, str], *, iss_required: bool = False) -> Secret:
        """Return the code."""
        return authorization_code.process_callback(
            params,
            consent.context.issuer,
            iss_required=iss_required,
            code_parameter=consent.context.code_parameter or "code",
        )

    def request(self, consent: Consent, profile: ClientProfile, granted: Secret) -> FormRequest:
        """Return the token request of RFC 6749 section 4.1.3."""
        return authorization_code.build_token_request(
            profile, code=granted, redirect_uri=consent.context.redirect_uri, verifier=consent.context.verifier
        )

    def tokens(
        self, consent: Consent, profile: ClientProfile, answer: RawResponse, granted: Secret | None
    ) -> TokenResponse:
        """Return the tokens of RFC 6749 section 5.1, with what the callback told beside them."""
        found = process_token_response(answer, provider=profile.provider, sent=_known(granted, profile.client_secret))
        told = {name: text for name, text in (consent.context.learned or {}).items() if name not in KNOWN_MEMBERS}
        return replace(found, members={**told, **found.members})


class DeviceCode:
    """OAuth 2.0, the device authorization grant: no browser comes back, the device code is exchanged."""

    def request(self, consent: Consent, profile: ClientProfile, granted: Secret) -> FormRequest:
        """Return the token request of RFC 8628 section 3.4."""
        del consent
        return device.build_device_token_request(profile, granted)

    def tokens(
        self, consent: Consent, profile: ClientProfile, answer: RawResponse, granted: Secret | None
    ) -> TokenResponse:
        """Return the tokens of RFC 6749 section 5.1."""
        codes = consent.context.device
        sent = _known(granted, profile.client_secret, None if codes is None else codes.device_code)
        return process_token_response(answer, provider=profile.provider, sent=sent)


@dataclass(frozen=True, slots=True)
class TemporaryCredentials:
    """OAuth 1.0a: the temporary token is the key, verifier and temporary credentials are exchanged.

    Attributes:
        clock: for timestamps.
    """

    clock: Clock = now

    def lookup(self, params: Mapping[str, str]) -> Sequence[tuple[str, str]]:
        """Return the hash of the temporary token."""
        return [(oauth1.TOKEN, oauth1.token_hash(oauth1.callback_token(params)))]

    def is_of(self, consent: Consent, parameter: str) -> bool:
        """Tell that it is: there is no other."""
        del consent, parameter
        return True

    def learned(self, consent: Consent, params: Mapping[str, str]) -> dict[str, str]:
        """Return nothing: no profile says how OAuth 1.0a's callbacks are."""
        del consent, params
        return {}

    def granted(self, consent: Consent, params: Mapping[str, str], *, iss_required: bool = False) -> Secret:
        """Return the verifier."""
        del consent, iss_required
        return oauth1.process_callback(params)

    def request(self, consent: Consent, profile: ClientProfile, granted: Secret) -> FormRequest:
        """Return the request of RFC 5849 section 2.3."""
        return oauth1.build_token_request(profile, _temporary(consent), granted, at=self.clock())

    def tokens(
        self, consent: Consent, profile: ClientProfile, answer: RawResponse, granted: Secret | None
    ) -> TokenResponse:
        """Return the token credentials of RFC 5849 section 2.3."""
        temporary = _temporary(consent)
        sent = _known(granted, profile.client_secret, temporary.token, temporary.secret)
        return oauth1.process_token_response(answer, sent=sent)


CALLBACKS: Mapping[str, ConsentCallback] = {OAUTH2: AuthorizationCode(), OAUTH1: TemporaryCredentials()}
"""How callbacks are read, by the protocol in their path."""


def consent_protocols(clock: Clock) -> Mapping[str, ConsentProtocol]:
    """Return all protocols by their names in a consent's context.

    Args:
        clock: for timestamps.
    """
    return {OAUTH2: AuthorizationCode(), OAUTH1: TemporaryCredentials(clock), DEVICE: DeviceCode()}


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """How a consent begins.

    Attributes:
        context: what is remembered, with the address to go to as far as it is known yet.
        parameters: of the authorization request; none where there is no such request.
    """

    context: AuthorizationContext
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


def first_request(planned: PlannedConsent, wanted: NewConsent, base: str, state: str) -> FirstRequest:
    """Return how a consent begins.

    Args:
        planned: what the authorization request is made of.
        wanted: what the caller asked for.
        base: of callback addresses (contract 0.7).
        state: the `state` of OAuth 2.0's request.
    """
    provider = planned.profile.provider
    key = None if provider is None or provider.dpop is None else new_proof_key(provider.dpop)
    profile, verifier = replace(planned.profile, proof_key=key), pkce.new_verifier()
    protocol = _protocol_of(profile)
    redirect_uri = base + CALLBACK_PATHS[OAUTH1 if protocol == OAUTH1 else OAUTH2]
    if planned.issuer_name:
        redirect_uri = f"{redirect_uri}/{planned.issuer_name}"
    usual = Callback()
    said = usual if profile.provider is None else profile.provider.callback
    asks = protocol != DEVICE and authorization_code.sends_nonce(profile, planned.scope)
    nonce = new_nonce() if asks else None
    context = AuthorizationContext(
        protocol=protocol,
        redirect_uri=redirect_uri,
        return_url=wanted.return_url,
        verifier=verifier if profile.pkce and protocol != DEVICE else None,
        client_id=profile.client_id,
        token_endpoint=profile.token_endpoint,
        issuer=profile.issuer,
        sends_iss=profile.sends_iss,
        nonce=nonce,
        name=wanted.name or planned.name,
        scope=planned.scope,
        additional_params=dict(wanted.additional_params),
        fields=planned.fields,
        auth_method=planned.auth_method,
        long_lived=planned.long_lived,
        code_parameter=None if said.code == usual.code else said.code,
        state_parameter=None if said.state == usual.state else said.state,
        learns=said.learned or None,
        dpop_key=key,
        connect_link_id=wanted.connect_link_id,
        userinfo_uri=profile.account.userinfo_uri,
        account_label_paths=profile.account.label_paths or None,
        account_subject_paths=profile.account.subject_paths or None,
    )
    if protocol != OAUTH2:
        return FirstRequest(context)
    parameters = authorization_code.authorization_parameters(
        profile,
        redirect_uri=redirect_uri,
        state=state,
        scope=planned.scope,
        code_challenge=profile.code_challenge(verifier),
        nonce=nonce,
        extra={**planned.extra, **wanted.additional_params},
    )
    url = authorization_code.authorization_url(profile, parameters)
    return FirstRequest(replace(context, authorization_url=url), parameters)


def _protocol_of(profile: ClientProfile) -> str:
    if profile.temporary_credentials_endpoint is not None:
        return OAUTH1
    return DEVICE if profile.is_for_devices else OAUTH2


def _temporary(consent: Consent) -> oauth1.OAuth1Credentials:
    if consent.context.temporary is None:  # callbacks find a consent by its temporary token
        raise LookupError("a consent without temporary credentials")
    return oauth1.OAuth1Credentials(*consent.context.temporary)


def _known(*secrets: Secret | None) -> list[Secret]:
    return [secret for secret in secrets if secret is not None]
