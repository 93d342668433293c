"""Draws QR codes as SVG that stands in a page, without a style attribute, which no page may have."""

import segno
from markupsafe import Markup


def qr_code(text: str) -> Markup:
    """Return the picture of a text, black on white in any theme: apps do not read it the other way round."""
    made = segno.make(text, error="m", micro=False, boost_error=False)
    drawn = made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    return Markup(drawn.replace("<svg ", '<svg role="img" aria-label="QR code" ', 1))  # noqa: S704 - only numbers of ours are in it
