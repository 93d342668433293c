"""Exchanges a first token for one that lives longer, as Meta's providers have it: `fb_exchange_token` and the like.

No standard has this request: a provider's profile says all of it but how the client authenticates. Its answer is
a token response.
"""

from dataclasses import replace

from keyrack.crypto.secret import Secret
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.request_parts import TokenRequest
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.profiles.templates import ACCESS_TOKEN
from keyrack.oauth.token_response import TokenResponse, still_true
from keyrack.oauth.wire import FormRequest


def build_exchange_request(profile: ClientProfile, token: Secret) -> FormRequest:
    """Return the request that exchanges a first token; it may be repeated while that token lives.

    Args:
        profile: the client and its provider; its `exchange` says what is sent.
        token: the first one.
    """
    said, endpoint = profile.exchange or TokenRequest(), profile.exchange_endpoint
    form, authorization = profile.authenticated((), endpoint, profile.of_exchanges)
    known = {**profile.placeholders, ACCESS_TOKEN: token.reveal()}
    return as_asked(FormRequest(endpoint, form, authorization, certificate=profile.certificate), said, known)


def long_lived(short: TokenResponse, answer: TokenResponse) -> TokenResponse:
    """Return a long-lived token with what only came with the short-lived one, such as `user_id` and the scope."""
    kept = still_true(short.members, refresh_token_kept=answer.refresh_token is None)
    return replace(answer, scope=answer.scope or short.scope, members={**kept, **answer.members})
