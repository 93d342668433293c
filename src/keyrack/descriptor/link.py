"""The link between an OAuth client and environment variables (contract sections 0.8 and 18.1)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from keyrack.crypto.secret import Secret
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.template import placeholders, sole_placeholder

CLIENT_ID_VARIABLE = "OAUTH_CLIENT_ID"
CLIENT_SECRET_VARIABLE = "OAUTH_CLIENT_SECRET"  # noqa: S105 - the name of a variable

_KEY_MEMBERS = ("client_id", "client_secret", "consumer_key", "consumer_secret")


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A tenant's client at a provider: its id there (not the id of a resource), its secret, how it authenticates.

    Attributes:
        client_id: its id.
        client_secret: empty for a public client.
        client_auth: `post`, `basic`, `basic_raw` or `none`; None: as the descriptor says.
    """

    client_id: str
    client_secret: Secret
    client_auth: str | None = None


def linked_names(descriptor: Descriptor) -> tuple[str | None, str | None]:
    """Return the variables that receive the OAuth client's id and secret, each None when there is no link.

    A template links only if it is exactly one placeholder. Without an `oauth2` block the consumer key and secret of
    `oauth1` are looked at (contract section 21).
    """
    oauth2, oauth1 = descriptor.oauth2, descriptor.oauth1
    if oauth2 is not None:
        return sole_placeholder(oauth2.client_id), sole_placeholder(oauth2.client_secret)
    if oauth1 is not None:
        return sole_placeholder(oauth1.consumer_key), sole_placeholder(oauth1.consumer_secret)
    return None, None


def protected_names(descriptor: Descriptor) -> frozenset[str]:
    """Return the variables whose owner's values never reach another tenant (contract section 0.8).

    They are all that occur anywhere in a template of a client's id, secret, consumer key or consumer secret, in
    whichever place the descriptor has one. With `useOAuthClient` the two fixed names belong to them, as only the
    tenant's own client may set these.
    """
    names = set(key_names(descriptor.raw))
    if descriptor.use_oauth_client:
        names |= {CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE}
    return frozenset(names)


def key_names(raw: Mapping[str, object]) -> frozenset[str]:
    """Return the variables in the templates of a client's id, secret, consumer key and consumer secret.

    Args:
        raw: a descriptor as submitted, or only its `oauth2`, `oauth1` and `credentials`.
    """
    return frozenset(name for text in _key_templates(raw) for name in placeholders(text))


def secret_names(descriptor: Descriptor) -> frozenset[str]:
    """Return the variables that hold a client's secret; they have no place in an address that a browser sees."""
    _, linked = linked_names(descriptor)
    return frozenset({CLIENT_SECRET_VARIABLE} | ({linked} if linked else set()))


def shared_env(
    descriptor: Descriptor, env: Mapping[str, str], builds: Iterable[Mapping[str, object]] = ()
) -> dict[str, str]:
    """Return the part of the owner's environment that other tenants' executions and consents may see.

    Args:
        descriptor: that of the latest build.
        env: the owner's variables.
        builds: the blocks of all builds, as for `key_names`: a variable that held a key once may still hold it.
    """
    hidden = protected_names(descriptor).union(*map(key_names, builds))
    return {name: value for name, value in env.items() if name not in hidden}


def oauth_client_variables(descriptor: Descriptor, keys: ClientKeys) -> dict[str, str]:
    """Return the variables that an OAuth client sets; they win over all others (contract section 18.1).

    Returns:
        The linked names and the two fixed ones; nothing for a component without `useOAuthClient`. Values are in
        clear text.
    """
    if not descriptor.use_oauth_client:
        return {}
    variables = {CLIENT_ID_VARIABLE: keys.client_id, CLIENT_SECRET_VARIABLE: keys.client_secret.reveal()}
    id_name, secret_name = linked_names(descriptor)
    if id_name:
        variables[id_name] = keys.client_id
    if secret_name:
        variables[secret_name] = keys.client_secret.reveal()
    return variables


def _key_templates(raw: Mapping[str, object]) -> Iterator[str]:
    """Yield every template of a key, from both places a block may stand in."""
    for owner in (raw, raw.get("credentials")):
        for block in ("oauth2", "oauth1"):
            members = owner.get(block) if isinstance(owner, Mapping) else None
            for name in _KEY_MEMBERS:
                text = members.get(name) if isinstance(members, Mapping) else None
                if isinstance(text, str):
                    yield text
