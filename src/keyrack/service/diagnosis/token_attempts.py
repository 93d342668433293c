"""Tries a client at its token endpoint with a code that is made up, to learn whether the client itself is accepted."""

import secrets as random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth import authorization_code, pkce
from keyrack.oauth.client_assertion import UnusableKeyError
from keyrack.oauth.client_auth import SIGNED, TokenEndpointAuthMethod
from keyrack.oauth.diagnosis.client_rules import judge_clock
from keyrack.oauth.diagnosis.findings import Finding
from keyrack.oauth.diagnosis.token_answer import (
    GRANTED,
    CodeAnswer,
    CodeVerdict,
    finding_of,
    judge,
    other_methods,
)
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import FormRequest
from keyrack.service.diagnosis.exchanges import Exchanges
from keyrack.service.diagnosis.subject import Subject

_SHORTEST_SECRET = 16
_PLACEHOLDER_REDIRECT = "https://keyrack.invalid/callback/oauth2"
"""Sent for a client of all tenants, each of which has an address of its own."""


class TokenAttempts:
    """The attempts for one client: as it is, with a wrong secret to compare, and in other ways if it was refused."""

    def __init__(self, subject: Subject, exchanges: Exchanges, clock: Clock) -> None:
        self._subject = subject
        self._exchanges = exchanges
        self._clock = clock
        self._date: tuple[str | None, datetime, datetime] | None = None

    async def findings(self) -> list[Finding]:
        """Return what the provider says of the client, and of its clock."""
        profile = self._subject.profile
        method = profile.code_authentication.method
        own = await self._tried("a made-up code", profile)
        control = works = None
        if own.verdict is CodeVerdict.code_refused and method is not TokenEndpointAuthMethod.NONE:
            control = await self._tried("a made-up code and a wrong secret", with_wrong_secret(profile), wrong=True)
        elif own.verdict is CodeVerdict.client_refused and profile.of_codes is None:
            works = await self._another_way(profile)
        found = [finding_of(own, method, self._subject.places, control=control, works=works)]
        if self._date is not None:
            date, began, ended = self._date
            clock = judge_clock(date, began, ended, signs=profile.signer is not None)
            found += [] if clock is None else [clock]
        return found

    async def _another_way(self, profile: ClientProfile) -> TokenEndpointAuthMethod | None:
        for method in other_methods(profile.code_authentication.method):
            purpose = f"a made-up code, with {method}"
            answer = await self._tried(purpose, replace(profile, token_endpoint_auth_method=method))
            if answer.verdict is CodeVerdict.code_refused:
                return method
        return None

    async def _tried(self, purpose: str, profile: ClientProfile, *, wrong: bool = False) -> CodeAnswer:
        try:
            request, sent = made_up_code_request(profile, self._subject.redirect_uri)
        except UnusableKeyError as error:
            return CodeAnswer(CodeVerdict.unclear, f"nothing was sent, since {error}")
        if wrong and profile.code_authentication.method in SIGNED:
            request = _with_broken_signature(request)
        began = self._clock()
        try:
            answer = await self._exchanges.send(f"Token request with {purpose}", request, sent=sent, shows=False)
            self._date = (answer.headers.get("date"), began, self._clock())
            process_token_response(answer, provider=profile.provider, sent=(*sent, *self._subject.secrets))
        except (ProviderError, ProviderUnavailable) as error:
            final = () if profile.provider is None else profile.provider.answer.final_errors
            return judge(error, profile.token_endpoint, final)
        return GRANTED


def made_up_code_request(profile: ClientProfile, redirect_uri: str | None) -> tuple[FormRequest, Sequence[Secret]]:
    """Return the request that exchanges a code which is made up, and what is secret in it.

    Args:
        profile: the client.
        redirect_uri: where its browsers come back to; None: each tenant has its own.

    Raises:
        UnusableKeyError: the client's key does not go with the algorithm.
    """
    code = Secret(f"keyrack-diagnosis-{random.token_urlsafe(24)}")
    verifier = pkce.new_verifier() if profile.pkce else None
    request = authorization_code.build_token_request(
        profile, code=code, redirect_uri=redirect_uri or _PLACEHOLDER_REDIRECT, verifier=verifier
    )
    return request, (code, profile.client_secret, *(() if verifier is None else (verifier,)))


def with_wrong_secret(profile: ClientProfile) -> ClientProfile:
    """Return a profile with a secret that is none, as long as the client's."""
    length = max(len(profile.client_secret.reveal()), _SHORTEST_SECRET)
    return replace(profile, client_secret=Secret(random.token_hex(length)[:length]))


def _with_broken_signature(request: FormRequest) -> FormRequest:
    """Return a request whose assertion has a signature that is none."""

    def broken(name: str, value: str) -> str:
        if name != "client_assertion":
            return value
        signed, _, signature = value.rpartition(".")
        return f"{signed}.{signature[::-1]}"

    return replace(request, form=tuple((name, broken(name, value)) for name, value in request.form))
