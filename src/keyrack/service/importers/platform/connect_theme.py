"""Imports how a tenant's connect pages look (decision 36)."""

import binascii
from base64 import b64decode

from msgspec import UNSET

from keyrack.errors import ValidationFailed
from keyrack.model import Json
from keyrack.model.connect_theme import Logo
from keyrack.service.consents.connect_theme_rules import checked_logo, checked_origins
from keyrack.service.importers.platform.kinds import given
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.place_records import ConnectThemeRecord, TenantRecord
from keyrack.store.connect_themes import logo_columns
from keyrack.store.core.bulk import RowToWrite
from keyrack.store.schema import connect_themes

_FIRST: Json = {"display_name": None, "accent_color": None, "shows_keyrack": True, "return_origins": []}


def check_connect_theme(known: Known, record: TenantRecord, at: str) -> None:
    """Report what is wrong with a tenant's theme.

    Args:
        known: for the report.
        record: the tenant.
        at: its pointer.
    """
    theme = record.meta.connect_theme
    if theme is UNSET:
        return
    pointer = f"{at}/meta/connect_theme"
    try:
        _logo(theme, record.id, f"{pointer}/logo_data")
    except ValidationFailed as wrong:
        known.report.problem(wrong.problems[0].detail, f"{pointer}/logo_data")
    except (binascii.Error, ValueError):
        known.report.problem("must be an image in base64", f"{pointer}/logo_data")
    if theme.return_origins is not UNSET:
        try:
            checked_origins(theme.return_origins, f"{pointer}/return_origins")
        except ValidationFailed as wrong:
            for problem in wrong.problems:
                known.report.problem(problem.detail, problem.pointer or pointer)


def connect_theme_rows(record: TenantRecord) -> list[RowToWrite]:
    """Return the row of a tenant's theme that was found to be right; none if the file says nothing of it."""
    theme = record.meta.connect_theme
    if theme is UNSET:
        return []
    origins, color = theme.return_origins, theme.accent_color
    values = given(
        display_name=theme.display_name,
        accent_color=color.lower() if isinstance(color, str) else color,
        shows_keyrack=theme.show_keyrack,
        return_origins=origins if origins is UNSET else list(checked_origins(origins, "")),
    )
    first = {name: value for name, value in _FIRST.items() if name not in values}
    if theme.logo_data is not UNSET:
        logo = _logo(theme, record.id, "")
        values |= logo_columns(None if logo is None else logo.facts)
        values["logo"] = None if logo is None else logo.content
    return [RowToWrite(connect_themes, record.id, {"tenant_id": record.id}, values, first)]


def _logo(theme: ConnectThemeRecord, tenant_id: str, pointer: str) -> Logo | None:
    if not isinstance(theme.logo_data, str):
        return None
    return checked_logo(b64decode(theme.logo_data, validate=True), tenant_id, pointer)
