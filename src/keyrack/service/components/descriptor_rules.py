"""Judges a component.json with all that a new build of it is judged by: `descriptor.lint`, and its provider profile."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from keyrack.descriptor.lint import Findings, lint
from keyrack.descriptor.oauth_blocks import PROFILE, member_pointer
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.profiles.of_blocks import profile_of_block


def judged(raw: object) -> Findings:
    """Return what there is to say of a component.json; pointers start at it."""
    found = lint(raw)
    if found.errors or not isinstance(raw, Mapping):
        return found
    return replace(found, errors=tuple(_wrong_profile(raw)))


def _wrong_profile(raw: Mapping[str, object]) -> Iterator[Problem]:
    block = parse_descriptor(raw).oauth2
    if block is None or block.provider_profile is None:
        return
    try:
        profile_of_block(block.provider_profile)
    except ValidationFailed as wrong:
        at = member_pointer(raw, "oauth2", PROFILE)
        for each in wrong.problems:
            yield replace(each, pointer=f"{at}{each.pointer or ''}")
