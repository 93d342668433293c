"""Makes the protocol's client profile from an auth client (contract section 14, 15.3, 20.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from keyrack.crypto.secret import Secret
from keyrack.descriptor.model import OAuth2Block
from keyrack.descriptor.oauth_blocks import ACCOUNT_MEMBERS, SENDS_ISS
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.oauth import instagram
from keyrack.oauth.account import AccountSource
from keyrack.oauth.client_assertion import AssertionSigner
from keyrack.oauth.client_auth import METHOD_OF, RequestAuthentication, TokenEndpointAuthMethod
from keyrack.oauth.dpop import new_proof_key
from keyrack.oauth.instagram import exchange_endpoint
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.addresses import filled_address
from keyrack.oauth.profiles.answer_parts import Lifetimes
from keyrack.oauth.profiles.answers import member_at
from keyrack.oauth.profiles.kinds import DIRECT_GRANTS, AuthMethod, Grant, Pkce
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import stored_profile
from keyrack.oauth.profiles.request_parts import ClientAuthentication, EndpointRequest, TokenRequest
from keyrack.oauth.profiles.requests import refresh_of, ways_to_authenticate
from keyrack.oauth.profiles.templates import TOKEN, alternatives, filled
from keyrack.oauth.token_response import MAX_LIFETIME
from keyrack.oauth.wire import ClientCertificate

PROFILE, INPUTS = "provider_profile", "inputs"
"""Members of an auth client's credentials: a profile, and what it asks to be filled in."""
INTROSPECTION_URI = "introspection_uri"
"""Member with the address where a client's issuer says whether tokens work (RFC 7662)."""
PRIVATE_KEY, KEY_ID = "private_key", "key_id"
"""Members with the key of a client that signs, and with the name of the key at the provider."""
CERTIFICATE, CERTIFICATE_KEY = "certificate", "certificate_key"
"""Members with what a client shows in TLS: a chain in PEM, its own certificate first, and the private key of that."""
_ENDPOINTS = ("authorization", "token", "refresh", "revocation")
FIELDS, SECRET_FIELDS = "fields", "secret_fields"
"""Members of a connection's credentials with what was filled in for its client's profile; the second is never shown."""
INSTAGRAM = "oauth2_instagram"
"""Type of auth clients whose tokens are exchanged for long-lived ones (contract section 14)."""


def client_profile(
    client: AuthClient, auth_method: str | None = None, connection: Mapping[str, Any] | None = None
) -> ClientProfile:
    """Return what a consent or refresh with an oauth2 auth client needs to know.

    Args:
        client: of an oauth2 type.
        auth_method: client authentication that a component declared, remembered with a secret (contract 20.3). It
            counts where the client itself does not say how it authenticates, and never for a global client: a
            component's developer speaks for one tenant, and that client serves all.
        connection: credentials of the connection, which have values for placeholders of the client's provider profile
            in `fields`, `secret_fields` and `undefined_params`; None: of no connection in particular.
    """
    given, provider = client.credentials, provider_of(client)
    remembered = None if _says_itself(client) else auth_method
    of_client = {} if provider is None else _of_client(provider, given.get(INPUTS) or {}, connection or {})
    of_connection = {} if provider is None else _of_connection(provider, connection or {})
    known = {**of_connection, **of_client}
    refresh = given.get("refresh_token_uri") or given["token_uri"]
    addresses = [given.get("auth_uri") or "", given["token_uri"], refresh, given.get("revocation_uri") or ""]
    if provider is not None:
        addresses = [
            _address(provider, name, said, of_client, of_connection)
            for name, said in zip(_ENDPOINTS, addresses, strict=True)
        ]
    exchanging = _exchange(client, provider, addresses[1], of_client, of_connection)
    second = None
    if client.second_secret is not None:
        given_second = {**given, "client_secret": client.second_secret.reveal()}
        second = client_profile(replace(client, credentials=given_second, second_secret=None), auth_method, connection)
    return ClientProfile(
        client_id=given["client_id"],
        client_secret=Secret(given.get("client_secret") or ""),
        authorization_endpoint=addresses[0],
        token_endpoint=addresses[1],
        refresh_endpoint=addresses[2],
        revocation_endpoint=addresses[3] or None,
        token_endpoint_auth_method=TokenEndpointAuthMethod(remembered) if remembered else own_method(client),
        pkce=given.get("pkce", provider is None or provider.pkce is not Pkce.OFF) is not False,
        issuer=given.get("issuer"),
        sends_iss=given.get(SENDS_ISS),
        exchange_endpoint=exchanging[0],
        exchange=exchanging[1],
        of_exchanges=None if exchanging[1] is None else _own_way(given, exchanging[1], of_client),
        provider=provider,
        values=known,
        client_values=of_client,
        account=_account_source(given, provider, of_client, of_connection),
        signer=None if provider is None else _signer(given, provider.client_authentication, of_client),
        of_codes=None if provider is None else _own_way(given, provider.token, of_client),
        of_refreshes=None if provider is None else _own_way(given, refresh_of(provider), of_client),
        resource=given.get("resource"),
        certificate=_certificate(given),
        assertion_signer=_assertion_signer(client, provider, known),
        device_authorization_endpoint=_own(provider, "device_authorization", of_client, of_connection),
        pushed_authorization_endpoint=_own(provider, "pushed_authorization", of_client, of_connection),
        introspection_endpoint=_introspection(given, provider, of_client, of_connection),
        of_revocations=None if provider is None else _own_way(given, provider.revocation, of_client),
        of_introspections=None if provider is None else _own_way(given, provider.introspection, of_client),
        second=second,
    )


def _own(
    provider: ProviderProfile | None, endpoint: str, of_client: Mapping[str, str], of_connection: Mapping[str, str]
) -> str | None:
    """Return an endpoint that only a profile can say, filled in; None if it does not, or that cannot be."""
    template = None if provider is None else getattr(provider.endpoints, endpoint)
    return None if template is None else filled_address(template, of_client, of_connection)


def _introspection(
    given: Mapping[str, Any],
    provider: ProviderProfile | None,
    of_client: Mapping[str, str],
    of_connection: Mapping[str, str],
) -> str | None:
    """Return where tokens are asked about: where the client's profile says, else where its issuer did."""
    if provider is not None and provider.endpoints.introspection is not None:
        return _own(provider, "introspection", of_client, of_connection)
    found: str | None = given.get(INTROSPECTION_URI)
    return found


def _account_source(
    given: Mapping[str, Any],
    provider: ProviderProfile | None,
    of_client: Mapping[str, str],
    of_connection: Mapping[str, str],
) -> AccountSource:
    """Return where the provider says whose account it is: what the client says, else its profile (decision 33)."""
    uri, label, subject = (given.get(name) for name in ACCOUNT_MEMBERS)
    labels, subjects = tuple(filter(None, (label,))), tuple(filter(None, (subject,)))
    if provider is None:
        return AccountSource(uri, labels, subjects)
    template = provider.endpoints.userinfo
    uri = uri or (None if template is None else filled_address(template, of_client, of_connection))
    return AccountSource(uri, labels or provider.answer.account, subjects or provider.answer.account_id)


def _own_way(
    given: Mapping[str, Any], request: EndpointRequest, values: Mapping[str, str]
) -> RequestAuthentication | None:
    """Return how a client authenticates in one kind of request, if its profile has another way for that."""
    said = request.client_authentication
    if said is None:
        return None
    return RequestAuthentication(TokenEndpointAuthMethod(said.method), _signer(given, said, values))


def _signer(given: Mapping[str, Any], said: ClientAuthentication, values: Mapping[str, str]) -> AssertionSigner | None:
    """Return how a client signs, if its profile asks for that."""
    if said.method is AuthMethod.CLIENT_SECRET_JWT:
        key = given.get("client_secret") or ""
    elif said.method is AuthMethod.PRIVATE_KEY_JWT:
        key = given.get(PRIVATE_KEY) or ""
    else:
        return None
    audience = None if said.audience is None else filled(said.audience, values)
    return AssertionSigner(algorithm_of(said), Secret(key), given.get(KEY_ID) or said.key_id, audience)


def _assertion_signer(
    client: AuthClient, provider: ProviderProfile | None, values: Mapping[str, str]
) -> AssertionSigner | None:
    """Return how the assertion of the grant `jwt_bearer` is signed; None for other grants, and without a key."""
    if provider is None or provider.grant is not Grant.JWT_BEARER:
        return None
    said, given = provider.assertion, client.credentials
    known = {**values, "client_id": given["client_id"]}
    key = given.get(PRIVATE_KEY) if said.key is None else filled(said.key, known)
    if not key:
        return None
    own_id = given.get(KEY_ID) if said.key is None else None
    key_id = own_id or (None if said.key_id is None else filled(said.key_id, known))
    audience = None if said.audience is None else filled(said.audience, known)
    return AssertionSigner(said.algorithm, Secret(key), key_id, audience)


def algorithm_of(said: ClientAuthentication) -> str:
    """Return with which algorithm a client signs, by its profile."""
    return said.algorithm or ("HS256" if said.method is AuthMethod.CLIENT_SECRET_JWT else "RS256")


def _certificate(given: Mapping[str, Any]) -> ClientCertificate | None:
    if CERTIFICATE not in given:
        return None
    return ClientCertificate(given[CERTIFICATE], Secret(given.get(CERTIFICATE_KEY) or ""))


def provider_of(client: AuthClient) -> ProviderProfile | None:
    """Return what a client's provider wants otherwise than the standards have it; None if nothing is known.

    Credentials of other types than OAuth's are any object, so that a member of this name is no profile there.
    """
    said = client.credentials.get(PROFILE) if is_oauth2(client.type) else None
    return None if said is None else stored_profile(said)


def registration_endpoint_of(provider: ProviderProfile, inputs: Mapping[str, Any]) -> str | None:
    """Return where clients are registered by a profile (RFC 7591), with what a client fills in; None if not there."""
    given = {name: text for name, text in inputs.items() if isinstance(text, str)}
    return _own(provider, "registration", _of_client(provider, given, {}), {})


def new_key_for(client: AuthClient) -> Secret | None:
    """Return a new key for a connection, where the tokens of a client are bound to one (RFC 9449); else None."""
    provider = provider_of(client)
    return None if provider is None or provider.dpop is None else new_proof_key(provider.dpop)


def direct_grant(client: AuthClient) -> Grant | None:
    """Return the grant of a client whose tokens are got without a browser; None for all others."""
    provider = provider_of(client)
    return provider.grant if provider is not None and provider.grant in DIRECT_GRANTS else None


def final_errors(client: AuthClient) -> tuple[str, ...]:
    """Return the error codes after which only a new consent helps, by the client's provider profile."""
    provider = provider_of(client)
    return () if provider is None else provider.answer.final_errors


def lifetimes_of(client: AuthClient) -> Lifetimes:
    """Return how long tokens of a client live where the provider does not say, by its profile."""
    provider = provider_of(client)
    return Lifetimes() if provider is None else provider.lifetimes


def refresh_token_grace(client: AuthClient) -> timedelta:
    """Return for how long a refresh token that was used works again: as the client says, else its profile."""
    own = client.credentials.get("refresh_token_grace")
    return timedelta(seconds=(lifetimes_of(client).rotation_grace or 0) if own is None else own)


def spends_refresh_tokens(client: AuthClient) -> bool:
    """Tell whether a request whose answer is lost may have used its refresh token up; its profile may know better."""
    return lifetimes_of(client).rotates is not False


def usual_lifetime(client: AuthClient) -> int | None:
    """Return how long access tokens of a client live where the provider does not say, by its profile; seconds."""
    stated = lifetimes_of(client).access_token
    return MAX_LIFETIME if stated == 0 else stated


def _of_client(provider: ProviderProfile, given: Mapping[str, str], connection: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands for the placeholders that belong to a client: as it was filled in, else what is usual.

    So does what a connection has chosen, or its provider has told, among the values that the profile lists.
    """
    typed, told = filled_in(connection), _told(provider, connection)
    values: dict[str, Any] = {}
    for name, said in provider.inputs.items():
        if said.per_client:
            values[name] = given.get(name) or said.default
        elif said.enum is not None:
            listed = (value for value in (told.get(name), typed.get(name)) if value in said.enum)
            values[name] = next(listed, said.default)
    return {name: value for name, value in values.items() if value}


def filled_in(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody has filled in for a connection, by its credentials, what is kept from view included."""
    known: dict[str, Any] = {}
    for name in (FIELDS, SECRET_FIELDS):
        given = connection.get(name)
        known |= given if isinstance(given, Mapping) else {}
    return known


def _of_connection(provider: ProviderProfile, connection: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands for those of a connection: its fields, else what is usual, and what its provider has told.

    Any member may have typed these (contract section 15.1): no other name counts, and `filled_address` bounds each.
    """
    typed = filled_in(connection)
    own = {name: said for name, said in provider.inputs.items() if not said.per_client and said.enum is None}
    values: dict[str, Any] = {name: typed.get(name) or said.default for name, said in own.items()}
    values |= _told(provider, connection)
    return {name: str(value) for name, value in values.items() if isinstance(value, str | int | float) and value != ""}


def _told(provider: ProviderProfile, connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a connection's provider has told in callbacks and answers, of what its profile names."""
    told = connection.get("undefined_params")
    members = told if isinstance(told, Mapping) else {}
    learned = (*provider.answer.learned, *provider.callback.learned)
    found = {path: member_at(members, path) for path in learned}
    found |= {name: members.get(name) for name in provider.learned if name not in learned}
    return {path: value for path, value in found.items() if value is not None}


def _address(
    provider: ProviderProfile, name: str, said: str, of_client: Mapping[str, str], of_connection: Mapping[str, str]
) -> str:
    """Return an endpoint: the client's own, filled in; empty, where nothing can be sent to, if that cannot be."""
    template = getattr(provider.endpoints, name)
    if name == "refresh" and template is None:
        template = provider.endpoints.token
    if template is None or said not in alternatives(template):
        return said
    later = TOKEN if name == "revocation" else None
    return filled_address(template, of_client, of_connection, later) or ""


def is_global(client: AuthClient) -> bool:
    """Tell whether a client belongs to the installation, and so serves all tenants."""
    return not client.tenant_id


def own_method(client: AuthClient) -> TokenEndpointAuthMethod:
    """Return the client authentication that a client itself asks for."""
    return stored_method(client.credentials)


def stored_method(credentials: Mapping[str, Any]) -> TokenEndpointAuthMethod:
    """Return the client authentication that credentials of a client ask for, by themselves or by their profile."""
    return stored_methods(credentials)[0]


def stored_methods(credentials: Mapping[str, Any]) -> Sequence[TokenEndpointAuthMethod]:
    """Return all of them: first the one of every request whose way the profile does not say itself."""
    own, profile = credentials.get("client_auth"), credentials.get(PROFILE)
    if profile is None:
        return [METHOD_OF[own or "post"]]
    said = [TokenEndpointAuthMethod(each.method) for each in ways_to_authenticate(stored_profile(profile))]
    return said if own is None else [METHOD_OF[own], *said[1:]]


def declared_method(client: AuthClient, block: OAuth2Block | None) -> str | None:
    """Return the client authentication that a component declares for a client (contract 20.3).

    None where the client has its own or is global, or the component declares none beside the default; then it is the
    client's own.

    Args:
        client: of an oauth2 type.
        block: the component's.
    """
    declared = METHOD_OF.get((block.client_auth if block else None) or "post")  # unknown ones are as none (19.2)
    if _says_itself(client) or declared in (None, METHOD_OF["post"]):
        return None
    return declared.value


def _says_itself(client: AuthClient) -> bool:
    """Tell whether a component has no say in how a client authenticates."""
    return client.credentials.get("client_auth") is not None or PROFILE in client.credentials or is_global(client)


def _exchange(
    client: AuthClient,
    provider: ProviderProfile | None,
    token_endpoint: str,
    of_client: Mapping[str, str],
    of_connection: Mapping[str, str],
) -> tuple[str, TokenRequest | None]:
    """Return where first tokens are exchanged for long-lived ones, empty if that is not known, and how; None: not."""
    if provider is not None and provider.exchange is not None:
        template = provider.endpoints.exchange
        address = token_endpoint if template is None else filled_address(template, of_client, of_connection)
        return address or "", provider.exchange
    if client.type != INSTAGRAM:
        return "", None
    return exchange_endpoint(_refresh_uri(client)) or "", instagram.EXCHANGE


def refresh_host(client: AuthClient) -> str:
    """Return the host that refresh requests of a client go to; empty if its address names none."""
    return urlsplit(_refresh_uri(client)).hostname or ""


def provider_origin(client: AuthClient) -> str:
    """Return what a client's provider is called where grants and refreshes are counted: where refresh requests go.

    As it stands with the client: of a profile whose address has placeholders, all connections are counted together.
    """
    return origin_of(_refresh_uri(client))


def _refresh_uri(client: AuthClient) -> str:
    return str(client.credentials.get("refresh_token_uri") or client.credentials["token_uri"])


def origin_of(uri: str) -> str:
    """Return scheme, host and port of a URI: what a provider's budget and circuit are kept for."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
