"""Checks what a tenant's connect pages are made of: the logo, and the origins that they may lead back to."""

import hashlib
from collections.abc import Sequence

from keyrack.errors import Problem, ValidationFailed
from keyrack.model.connect_theme import Logo, LogoFacts
from keyrack.service.consents.return_url import checked_origin
from keyrack.validation.images import image_facts

LARGEST_LOGO = 128 * 1024
"""Bytes of a logo."""

WIDEST_LOGO = 2048
"""Pixels of a logo in each direction: what a browser makes of more could be a burden to it."""

_ATTRIBUTES = "/data/attributes"


def checked_logo(content: bytes, tenant_id: str, pointer: str = f"{_ATTRIBUTES}/logo_data") -> Logo:
    """Return a logo that can be served from our host.

    Its address has a digest of the tenant too, so no two tenants share one, and none tells who else has the same logo.

    Args:
        content: what was sent.
        tenant_id: whose it is.
        pointer: where it was sent.

    Raises:
        ValidationFailed: it is no PNG, JPEG or WebP, or too large.
    """
    if len(content) > LARGEST_LOGO:
        raise ValidationFailed(Problem(f"must not be larger than {LARGEST_LOGO // 1024} KiB", pointer))
    facts = image_facts(content)
    if facts is None:
        raise ValidationFailed(Problem("must be a PNG, JPEG or WebP image", pointer))
    if max(facts.width, facts.height) > WIDEST_LOGO:
        raise ValidationFailed(Problem(f"must be at most {WIDEST_LOGO} pixels wide and high", pointer))
    digest = hashlib.blake2b(content, digest_size=32, key=tenant_id.encode(), person=b"keyrack logo").hexdigest()
    return Logo(LogoFacts(digest, facts.media_type, facts.width, facts.height, len(content)), content)


def checked_origins(given: Sequence[str], pointer: str = f"{_ATTRIBUTES}/return_origins") -> tuple[str, ...]:
    """Return web origins as browsers spell them, each once.

    Args:
        given: as they were sent.
        pointer: where.

    Raises:
        ValidationFailed: one is none, or `http` elsewhere than on this machine.
    """
    checked: list[str] = []
    problems: list[Problem] = []
    for index, origin in enumerate(given):
        try:
            checked.append(checked_origin(origin, f"{pointer}/{index}"))
        except ValidationFailed as wrong:
            problems += wrong.problems
    if problems:
        raise ValidationFailed(*problems)
    return tuple(dict.fromkeys(checked))
