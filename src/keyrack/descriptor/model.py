"""A component descriptor as Keyrack reads it (contract section 19)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Scalar = str | int | float | bool


class Generation(StrEnum):
    """How a component keeps its users' access (contract section 19.1)."""

    SECRETS = "secrets"
    """Auth clients and secrets: `authClientTypes` is not empty."""

    CREDENTIALS = "credentials"
    """An `oauth2` or `oauth1` block, with an OAuth client or environment variables."""

    PLAIN = "plain"
    """Credentials without OAuth, or none at all."""


@dataclass(frozen=True, slots=True)
class Field:
    """A credential field (contract section 19.3).

    Attributes:
        name: member of `keys` that holds its value.
        view_class: as written; empty when absent. What Keyrack does not know is treated as text.
        label: for people; may be missing (contract section 0.9).
        required: whether a value must be given.
        options: the values a select accepts; None when the descriptor does not list them.
    """

    name: str
    view_class: str
    label: str | None
    required: bool
    options: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class EnvVar:
    """An environment variable that the component declares; `required` never blocks storing it."""

    name: str
    required: bool


@dataclass(frozen=True, slots=True)
class OAuth2Block:
    """The `oauth2` member (contract section 19.2); texts may be templates, any may be missing.

    Attributes:
        client_id: normally `{{NAME}}`.
        client_secret: normally `{{NAME}}`; may be a literal, so it is left out of the repr.
        auth_uri: authorization endpoint.
        token_uri: token endpoint.
        client_auth: `basic`, `basic_raw`, `none`, or anything else for the form body (contract section 0.23).
        scopes: a tuple is joined with one space, a text is sent verbatim; `scope` counts where it is missing.
        pkce: false for providers that refuse PKCE (contract section 0.6).
        issuer: the provider's issuer identifier, which its callbacks must then name (extension, RFC 9207).
        sends_iss: whether every callback of it names the issuer; None: its metadata tells.
        userinfo_uri: where the provider tells whose an access token is (extension, decision 33).
        account_label_path: where in an answer of it stands what people know the account by (extension).
        account_subject_path: the same for what the provider knows it by (extension).
        provider_profile: how the provider wants to be talked to: a name, or a profile (extension); as written.
        extra: further members, sent as query parameters of the authorization request.
    """

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    auth_uri: str | None = None
    token_uri: str | None = None
    scopes: tuple[str, ...] | str | None = None
    client_auth: str | None = None
    pkce: bool = True
    issuer: str | None = None
    sends_iss: bool | None = None
    userinfo_uri: str | None = None
    account_label_path: str | None = None
    account_subject_path: str | None = None
    provider_profile: Any = field(default=None, repr=False)
    extra: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OAuth1Block:
    """The `oauth1` member (contract section 21): all but the last are needed, any may be missing when parsed."""

    consumer_key: str | None = None
    consumer_secret: str | None = field(default=None, repr=False)
    request_token_uri: str | None = None
    auth_uri: str | None = None
    access_token_uri: str | None = None
    signature_method: str | None = None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A parsed component.json.

    Attributes:
        raw: the submitted object, unchanged; may hold a literal client secret, so it is left out of the repr.
        title: for people; may be missing.
        use_oauth_client: uses the tenant's OAuth client.
        auth_client_types: types of auth clients it accepts; empty in the first generation.
        env_vars: declared environment variables, by name.
        fields: credential fields by name, in order.
        oauth2: the merged block of `credentials.oauth2` and the top level.
        oauth1: likewise.
        functions: names of actions and triggers.
        has_credentials: whether a credential can be chosen: `{}` counts, absence does not.
    """

    raw: Mapping[str, Any] = field(repr=False)
    title: str | None
    use_oauth_client: bool
    auth_client_types: tuple[str, ...]
    env_vars: Mapping[str, EnvVar]
    fields: Mapping[str, Field]
    oauth2: OAuth2Block | None
    oauth1: OAuth1Block | None
    functions: frozenset[str]
    has_credentials: bool

    @property
    def generation(self) -> Generation:
        """How access is kept; `authClientTypes` wins over everything else."""
        if self.auth_client_types:
            return Generation.SECRETS
        if self.oauth2 is not None or self.oauth1 is not None:
            return Generation.CREDENTIALS
        return Generation.PLAIN

    @property
    def oauth_field(self) -> str | None:
        """Name of the field that takes the tokens: the first `OAuthFieldView`, else the first `HTTPAuthView`."""
        for view_class in ("OAuthFieldView", "HTTPAuthView"):
            for item in self.fields.values():
                if item.view_class == view_class:
                    return item.name
        return None

    @property
    def uses_http_auth(self) -> bool:
        """Whether the field that takes the tokens is an `HTTPAuthView`, which carries its own client."""
        name = self.oauth_field
        return name is not None and self.fields[name].view_class == "HTTPAuthView"
