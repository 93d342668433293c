"""Says what refusals mean where tokens are got without a person, and what somebody can do about them. Pure functions.

The grant of such a secret can be asked for any number of times: a refresh token is only one way to new tokens, and an
interrupted request costs nothing.
"""

from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.failure_classes import FailureClass, blames_client_alone, classify_failure
from keyrack.oauth.profiles.kinds import Grant
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.clients.auth_client_profile import direct_grant, final_errors, refresh_host
from keyrack.service.clients.connection_inputs import renews_itself

_OF_CONNECTION = frozenset({Grant.PASSWORD, Grant.TOKEN_EXCHANGE})
"""Grants whose refusal is about what the connection has: asking again with the same is no help, and may lock it out."""
_ADVICE = {
    Grant.CLIENT_CREDENTIALS: "Check at the provider whether the client may use client credentials, and which scopes.",
    Grant.JWT_BEARER: "Check at the provider the key, the subject and the scopes that the assertion names.",
    Grant.TOKEN_EXCHANGE: "Set another subject token among the connection's fields.",
    Grant.PASSWORD: "Set the user name and password that are in force among the connection's fields.",
}
RECONNECT = "Connect again."


def advice(client: AuthClient | None) -> str:
    """Return what helps when a client's provider does not give tokens any more, as a sentence."""
    grant = None if client is None else direct_grant(client)
    return RECONNECT if grant is None else _ADVICE[grant]


def asks_anew(secret: AuthSecret, client: AuthClient) -> bool:
    """Tell whether the next request is for the grant itself, for want of a refresh token."""
    return not secret.credentials.get("refresh_token") and renews_itself(client, secret.credentials)


def may_ask_anew(
    secret: AuthSecret, client: AuthClient, result: TokenResponse | ProviderError | ProviderUnavailable
) -> bool:
    """Tell whether the grant itself is asked for after a refresh: the provider has refused the refresh token.

    Not where it is certain that it refuses the client, which it would again.
    """
    if not isinstance(result, ProviderError) or not renews_itself(client, secret.credentials):
        return False
    kind = classify_failure(result, refresh_host(client), final_errors(client))
    return kind is not FailureClass.CLIENT_REJECTED or not blames_client_alone(result)


def refusals_end(client: AuthClient) -> bool:
    """Tell whether a grant that was asked for anew is over once the provider has refused it for good.

    What is refused of an assertion or of the client itself is put right at the provider or with the client, and works
    again then without anybody's doing.
    """
    return direct_grant(client) in _OF_CONNECTION
