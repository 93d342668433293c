"""Resolves what a consent asks for: component, OAuth client, field values (contract section 20.2)."""

from collections.abc import Iterator, Mapping
from typing import Any

from keyrack.descriptor.fields import CleanFields, clean_fields
from keyrack.descriptor.first_generation import ResolvedOAuth, needed_variables, resolve
from keyrack.descriptor.link import ClientKeys
from keyrack.descriptor.model import Descriptor, Generation
from keyrack.descriptor.oauth_members import members_of
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.template import placeholders
from keyrack.errors import OAuthClientMissing, Problem, ValidationFailed
from keyrack.model.clients import OAuthClient
from keyrack.model.components import Component
from keyrack.oauth.account import AccountSource
from keyrack.oauth.client_auth import TokenEndpointAuthMethod, unfit_for
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import SignatureMethod
from keyrack.provider.uri_guard import check_issuer, check_uri
from keyrack.service.authz.access import Scope
from keyrack.service.components.shared_environment import visible_environment
from keyrack.service.components.visibility import COMPONENT_POINTER, client_missing
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.validation.pointer import join

FIELDS_POINTER = "/data/attributes/fields"
_MAX_NAME, _NAMED = 100, 10
_NOT_SHARED = (
    "the component takes no tenant's OAuth client, as its descriptor does not say useOAuthClient, so only its owner's"
    " tenant can connect: no other one gets the owner's variables"
)


class ConsentPlanner:
    """Resolves a component's descriptor for one workspace."""

    def __init__(self, *, allow_insecure: bool) -> None:
        self._allow_insecure = allow_insecure

    async def plan(
        self, scope: Scope, component: Component, values: Mapping[str, Any]
    ) -> tuple[ResolvedOAuth, CleanFields, OAuthClient | None]:
        """Fill in a component's templates with the tenant's own client and the user's field values.

        Returns:
            The resolved block, the checked values, and the OAuth client behind it (None: the field's own client or
            the owner's variables).

        Raises:
            ValidationFailed: the component cannot be connected this way, or a field or template is wrong.
            OAuthClientMissing: it needs the tenant's own client and there is none, or takes none (contract 8.6, 20.2).
        """
        descriptor = _connectable(component)
        fields = clean_fields(descriptor, values, FIELDS_POINTER)
        client = None
        if descriptor.use_oauth_client and not descriptor.uses_http_auth:
            client = await OAuthClientRows(scope.unit).for_component(component.id)
        _require_own_keys(scope, component, descriptor, client)
        keys = None if client is None else ClientKeys(client.client_id, client.client_secret, client.client_auth)
        env = await visible_environment(scope.unit, component, descriptor)
        resolved = resolve(descriptor, env=env, values=fields, client=keys, pointer_prefix=FIELDS_POINTER)
        _require_fit(resolved, FIELDS_POINTER if descriptor.uses_http_auth else COMPONENT_POINTER)
        problems = list(self._wrong_addresses(resolved, descriptor, fields))
        if problems:
            raise ValidationFailed(*problems)
        return resolved, fields, client

    def _wrong_addresses(
        self, resolved: ResolvedOAuth, descriptor: Descriptor, fields: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """Yield what is wrong with addresses, each pointed to where the request had a say in it."""
        optional = {"issuer": resolved.issuer, "userinfo_uri": resolved.userinfo_uri}
        given = {member: uri for member, uri in optional.items() if uri is not None}
        for member, uri in {**resolved.endpoints, **given}.items():
            check = check_issuer if member == "issuer" else check_uri
            try:
                check(uri, allow_insecure=self._allow_insecure)
            except ValidationFailed as wrong:
                yield Problem(f"{member}: {wrong}", _origin_of(descriptor, member, fields))


def descriptor_of(component: Component) -> Descriptor:
    """Return the descriptor of a component that was planned for."""
    return parse_descriptor({} if component.latest is None else component.latest.descriptor)


def readable_descriptor(component: Component) -> Descriptor | None:
    """Return a component's descriptor; None where it has no build, or one stored before it would be refused."""
    if component.latest is None:
        return None
    try:
        return parse_descriptor(component.latest.descriptor)
    except ValidationFailed:
        return None


def profile_of(resolved: ResolvedOAuth) -> ClientProfile:
    """Return what the protocol needs to know of a resolved block."""
    return ClientProfile(
        client_id=resolved.client_id,
        client_secret=resolved.client_secret,
        authorization_endpoint=resolved.authorization_endpoint,
        token_endpoint=resolved.token_endpoint,
        token_endpoint_auth_method=TokenEndpointAuthMethod(resolved.token_endpoint_auth_method),
        pkce=resolved.pkce,
        issuer=resolved.issuer,
        sends_iss=resolved.sends_iss,
        temporary_credentials_endpoint=resolved.temporary_credentials_endpoint,
        signature_method=SignatureMethod(resolved.signature_method),
        account=AccountSource(
            resolved.userinfo_uri,
            tuple(filter(None, (resolved.account_label_path,))),
            tuple(filter(None, (resolved.account_subject_path,))),
        ),
    )


def _origin_of(descriptor: Descriptor, member: str, fields: Mapping[str, Any]) -> str:
    """Return the pointer of the field that an address was made of; of the component, if the descriptor alone has it."""
    if descriptor.uses_http_auth:
        return join(FIELDS_POINTER, descriptor.oauth_field or "", "oauth2", member)
    templates = (each.text for each in members_of(descriptor) if each.name == member)
    named = (name for text in templates for name in placeholders(text) if fields.get(name) is not None)
    field = next(named, None)
    return COMPONENT_POINTER if field is None else join(FIELDS_POINTER, field)


def _require_fit(resolved: ResolvedOAuth, pointer: str) -> None:
    """Refuse an id or secret that the client authentication cannot carry (contract 0.23)."""
    method = TokenEndpointAuthMethod(resolved.token_endpoint_auth_method)
    unfit = unfit_for(method, resolved.client_id, resolved.client_secret.reveal())
    if unfit:
        raise ValidationFailed(*(Problem(f"{name} {why}", pointer) for name, why in unfit.items()))


def _connectable(component: Component) -> Descriptor:
    if component.latest is None:
        raise ValidationFailed(Problem("the component has no successful build yet", COMPONENT_POINTER))
    descriptor = parse_descriptor(component.latest.descriptor)
    if descriptor.generation is Generation.SECRETS:
        raise ValidationFailed(Problem("the component takes auth clients, name one", "/data/relationships/auth_client"))
    return descriptor


def _require_own_keys(scope: Scope, component: Component, descriptor: Descriptor, client: OAuthClient | None) -> None:
    """Without a client of its own, only the owning tenant can connect, with the component's variables (8.6, 20.2)."""
    if client is not None or descriptor.uses_http_auth or component.tenant_id == scope.unit.tenant_id:
        return
    if descriptor.oauth_field is None or descriptor.generation is Generation.PLAIN:
        return  # nobody can connect it, whoever has a client
    if descriptor.use_oauth_client:
        raise client_missing([component], scope.unit.tenant_id, COMPONENT_POINTER)
    if needed := sorted(needed_variables(descriptor) - set(descriptor.fields)):
        names = ", ".join(name[:_MAX_NAME] for name in needed[:_NAMED])
        raise OAuthClientMissing(f"{_NOT_SHARED} {names}", pointer=COMPONENT_POINTER)
