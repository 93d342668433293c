"""Tries a client's new secret without a connection: with a code that is made up, as a diagnosis does (decision 37).

Of the first generation components refresh by themselves, and another refresh with one of their tokens could end the
grant; of the second there may be no connection yet. A provider that looks at the client first tells a good secret from
a wrong one by that; the answer to a secret that is surely wrong shows whether it is such a provider.
"""

from dataclasses import replace

from keyrack.crypto.secret import Secret
from keyrack.errors import KeyrackError, ProviderError, ProviderUnavailable
from keyrack.model.rotations import TrialResult
from keyrack.oauth.diagnosis.token_answer import CodeVerdict, judge
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import process_token_response
from keyrack.provider.client import ProviderClient
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.diagnosis.subject import Subject
from keyrack.service.diagnosis.token_attempts import made_up_code_request, with_wrong_secret
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter
from keyrack.service.secrets.refresh.sending import send


class SecretProbe:
    """Asks providers.

    Args:
        provider: sends, within the bounds of address, time and size that hold for every call.
        limiter: whose turn it is.
    """

    def __init__(self, provider: ProviderClient, limiter: ProviderLimiter) -> None:
        self._provider = provider
        self._limiter = limiter

    async def result(self, subject: Subject, secret: Secret) -> tuple[TrialResult, str | None]:
        """Return what a provider says of a secret, and why it is not accepted.

        Args:
            subject: the client, as consents use it.
            secret: the new one.
        """
        profile = subject.profile
        if not profile.token_endpoint or profile.temporary_credentials_endpoint is not None:
            return TrialResult.unclear, "no_token_endpoint"
        if profile.code_authentication.signer is not None:
            return TrialResult.unclear, "signs_with_a_key"
        own = await self._verdict(subject, replace(profile, client_secret=secret))
        if own is CodeVerdict.client_refused:
            return TrialResult.refused, own.value
        if own is not CodeVerdict.code_refused:
            return TrialResult.unclear, own.value
        wrong = await self._verdict(subject, with_wrong_secret(replace(profile, client_secret=secret)))
        if wrong is CodeVerdict.client_refused:
            return TrialResult.accepted, None
        return TrialResult.unclear, "answers_any_secret_alike"

    async def _verdict(self, subject: Subject, profile: ClientProfile) -> CodeVerdict:
        try:
            request, sent = made_up_code_request(profile, subject.redirect_uri)
            async with self._limiter.admit(subject.tenant_id, origin_of(request.url)):
                answer = await send(self._provider, request, tenant_id=subject.tenant_id)
            process_token_response(answer, provider=profile.provider, sent=sent)
        except (ProviderError, ProviderUnavailable) as error:
            final = () if profile.provider is None else profile.provider.answer.final_errors
            return judge(error, profile.token_endpoint, final).verdict
        except KeyrackError:  # it cannot be sent: an address that is not allowed
            return CodeVerdict.unclear
        return CodeVerdict.granted
