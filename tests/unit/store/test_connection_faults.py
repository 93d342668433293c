"""Which server, database and role an operator is told of; never a password, however the URL is written."""

import ssl

import asyncpg
import pytest

from keyrack.crypto.secret import Secret
from keyrack.store.core import dsn
from keyrack.store.core.connection_faults import connection_fault

ENVIRONMENT = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER")


def target(url: str) -> dsn.PostgresTarget:
    found = dsn.parse_database_url(Secret(url))
    assert isinstance(found, dsn.PostgresTarget)
    return found


USER = "of this system's user"
# fmt: off
NAMES: list[tuple[str, str, str, str]] = [
    # URL,                                              where,                      database,      role
    ("postgresql://u:canary@h/d",                       "h:5432",                   '"d"',         '"u"'),
    ("postgresql://u:canary@h:6/d",                     "h:6",                      '"d"',         '"u"'),
    ("postgresql://u:c%40nary%2f@h:6/d%20e",            "h:6",                      '"d e"',       '"u"'),
    ("postgresql://u:c@nary@h/d",                       "h:5432",                   '"d"',         '"u"'),
    ("postgresql://u:canary@[::1]:6/d",                 "[::1]:6",                  '"d"',         '"u"'),
    ("postgresql://u:canary@[::1]/d",                   "[::1]:5432",               '"d"',         '"u"'),
    ("postgresql://u:canary@a:1,b:2/d",                 "a:1, b:2",                 '"d"',         '"u"'),
    ("postgresql://u@/d?host=a,/run&port=1,2&password=canary", "a:1, /run/.s.PGSQL.2", '"d"',      '"u"'),
    ("postgresql://?host=h&user=u&dbname=d&password=canary", "h:5432",              '"d"',         '"u"'),
    ("postgresql://%2frun/d",                           "/run/.s.PGSQL.5432",       '"d"',         USER),
    ("postgresql://u:canary@h",                         "h:5432",                   '"u"',         '"u"'),
    ("postgresql://h",                                  "h:5432", USER,         USER),
    ("postgresql://u:123/canary@h:6/d",                 "some address",             "of some name", USER),
    ("postgresql://u:can#ary@h/d",                      "h:5432",                   '"d"',         '"u"'),
]
# fmt: on


@pytest.mark.parametrize(("url", "where", "database", "role"), NAMES)
def test_names_without_the_password(
    monkeypatch: pytest.MonkeyPatch, url: str, where: str, database: str, role: str
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    found = target(url)
    assert (found.where, found.database, found.role) == (where, database, role)
    told = connection_fault(found, asyncpg.InvalidPasswordError("canary"))
    assert not any(part in told for part in ("canary", "nary", "123", "ary@"))


def test_what_the_url_leaves_out_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(ENVIRONMENT, ("/run", "7", "d", "u"), strict=True):
        monkeypatch.setenv(name, value)
    found = target("postgresql://")
    assert (found.where, found.database, found.role) == ("/run/.s.PGSQL.7", '"d"', '"u"')


# fmt: off
FAULTS: list[tuple[BaseException, str]] = [
    (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] ..."), "the connection is refused"),
    (OSError(113, "canary"),                            "the host cannot be reached from here"),
    (OSError(104, "canary"),                            "is it PostgreSQL that listens there?"),
    (OSError(13, "canary"),                             "this user of the operating system may not connect there"),
    (TimeoutError("canary"),                            "it gives no answer in time"),
    (ssl.SSLCertVerificationError("canary"),            "certificate is not trusted"),
    (ssl.SSLError("canary"),                            "TLS fails"),
    (ConnectionError("rejected SSL upgrade"),           "it takes no TLS connections"),
    (OSError("canary"),                                 ": OSError"),
    (asyncpg.TooManyConnectionsError("canary"),         "it has no connection left"),
    (asyncpg.CannotConnectNowError("canary"),           "starting up or shutting down"),
    (asyncpg.InvalidAuthorizationSpecificationError("no pg_hba.conf entry for canary"), 'the role "u" is not let in'),
    (asyncpg.ProtocolViolationError("canary"),          "it refuses (SQLSTATE 08P01); its log says why"),
]
# fmt: on


@pytest.mark.parametrize(("fault", "told"), FAULTS, ids=[str(number) for number in range(len(FAULTS))])
def test_faults_that_no_server_here_has(fault: BaseException, told: str) -> None:
    words = connection_fault(target("postgresql://u:canary@h/d"), fault)
    assert words.startswith('cannot connect to the database "d" at h:5432 (KEYRACK_DATABASE_URL): ')
    assert told in words
    assert "canary" not in words
