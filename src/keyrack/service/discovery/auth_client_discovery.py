"""Completes new auth clients from their issuer's metadata, and registers them (decision 42).

What is found is stored with the client. It decides whom the client's secret and its users' tokens are told, so what the
server says later changes nothing.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.clients import is_oauth2
from keyrack.oauth.client_auth import METHOD_OF
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.service.clients.auth_client_credentials import (
    POINTER,
    REDIRECT_URI,
    REGISTRATION,
    REGISTRATION_ACCESS_TOKEN,
    REGISTRATION_CLIENT_URI,
    REGISTRATION_ENDPOINT,
    CredentialRules,
)
from keyrack.service.clients.auth_client_profile import INPUTS, INTROSPECTION_URI, origin_of, registration_endpoint_of
from keyrack.service.clients.auth_client_values import NewAuthClient
from keyrack.service.clients.secret_expiry import GivenExpiry
from keyrack.service.discovery.authorization_servers import AuthorizationServers
from keyrack.service.discovery.client_registrar import ClientRegistrar
from keyrack.service.discovery.registration_journal import land
from keyrack.service.tenancy.redirect_uris import of_issuer, redirect_uri
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.unit import Unit
from keyrack.validation.json_types import AN_OBJECT, wrong_type

_ISSUER = "issuer"
_FOUND = {
    "auth_uri": "authorization_endpoint",
    "token_uri": "token_endpoint",
    "revocation_uri": "revocation_endpoint",
    INTROSPECTION_URI: "introspection_endpoint",
    "userinfo_uri": "userinfo_endpoint",
}
"""Members of credentials, and where metadata has what they say."""
_OURS = ("redirect_uris", "grant_types", "response_types", "client_id", "client_secret", "jwks", "jwks_uri")
"""Metadata that callers do not choose."""
_REGISTERED = ("client_id", "client_secret", REDIRECT_URI, REGISTRATION_CLIENT_URI, REGISTRATION_ACCESS_TOKEN)
"""Members that a client has of its registration."""
_REQUIRED = ("auth_uri", "token_uri")
_SILENT = IssuerMetadata(sends_iss=False, jwks_uri=None)
"""Stands for the metadata of a server whose profile says all that is needed, without an issuer."""


class AuthClientDiscovery:
    """Asks authorization servers for what a new auth client leaves out.

    Args:
        servers: asks them.
        registrar: registers clients there.
        rules: what credentials may hold.
        public_url: the setting of this name.
    """

    def __init__(
        self, servers: AuthorizationServers, registrar: ClientRegistrar, rules: CredentialRules, public_url: str | None
    ) -> None:
        self._servers = servers
        self._registrar = registrar
        self._rules = rules
        self._public_url = public_url

    def is_needed(self, wanted: NewAuthClient) -> bool:
        """Tell whether a client is to be registered, or has an issuer and lacks an address of it."""
        if not is_oauth2(wanted.type):
            return False
        if wanted.credentials.get(REGISTRATION) is not None:
            return True
        return self._issuer(wanted.credentials) is not None and self._lacks_address(wanted.credentials)

    async def redirect_uri(self, unit: Unit) -> str | None:
        """Return the documented address; None: of a global client, where each tenant has its own (contract 0.7)."""
        if unit.tenant_id == INSTALLATION and self._public_url is None:
            return None
        return await redirect_uri(unit, self._public_url)

    async def completed(
        self, wanted: NewAuthClient, documented: str | None, *, tenant_id: str, auth_client_id: str
    ) -> NewAuthClient:
        """Return the client with what its issuer says, and registered if it wants that; see `ClientDiscovery`."""
        given = wanted.credentials
        own = given.get(REGISTRATION)
        if own is not None:
            self._require_registrable(given, documented)
        issuer = self._issuer(given)
        server, credentials = _SILENT, dict(given)
        if issuer is not None:
            server = await self._servers.find(issuer, tenant_id=tenant_id, pointer=f"{POINTER}/{_ISSUER}")
            credentials = {**self._found(server, given), **given}
        if own is None or documented is None:
            return replace(wanted, credentials=credentials)
        endpoint = self._registration_endpoint(given) or server.registration_endpoint
        if endpoint is None:
            problem = "the server registers no clients (it has no registration_endpoint): give a client_id"
            raise ValidationFailed(Problem(problem, f"{POINTER}/{REGISTRATION}"))
        preview = {**credentials, REGISTRATION_ENDPOINT: endpoint, "client_id": "-", "client_auth": "none"}
        self._rules.made(wanted.type, preview)
        if given.get("client_auth") in METHOD_OF:
            own = {"token_endpoint_auth_method": METHOD_OF[given["client_auth"]].value, **own}
        elif issuer is None and (profile := self._rules.profiles.profile_in(given)) is not None:
            own = {"token_endpoint_auth_method": profile.client_authentication.method.value, **own}
        address = of_issuer(documented, issuer or origin_of(endpoint))
        members, ends, attempt_id = await self._registrar.register(
            server,
            endpoint,
            own,
            address,
            wanted.name,
            tenant_id=tenant_id,
            auth_client_id=auth_client_id,
            pointer=f"{POINTER}/{REGISTRATION}",
        )
        expiry = wanted.expiry or (None if ends is None else GivenExpiry(ends))
        registered = {**credentials, **members, REDIRECT_URI: address}
        return replace(wanted, credentials=registered, expiry=expiry, registration_attempt=attempt_id)

    def at_work(self, auth_client_id: str) -> AbstractContextManager[None]:
        """Keep recovery from a client that is being completed and stored in this process."""
        return self._registrar.journal.at_work(auth_client_id)

    async def stored(self, unit: Unit, completed: NewAuthClient) -> None:
        """End the attempt of a registration in the transaction that stores its client; see `ClientDiscovery`."""
        await land(unit, completed.registration_attempt)

    async def undo(self, completed: NewAuthClient, *, tenant_id: str) -> None:
        """Delete the registration that `completed` has made, if it has; one that the caller knew of stays."""
        if completed.credentials.get(REGISTRATION) is None:
            return
        await self._registrar.delete(completed.credentials, completed.registration_attempt, tenant_id=tenant_id)

    def _require_registrable(self, given: Mapping[str, Any], documented: str | None) -> None:
        """Judge what is said about a registration before anybody is asked.

        Raises:
            ValidationFailed: it is wrong, or the client has an id already, or no address that it could register.
        """
        pointer, own = f"{POINTER}/{REGISTRATION}", given[REGISTRATION]
        if not isinstance(own, Mapping):
            raise ValidationFailed(Problem(wrong_type(AN_OBJECT, own), pointer))
        ours = [name for name in _OURS if name in own]
        if ours:
            raise ValidationFailed(*(Problem("is Keyrack's to say", f"{pointer}/{name}") for name in ours))
        if self._issuer(given) is None and self._registration_endpoint(given) is None:
            problem = "issuer is required with registration, or a profile that names where clients register"
            raise ValidationFailed(Problem(problem, f"{POINTER}/{_ISSUER}"))
        taken = [name for name in _REGISTERED if given.get(name) is not None]
        if taken:
            raise ValidationFailed(
                *(Problem("cannot be given with registration", f"{POINTER}/{name}") for name in taken)
            )
        if documented is None:
            problem = "a global client can be registered only where KEYRACK_PUBLIC_URL gives all tenants one address"
            raise ValidationFailed(Problem(problem, pointer))

    def _found(self, server: IssuerMetadata, given: Mapping[str, Any]) -> Json:
        missing = [name for name in _REQUIRED if self._lacks(given, name) and getattr(server, _FOUND[name]) is None]
        if missing:
            named = " and ".join(_FOUND[name] for name in missing)
            raise ValidationFailed(Problem(f"its metadata has no {named}", f"{POINTER}/{_ISSUER}"))
        aliases = server.mtls_endpoint_aliases if self._rules.profiles.shows_certificate(given) else {}
        found = {
            name: aliases.get(member) or getattr(server, member)
            for name, member in _FOUND.items()
            if self._lacks(given, name)
        }
        return {name: address for name, address in found.items() if address is not None}

    def _registration_endpoint(self, given: Mapping[str, Any]) -> str | None:
        """Return where a client is registered by what it says itself, or by its profile; None: its issuer tells."""
        own, profile = given.get(REGISTRATION_ENDPOINT), self._rules.profiles.profile_in(given)
        if own is not None or profile is None:
            return own
        inputs = given.get(INPUTS)
        return registration_endpoint_of(profile, inputs if isinstance(inputs, Mapping) else {})

    def _issuer(self, given: Mapping[str, Any]) -> str | None:
        """Return the issuer of credentials, or of their profile; None if it is not known or a template."""
        issuer = given.get(_ISSUER) or self._rules.profiles.addresses(given).get(_ISSUER)
        return issuer if isinstance(issuer, str) and "{" not in issuer else None

    def _lacks(self, given: Mapping[str, Any], name: str) -> bool:
        return given.get(name) is None and name not in self._rules.profiles.addresses(given)

    def _lacks_address(self, given: Mapping[str, Any]) -> bool:
        return any(self._lacks(given, name) for name in _REQUIRED)
