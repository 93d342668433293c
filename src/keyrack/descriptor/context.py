"""Builds the variables that templates can name (contract section 19.4)."""

from collections.abc import Mapping

from keyrack.descriptor import http_auth
from keyrack.descriptor.fields import CleanFields
from keyrack.descriptor.link import ClientKeys, oauth_client_variables
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.text import scalar_text


class Context(dict[str, str]):
    """Variables by name, values in clear text; its repr shows the names only."""

    def __repr__(self) -> str:
        return f"Context({', '.join(sorted(self))})"


def build_context(
    descriptor: Descriptor,
    *,
    env: Mapping[str, str],
    values: CleanFields,
    client: ClientKeys | None,
) -> Context:
    """Return the variables; later sources win: environment, credential fields, OAuth client.

    Args:
        descriptor: the component's.
        env: the component's environment variables, as far as this tenant may use them (`link.shared_env`).
        values: credential fields; only those that the descriptor declares are taken.
        client: the OAuth client of the workspace's tenant; ignored without `useOAuthClient`.
    """
    context = Context(env)
    context.update(field_variables(descriptor, values))
    if client is not None:
        context.update(oauth_client_variables(descriptor, client))
    return context


def field_variables(descriptor: Descriptor, values: CleanFields) -> Context:
    """Return the variables that credential fields set: scalars, and the client of an `HTTPAuthView`."""
    context = Context()
    for field in descriptor.fields.values():
        value = values.get(field.name)
        if field.view_class == "HTTPAuthView":
            inner = http_auth.oauth2_of(value)
            context.update({name: inner[name] for name in http_auth.TEMPLATE_MEMBERS if inner.get(name)})
    for field in descriptor.fields.values():
        text = scalar_text(values.get(field.name))
        if text is not None:
            context[field.name] = text
    return context
