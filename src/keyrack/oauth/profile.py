"""Client profile: what a consent or a refresh needs to know of a client and its provider, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from keyrack.crypto.secret import Secret
from keyrack.oauth import pkce
from keyrack.oauth.account import NOTHING_KNOWN, AccountSource
from keyrack.oauth.client_assertion import AssertionSigner
from keyrack.oauth.client_auth import Form, RequestAuthentication, TokenEndpointAuthMethod, authenticate
from keyrack.oauth.profiles.kinds import Grant, Pkce, SignatureMethod
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import TokenRequest
from keyrack.oauth.profiles.requests import as_asked
from keyrack.oauth.wire import ClientCertificate, FormRequest


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """A client registered at an authorization server, and how that server wants to be talked to.

    Endpoints are kept out of the repr: templates may have put a user's input into them.

    Attributes:
        client_id: the client identifier (RFC 6749 section 2.2).
        client_secret: the client's password; empty for a public client.
        authorization_endpoint: absolute URL, its own query kept (RFC 6749 section 3.1).
        token_endpoint: absolute URL, its own query kept (RFC 6749 section 3.2).
        refresh_endpoint: where refresh requests go when that is not the token endpoint.
        token_endpoint_auth_method: how the client authenticates.
        pkce: send a code challenge (contract section 0.6); off for providers that refuse it.
        issuer: the server's issuer identifier when known; compared with `iss` (RFC 9207).
        sends_iss: whether the server is known to send `iss`; None: its metadata tells.
        token_path: dotted path of the object in a token response that holds the token, for providers that nest
            it, such as `authed_user`; None when it is the response itself.
        temporary_credentials_endpoint: where temporary credentials are asked for. With one, the protocol is OAuth 1.0a
            (RFC 5849 section 2), `client_id` and `client_secret` are the client credentials, and the token endpoint
            gives token credentials.
        signature_method: of OAuth 1.0a (RFC 5849 section 3.4).
        revocation_endpoint: where tokens are revoked (RFC 7009 section 2); None: nowhere.
        exchange_endpoint: where the first token is exchanged for one that lives longer.
        exchange: how that is asked for; None: the first token stays.
        account: where the provider says whose account it is (decision 33).
        provider: what the provider wants otherwise than the standards have it; None: nothing.
        values: for the placeholders of the provider's profile; some may be secret.
        client_values: those of `values` that whoever made the client has filled in, or the profile lists.
        signer: how the client signs, where it does so instead of sending a secret.
        of_codes: how it authenticates when it exchanges a code, if that is another way.
        of_refreshes: how it authenticates when it refreshes tokens, if that is another way.
        resource: what the tokens are for, named in every request (RFC 8707 section 2); None: nothing is said.
        proof_key: the connection's own key, where tokens are bound to it (RFC 9449).
        certificate: what the client shows in TLS, where it has one (RFC 8705).
        of_exchanges: how it authenticates when it exchanges the first token, if that is another way.
        assertion_signer: how the assertion of the grant `jwt_bearer` is signed; None: with no key that is known.
        device_authorization_endpoint: where codes for devices are got (RFC 8628 section 3.1).
        pushed_authorization_endpoint: where authorization requests are pushed (RFC 9126 section 2).
        introspection_endpoint: where is told whether a token works (RFC 7662 section 2); None: nowhere.
        second: the same client with its other live secret, while that is rotated.
    """

    client_id: str
    client_secret: Secret
    authorization_endpoint: str = field(repr=False)
    token_endpoint: str = field(repr=False)
    refresh_endpoint: str | None = field(default=None, repr=False)
    token_endpoint_auth_method: TokenEndpointAuthMethod = TokenEndpointAuthMethod.CLIENT_SECRET_POST
    pkce: bool = True
    issuer: str | None = None
    sends_iss: bool | None = None
    token_path: str | None = None
    temporary_credentials_endpoint: str | None = field(default=None, repr=False)
    revocation_endpoint: str | None = field(default=None, repr=False)
    exchange_endpoint: str = field(default="", repr=False)
    exchange: TokenRequest | None = None
    account: AccountSource = NOTHING_KNOWN
    provider: ProviderProfile | None = field(default=None, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    client_values: Mapping[str, str] = field(default_factory=dict, repr=False)
    signer: AssertionSigner | None = None
    of_codes: RequestAuthentication | None = None
    of_refreshes: RequestAuthentication | None = None
    resource: str | None = None
    proof_key: Secret | None = None
    certificate: ClientCertificate | None = None
    of_exchanges: RequestAuthentication | None = None
    assertion_signer: AssertionSigner | None = None
    device_authorization_endpoint: str | None = field(default=None, repr=False)
    pushed_authorization_endpoint: str | None = field(default=None, repr=False)
    introspection_endpoint: str | None = field(default=None, repr=False)
    second: "ClientProfile | None" = field(default=None, repr=False)
    of_revocations: RequestAuthentication | None = None
    of_introspections: RequestAuthentication | None = None
    signature_method: SignatureMethod = SignatureMethod.HMAC_SHA1

    @property
    def is_for_devices(self) -> bool:
        """Whether accounts are connected with a code that a person enters somewhere (RFC 8628)."""
        return self.provider is not None and self.provider.grant is Grant.DEVICE_CODE

    @property
    def visited_endpoint(self) -> str:
        """Whose host a person is told beforehand: where a browser is sent, or, of devices, where codes are got."""
        return (self.device_authorization_endpoint or "") if self.is_for_devices else self.authorization_endpoint

    @property
    def code_challenge_method(self) -> str:
        """How a code challenge is made of its verifier, where one is sent (RFC 7636 section 4.3)."""
        plain = self.provider is not None and self.provider.pkce is Pkce.PLAIN
        return pkce.PLAIN if plain else pkce.S256

    def code_challenge(self, verifier: Secret) -> str | None:
        """Return the code challenge of a verifier (RFC 7636 section 4.2); None where none is sent."""
        return pkce.challenge(verifier, self.code_challenge_method) if self.pkce else None

    @property
    def authentication(self) -> RequestAuthentication:
        """How the client authenticates where nothing else is said."""
        return RequestAuthentication(self.token_endpoint_auth_method, self.signer)

    @property
    def code_authentication(self) -> RequestAuthentication:
        """How the client authenticates when it exchanges a code."""
        return self.of_codes or self.authentication

    def authenticated(
        self, form: Form, endpoint: str, by: RequestAuthentication | None = None
    ) -> tuple[Form, Secret | None]:
        """Return a form with the client's authentication, and the value of the `Authorization` header or None.

        Args:
            form: the grant's own parameters.
            endpoint: where the request goes.
            by: how the client authenticates there; None: as everywhere.

        Raises:
            UnusableKeyError: the client signs, and its key does not go with the algorithm.
        """
        return authenticate(form, by or self.authentication, self.client_id, self.client_secret, endpoint)

    def token_request(
        self, endpoint: str, usual: Form, by: RequestAuthentication | None, said: TokenRequest | None
    ) -> FormRequest:
        """Return a request for tokens: authenticated, as the provider's profile asks, with the connection's key.

        Args:
            endpoint: where it goes.
            usual: the grant's own parameters.
            by: how the client authenticates there; None: as everywhere.
            said: what the provider's profile says of such requests; None: nothing.

        Raises:
            UnusableKeyError: as `authenticated`.
        """
        form, authorization = self.authenticated(usual, endpoint, by)
        request = FormRequest(
            endpoint,
            form,
            authorization,
            proof_key=self.proof_key,
            certificate=self.certificate,
            anew=partial(self.token_request, endpoint, usual, by, said),
        )
        return request if said is None else as_asked(request, said, self.placeholders)

    @property
    def placeholders(self) -> dict[str, str]:
        """What stands for the placeholders of the provider's profile in requests for tokens; secret."""
        client = {"client_id": self.client_id, "client_secret": self.client_secret.reveal()}
        return {**self.values, **client}
