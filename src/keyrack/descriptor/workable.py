"""Finds what can never work in a descriptor of the first generation, whatever its variables hold (contract 19.2, 19.4).

A consent would refuse it every time. A new build is refused for it at once; one that is stored is taken as it is
(contract 0.9).
"""

from collections.abc import Iterable, Iterator

from keyrack.descriptor.link import secret_names
from keyrack.descriptor.model import Descriptor, Generation
from keyrack.descriptor.oauth_members import Member, members_of
from keyrack.descriptor.template import placeholders
from keyrack.descriptor.uri import template_fault
from keyrack.errors import Problem

URIS = ("auth_uri", "token_uri", "request_token_uri", "access_token_uri")
"""Members of `oauth2` and `oauth1` that a consent calls; each block needs those that it can have."""


def unworkable(descriptor: Descriptor) -> Iterator[Problem]:
    """Yield what no consent can work with, each with its pointer into the descriptor."""
    if descriptor.generation is not Generation.CREDENTIALS or descriptor.uses_http_auth:
        return  # addresses are the auth client's, or the user's own
    members = tuple(members_of(descriptor))
    yield from wrong_uris(members)
    if descriptor.oauth_field is not None:
        yield from missing_uris(members)
        yield from _exposed_secrets(descriptor, members)


def wrong_uris(members: Iterable[Member]) -> Iterator[Problem]:
    """Yield addresses that can be none."""
    for member in members:
        if member.name in (*URIS, "issuer") and member.text.strip():
            fault = template_fault(member.text)
            if fault is None and member.name == "issuer" and "?" in member.text:
                fault = "has a query, which an issuer must not have (RFC 8414 section 2)"
            if fault is not None:
                yield Problem(fault, member.pointer)


def missing_uris(members: Iterable[Member]) -> Iterator[Problem]:
    """Yield addresses that a block needs and does not have."""
    for member in members:
        if member.name in URIS and not member.text.strip():
            yield Problem(f"{member.name} is required: without it nobody can connect an account", member.pointer)


def _exposed_secrets(descriptor: Descriptor, members: Iterable[Member]) -> Iterator[Problem]:
    """Yield members that a browser sees and that name the client's secret."""
    secrets = secret_names(descriptor)
    for member in members:
        named = secrets.intersection(placeholders(member.text))
        if named and _in_browser(member):
            yield Problem(
                f"names the client secret, {min(named)[:100]}, where the user's browser sees it", member.pointer
            )


def _in_browser(member: Member) -> bool:
    return member.name not in {
        "client_secret", "consumer_secret", "client_id", "consumer_key",
        "token_uri", "request_token_uri", "access_token_uri", "issuer",
    }  # fmt: skip
