"""What the driver is told of each form of a database URL, without a server."""

from pathlib import Path
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError
from keyrack.store.core.dsn import PostgresTarget, SqliteTarget, parse_database_url

NAMED = {"application_name": "keyrack"}


def target(url: str) -> PostgresTarget:
    found = parse_database_url(Secret(url))
    assert isinstance(found, PostgresTarget)
    return found


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        ("postgres://u:p@h:1/d", "postgresql://u:p@h:1/d"),
        ("POSTGRESQL://h", "postgresql://h"),
        ("postgresql://h/", "postgresql://h"),
        ("postgresql:///d?host=/run/pg", "postgresql:///d?host=%2Frun%2Fpg"),
        ("postgresql://h1:1,h2:2/d?target_session_attrs=read-write", "postgresql://h1:1,h2:2/d?target_session_attrs=read-write"),
        ("postgresql://u:a#b@h/d", "postgresql://u:a%23b@h/d"),
        ("postgresql://h/ignored?dbname=d&port=1,2,", "postgresql://h?dbname=d&port=1%2C2%2C"),
        ("postgresql://h/d?sslmode=verify-full&user=a+b%20c", "postgresql://h/d?sslmode=verify-full&user=a%2Bb%20c"),
        ("postgresql://h/d?ssl=true", "postgresql://h/d?sslmode=require"),
        ("postgresql://h/d?ssl=maybe", "postgresql://h/d?sslmode=prefer"),
        ("postgresql://h/d?keepalives=1&gssencmode=disable&sslsni=0&require_auth=md5", "postgresql://h/d"),
        ("postgresql://h/d?sslcert=a=b", "postgresql://h/d?sslcert=a%3Db"),
    ],
)  # fmt: skip
def test_the_driver_gets_what_it_understands(url: str, dsn: str) -> None:
    assert target(url) == PostgresTarget(dsn, {"server_settings": NAMED})
    assert "postgresql" not in repr(target(url))


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("connect_timeout=7", {"timeout": 7.0, "server_settings": NAMED}),
        ("connect_timeout=3", {"timeout": 3.0, "server_settings": NAMED}),
        ("connect_timeout=2", {"timeout": 2.0, "server_settings": NAMED}),
        ("connect_timeout=1", {"timeout": 2.0, "server_settings": NAMED}),
        ("connect_timeout=0", {"server_settings": NAMED}),
        ("connect_timeout=-1", {"server_settings": NAMED}),
        ("application_name=a&fallback_application_name=b", {"server_settings": {"application_name": "a"}}),
        ("fallback_application_name=b&application_name=a", {"server_settings": {"application_name": "a"}}),
        ("fallback_application_name=b", {"server_settings": {"application_name": "b"}}),
        ("options=-c%20a%3Db&client_encoding=latin1", {"server_settings": {"options": "-c a=b", **NAMED}}),
        ("servicefile=/f", {"servicefile": "/f", "server_settings": NAMED}),
    ],
)
def test_what_the_url_cannot_say_is_an_option_of_the_driver(query: str, options: dict[str, Any]) -> None:
    assert target(f"postgresql://h/d?{query}") == PostgresTarget("postgresql://h/d", options)


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///a/b.db", "a/b.db"), ("sqlite:////a/b%20c", "/a/b c"), ("SQLITE:///x", "x")],
)
def test_a_file_is_relative_or_absolute(url: str, path: str) -> None:
    assert parse_database_url(Secret(url)) == SqliteTarget(Path(path))


@pytest.mark.parametrize(
    "url", ["sqlite://h/x", "sqlite:///", "sqlite:////", "sqlite:///x?y=1", "sqlite:///x#y", "sqlite:"]
)
def test_what_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="a SQLite URL is"):
        parse_database_url(Secret(url))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmode=on", "must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("target_session_attrs=x", "target_session_attrs in KEYRACK_DATABASE_URL must be one of any, read-write, "),
        ("port=1,x", "port in KEYRACK_DATABASE_URL is not a number"),
        ("connect_timeout=1.5", "connect_timeout in KEYRACK_DATABASE_URL is not a whole number of seconds"),
        ("hostaddr=::1", "hostaddr in KEYRACK_DATABASE_URL is not supported"),
        (f"{'x' * 50}=1", f"a parameter libpq does not know: '{'x' * 40}'"),
        ("flag", "has a parameter without a value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(query: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_database_url(Secret(f"postgresql://h/d?{query}"))
    assert said in str(raised.value)


def test_a_service_has_to_be_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, empty = tmp_path / "services", tmp_path / "home"
    empty.mkdir()
    file.write_text("[known]\nhost=h%x\n")
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.delenv("PGSERVICEFILE", raising=False)
    given = target(f"postgresql:///?service=known&servicefile={file}")
    assert given == PostgresTarget("postgresql://?service=known", {"servicefile": str(file), "server_settings": NAMED})
    with pytest.raises(ConfigurationError, match=f"{empty}/.pg_service.conf does not have the service"):
        parse_database_url(Secret("postgresql:///?service=known"))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert target("postgresql:///?service=known").options == {"server_settings": NAMED}
    with pytest.raises(ConfigurationError, match=f"{file} does not have the service"):
        parse_database_url(Secret("postgresql:///?service=other"))
    (empty / ".pg_service.conf").write_text("no section\n")
    monkeypatch.delenv("PGSERVICEFILE")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        parse_database_url(Secret("postgresql:///?service=known"))
