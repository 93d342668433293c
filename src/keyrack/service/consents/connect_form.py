"""Tells a person what can be connected in a workspace, and what has to be filled in for it (contract 15, 16, 19.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from keyrack.descriptor.model import Descriptor, Field, Generation, OAuth2Block
from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.template import placeholders
from keyrack.errors import NotFound, OAuthClientMissing, RelatedNotFound
from keyrack.model.clients import AuthClient, ClientFilter, is_oauth2
from keyrack.model.components import Component
from keyrack.model.identity import Principal
from keyrack.oauth.profiles.kinds import Grant
from keyrack.oauth.profiles.model import Input
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_availability import available_clients, find_available
from keyrack.service.clients.auth_client_credentials import SCOPE
from keyrack.service.clients.auth_client_profile import direct_grant, provider_of
from keyrack.service.clients.connection_inputs import asked_inputs, is_needed, usual_scopes
from keyrack.service.components.visibility import seen_in_workspace, workspace_component
from keyrack.store.components import ComponentRows

CONNECT = ("workspaces.auth_secret.create", "workspaces.credential.edit")
"""Permissions of which one lets somebody connect something."""
_MOST_CLIENTS = 100


class FieldKind(StrEnum):
    """How a value is typed in."""

    text = "text"
    long_text = "long_text"
    password = "password"  # noqa: S105 - a kind of field
    check_box = "check_box"
    select = "select"
    multi_select = "multi_select"
    json = "json"
    secret_text = "secret_text"  # noqa: S105 - a kind of field
    """Of several lines, and never shown again."""
    http_auth = "http_auth"
    """One of several ways to authenticate, each with values of its own (contract 19.3)."""


_KINDS = {
    "PasswordFieldView": FieldKind.password,
    "TextAreaView": FieldKind.long_text,
    "TextAreaWithNoteView": FieldKind.long_text,
    "CheckBoxView": FieldKind.check_box,
    "SelectView": FieldKind.select,
    "MultiSelectView": FieldKind.multi_select,
    "WebhookAuthView": FieldKind.json,
    "HTTPAuthView": FieldKind.http_auth,
}


@dataclass(frozen=True, slots=True)
class FormField:
    """A value to be filled in.

    Attributes:
        name: member of the credentials that holds it.
        label: for people.
        kind: how it is typed in.
        required: whether it must be given.
        options: pairs of value and text of a select.
        hint: what the developer says about it.
        placeholder: an example.
    """

    name: str
    label: str
    kind: FieldKind
    required: bool = True
    options: Sequence[tuple[str, str]] = ()
    hint: str = ""
    placeholder: str = ""


class Way(StrEnum):
    """What comes of the form."""

    consent = "consent"
    """The person agrees at the provider."""
    direct = "direct"
    """The provider gives tokens at once: nobody has to agree."""
    secret = "secret"  # noqa: S105 - a kind of result
    """The values themselves are kept, as an auth secret."""
    credential = "credential"
    """The values themselves are kept, as a first-generation credential."""
    choice = "choice"
    """One of several auth clients has to be chosen first."""
    nothing = "nothing"
    """It cannot be connected; `problem` says why."""


@dataclass(frozen=True, slots=True)
class ClientChoice:
    """An auth client that something can be connected with, without anything secret."""

    id: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class ComponentChoice:
    """A component that something can be connected for.

    Attributes:
        id: its id.
        name: its title, else its name.
        full_name: as flows name it, with its team.
    """

    id: str
    name: str
    full_name: str


@dataclass(frozen=True, slots=True)
class ConnectForm:
    """What has to be filled in to connect something.

    Attributes:
        title: what is connected.
        way: what comes of it.
        component_id: the component, if one was chosen.
        auth_client_id: the auth client; None in the first generation.
        host: where the person is asked to agree, if that is known.
        fields: to be filled in.
        scopes: what is asked for unless somebody says otherwise; None: nobody can say.
        clients: auth clients to choose from.
        problem: why it cannot be connected, for a person.
        by_code: whether the person agrees by entering a code at the provider (RFC 8628), in place of being sent there.
    """

    title: str
    way: Way
    component_id: str | None = None
    auth_client_id: str | None = None
    host: str = ""
    fields: Sequence[FormField] = ()
    scopes: str | None = None
    clients: Sequence[ClientChoice] = ()
    problem: str = ""
    by_code: bool = False


class ConnectForms:
    """For those who may connect accounts in a workspace."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def clients(
        self, who: Principal, workspace_id: str, named: str, *, limit: int, offset: int
    ) -> tuple[Sequence[ClientChoice], int]:
        """List the auth clients that the workspace can use, by what their names have in them; a page and the total."""
        async with self._access.workspace(who, workspace_id) as scope:
            _require(scope, CONNECT[0])
            found, total = await available_clients(scope, ClientFilter(named=named), limit=limit, offset=offset)
            return [_client(each) for each in found], total

    async def components(
        self, who: Principal, workspace_id: str, named: str, *, limit: int, offset: int
    ) -> tuple[Sequence[ComponentChoice], int]:
        """List the components that the workspace has, by what their names have in them; a page and the total."""
        async with self._access.workspace(who, workspace_id) as scope:
            _require(scope, *CONNECT)
            found, total = await seen_in_workspace(scope, named=named, limit=limit, offset=offset)
            return [ComponentChoice(each.id, each.title, f"{each.team_name}/{each.name}") for each in found], total

    async def component_names(
        self, who: Principal, workspace_id: str, component_ids: Sequence[str]
    ) -> Mapping[str, str]:
        """Return the titles, by id, of those of some components that the tenant sees."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace, "only members of the workspace can see its components")
            found = await ComponentRows(scope.unit).list(sorted(set(component_ids)))
            return {each.id: each.title for each in found}

    async def of_component(self, who: Principal, workspace_id: str, component_id: str) -> ConnectForm:
        """Return what has to be filled in to connect an account for a component.

        Raises:
            NotFound: the workspace does not have it.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            _require(scope, *CONNECT)
            try:
                component = await workspace_component(scope, component_id)
            except RelatedNotFound:
                raise NotFound("the workspace has no such component") from None
            except OAuthClientMissing as error:
                return ConnectForm("", Way.nothing, component_id, problem=str(error))
            if component.latest is None:
                text = "The component has no successful build yet; its developer has to publish one."
                return ConnectForm(component.name, Way.nothing, component_id, problem=text)
            descriptor, title = parse_descriptor(component.latest.descriptor), component.title
            if descriptor.generation is Generation.SECRETS:
                return await _by_client(scope, component_id, title)
            return _of_fields(component_id, title, descriptor)

    async def of_client(
        self, who: Principal, workspace_id: str, auth_client_id: str, component_id: str | None = None
    ) -> ConnectForm:
        """Return what has to be filled in to connect an account with an auth client.

        Args:
            who: the caller.
            workspace_id: where.
            auth_client_id: the client.
            component_id: a component whose fields and scopes count, if it is linked to the client.

        Raises:
            NotFound: the workspace cannot use it, or does not have the component.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            _require(scope, CONNECT[0])
            client = await find_available(scope, auth_client_id)
            if client is None:
                raise NotFound("the workspace has no such auth client")
            if not is_oauth2(client.type):
                return ConnectForm(client.name, Way.secret, None, client.id, fields=_plain_fields(client.type))
            descriptor, title = None, client.name
            if component_id is not None and component_id in client.component_ids:
                try:
                    component = await workspace_component(scope, component_id)
                except (RelatedNotFound, OAuthClientMissing):
                    raise NotFound("the workspace has no such component") from None
                descriptor, title = _descriptor(component), component.title
            block = (descriptor.oauth2 if descriptor else None) or OAuth2Block()
            if direct_grant(client) is not None:
                return _of_direct_grant(client, title, component_id if descriptor is not None else None)
            fields = [] if descriptor is None else list(_form_fields(descriptor, without=descriptor.oauth_field))
            provider = provider_of(client)
            return ConnectForm(
                title,
                Way.consent,
                component_id if descriptor is not None else None,
                client.id,
                _host(client.credentials.get("auth_uri") or ""),
                [*_input_fields(client), *fields],
                _scopes(block) or client.credentials.get(SCOPE, ""),
                by_code=provider is not None and provider.grant is Grant.DEVICE_CODE,
            )


def _require(scope: Scope, *permissions: str) -> None:
    scope.require(*permissions)
    scope.require_that(scope.in_workspace, "only a member of the workspace can connect an account")


async def _by_client(scope: Scope, component_id: str, title: str) -> ConnectForm:
    found, _ = await available_clients(scope, ClientFilter(component_id=component_id), limit=_MOST_CLIENTS, offset=0)
    clients = [_client(each) for each in found]
    if not clients:
        text = "No auth client that this workspace can use is linked to the component. A tenant admin can create one."
        return ConnectForm(title, Way.nothing, component_id, problem=text)
    return ConnectForm(title, Way.choice, component_id, clients=clients)


def _of_fields(component_id: str, title: str, descriptor: Descriptor) -> ConnectForm:
    """Return the form of a first-generation component."""
    has_consent = descriptor.generation is Generation.CREDENTIALS and not descriptor.uses_http_auth
    without = descriptor.oauth_field if has_consent else None
    fields = list(_form_fields(descriptor, without=without))
    if has_consent and descriptor.oauth_field is None:
        return ConnectForm(title, Way.nothing, component_id, problem="The component has no field that takes a token.")
    if not has_consent and not fields:
        return ConnectForm(title, Way.nothing, component_id, problem="The component needs no account.")
    block = descriptor.oauth2 or OAuth2Block()
    return ConnectForm(
        title,
        Way.consent if has_consent else Way.credential,
        component_id,
        host=_host(block.auth_uri or "") if has_consent else "",
        fields=fields,
    )


def _form_fields(descriptor: Descriptor, *, without: str | None) -> Sequence[FormField]:
    about = descriptor.raw.get("credentials")
    raw = about.get("fields") if isinstance(about, Mapping) else None
    raw = raw if isinstance(raw, Mapping) else {}
    return [
        _form_field(each, raw.get(each.name))
        for each in descriptor.fields.values()
        if each.name != without and each.view_class != "OAuthFieldView"
    ]


def _form_field(field: Field, raw: object) -> FormField:
    about: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    kind = _KINDS.get(field.view_class, FieldKind.text)
    options: Sequence[tuple[str, str]] = ()
    if kind in (FieldKind.select, FieldKind.multi_select):
        if field.options is None:
            kind = FieldKind.text
        else:
            model = about.get("model")
            texts = model if isinstance(model, Mapping) else {}
            options = [(each, _word(texts.get(each)) or each) for each in field.options]
    hints = [_word(about.get(name)) for name in ("note", "prompt")]
    return FormField(
        field.name,
        field.label or field.name,
        kind,
        field.required,
        options,
        " ".join(filter(None, hints)),
        _word(about.get("placeholder")),
    )


def _of_direct_grant(client: AuthClient, title: str, component_id: str | None) -> ConnectForm:
    """Return the form for an auth client whose provider gives tokens at once."""
    scopes = " ".join(usual_scopes(client))
    host = _host(client.credentials.get("token_uri") or "")
    return ConnectForm(title, Way.direct, component_id, client.id, host, _input_fields(client), scopes)


def _input_fields(client: AuthClient) -> Sequence[FormField]:
    """Return what the client's provider profile asks each connection to fill in."""
    provider = provider_of(client)
    key = None if provider is None else provider.assertion.key
    keys = set(placeholders(key)) if isinstance(key, str) else set()
    asked = sorted(asked_inputs(client).items(), key=lambda item: item[1].order or 0)
    return [_input_field(name, said, is_key=name in keys) for name, said in asked if not (said.hidden or said.learned)]


def _input_field(name: str, said: Input, *, is_key: bool) -> FormField:
    kind = FieldKind.password if said.secret else FieldKind.text
    if said.enum is not None:
        kind = FieldKind.select
    return FormField(
        name,
        said.title or name,
        FieldKind.secret_text if is_key else kind,
        is_needed(said),
        [(each, each) for each in said.enum or ()],
        said.description,
        said.default or said.example or "",
    )


def _plain_fields(kind: str) -> Sequence[FormField]:
    """Return what secrets of a type other than oauth2 hold (contract section 14)."""
    if kind == "basic":
        return [
            FormField("username", "User name", FieldKind.text),
            FormField("password", "Password", FieldKind.password),
        ]
    if kind == "api_key":
        return [
            FormField("headerName", "Name of the header", FieldKind.text, placeholder="X-API-Key"),
            FormField("headerValue", "Its value, the key", FieldKind.password),
        ]
    if kind == "noauth":
        return []
    hint = "What components of this type expect: names and values in braces."
    return [FormField("", "Credentials, as a JSON object", FieldKind.json, hint=hint)]


def _client(client: AuthClient) -> ClientChoice:
    return ClientChoice(client.id, client.name, client.type)


def _descriptor(component: Component) -> Descriptor | None:
    return None if component.latest is None else parse_descriptor(component.latest.descriptor)


def _scopes(block: OAuth2Block) -> str:
    return block.scopes if isinstance(block.scopes, str) else " ".join(block.scopes or ())


def _host(uri: str) -> str:
    """Return the host of an address; empty where a value of the form decides about it."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:  # no address at all, as a descriptor may have it
        return ""
    return "" if any(placeholders(host)) else host


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
