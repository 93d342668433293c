"""Judges the `Accept` header of a request (contract section 1)."""

import re
from collections.abc import Sequence

from keyrack.errors import NotAcceptable

_JSON_RANGES = ("application/json", "application/vnd.api+json", "application/*", "*/*")
_REFUSED = re.compile(r"\bq\s*=\s*0(\.0*)?\s*($|;)")


def require_json_acceptable(accept: Sequence[str]) -> None:
    """Judge the `Accept` header (contract section 1); called once the route is known.

    Raises:
        NotAcceptable: it excludes JSON.
    """
    ranges = [part.partition(";") for header in accept for part in header.split(",") if part.strip()]
    judged = {name.strip().lower(): not _REFUSED.search(parameters) for name, _, parameters in ranges}
    wanted = [judged[name] for name in _JSON_RANGES if name in judged]  # the most specific range decides
    if judged and not (wanted and wanted[0]):
        raise NotAcceptable
