"""Emails are compared as Unicode's NFKC with case folding has them; before, only case made no difference.

Users whose emails are one now stop the upgrade: only a person can tell whose it is. Of invites into one contract that
are for one email now, the oldest stays.
"""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

from keyrack.errors import ConfigurationError
from keyrack.visible import visible

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_LONGEST = 320
_MOST_NAMED = 10
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_users = sa.table("users", *(sa.column(name, sa.Text()) for name in ("id", "email", "email_key")))
_invites = sa.table(
    "contract_invites", *(sa.column(name, sa.Text()) for name in ("id", "contract_id", "email", "email_key"))
)


def upgrade() -> None:
    """Compute the keys anew."""
    connection = op.get_bind()
    users = _changed(_users)
    taken: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(_users.c.id, _users.c.email)):
        taken.setdefault(_key(row.email), []).append(f"{visible(row.email)} ({row.id})")
    clashes = [" and ".join(names) for key, names in taken.items() if len(names) > 1 or len(key) > _LONGEST]
    if clashes:
        more = f", and {len(clashes) - _MOST_NAMED} more" if len(clashes) > _MOST_NAMED else ""
        raise ConfigurationError(
            "nothing was changed: these users' emails count as one from this version on, or are too long: "
            + "; ".join(clashes[:_MOST_NAMED])
            + more
            + ". Keep one of each: with the old version, DELETE /v2/users/ID of the other"
        )
    _store(_users, users)
    seen: set[tuple[str, str]] = set()
    i = _invites.c
    for invite in connection.execute(sa.select(i.id, i.contract_id, i.email).order_by(i.id)).all():
        key = _key(invite.email)
        if (invite.contract_id, key) in seen or len(key) > _LONGEST:
            connection.execute(sa.delete(_invites).where(i.id == invite.id))
        seen.add((invite.contract_id, key))
    _store(_invites, _changed(_invites))


def downgrade() -> None:
    """Compare without regard to case again; no two keys become one by that."""
    for table in (_users, _invites):
        rows = op.get_bind().execute(sa.select(table.c.id, table.c.email, table.c.email_key)).all()
        _store(table, [(row.id, row.email.casefold()) for row in rows if row.email_key != row.email.casefold()])


def _changed(table: sa.TableClause) -> list[tuple[str, str]]:
    rows = op.get_bind().execute(sa.select(table.c.id, table.c.email, table.c.email_key)).all()
    return [(row.id, key) for row in rows if (key := _key(row.email)) != row.email_key]


def _store(table: sa.TableClause, keys: list[tuple[str, str]]) -> None:
    """Write keys, by way of values that are nobody's: one's new key may be another's old one."""
    statement = sa.update(table).where(table.c.id == sa.bindparam("row")).values(email_key=sa.bindparam("key_"))
    for some in ([(row, f" {row}") for row, _ in keys], keys):
        if some:
            op.get_bind().execute(statement, [{"row": row, "key_": key} for row, key in some])


def _key(email: str) -> str:
    """Return what `keyrack.validation.emails.email_key` returned when this was written."""
    if email.isascii() and "xn--" not in email.lower():
        return email.lower()
    local, at, domain = _folded(email).rpartition("@")
    return local + at + ".".join(_in_unicode(label) for label in domain.translate(_DOTS).split("."))


def _folded(text: str) -> str:
    seen = "".join(letter for letter in unicodedata.normalize("NFD", text) if visible(letter) == letter)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    folded = unicodedata.normalize("NFKC", folded.casefold()).translate({0x131: "i"})
    return unicodedata.normalize("NFC", re.sub("i\u0307+", "i", folded))


def _in_unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return _folded(label.removeprefix("xn--").encode("ascii").decode("punycode")) or label
    except UnicodeError:
        return label
