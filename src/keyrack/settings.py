"""Settings: one frozen object, parsed once from the environment and an optional TOML file."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError
from keyrack.setting_values import PREFIX, check_networks, checked_public_url, name_servers

__all__ = ["PREFIX", "Settings", "described", "load_settings"]

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("auto", "json", "console")


def _setting(doc: str, default: Any = MISSING, **more: Any) -> Any:
    return field(default=default, metadata={"doc": doc, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can set. Each member is `KEYRACK_<NAME>` in the environment, `<name>` in the file.

    Build it with `load`; `origins` tells where each value came from, `unknown_variables` which `KEYRACK_`
    variables of the environment are no settings (a likely typing error, worth a warning, not a refusal: they may serve
    another program).
    """

    home: Path = _setting("Folder of the embedded database and the generated key.", Path("~/.keyrack"))
    database_url: Secret | None = _setting(
        "Where data lives: a PostgreSQL URL in any form libpq takes, or `sqlite:///PATH`."
        " Unset: `keyrack.sqlite3` in the home folder.",
        None,
    )
    database_direct_url: Secret | None = _setting(
        "The same database past a pooler in transaction mode, for what needs a session of its own: hearing"
        " notifications, and migrations. Unset: as `database_url`.",
        None,
    )
    database_prepared_statements: bool = _setting(
        "Keep statements prepared on database connections. `false` behind a pooler in transaction mode that does not"
        " carry them (PgBouncer before 1.21, or with `max_prepared_statements = 0`).",
        True,
    )
    database_pool_size: int = _setting("Most database connections of a server process.", 10, least=1)
    key: Secret | None = _setting(
        "Key-encryption key: 32 bytes in base64. Several, separated by commas: the first encrypts, all decrypt."
        " Unset: read from `key_file`.",
        None,
    )
    key_file: Path | None = _setting(
        "File with key-encryption keys, one a line, the first in use. Unset: `key` in the home folder.", None
    )
    key_sources: str = _setting(
        "Where key-encryption keys are, separated by commas: `env` (`key`), `file` (`key_file`), `aws-kms:ARN`,"
        " `google-kms:NAME`, `vault:MOUNT/KEY`, `openbao:MOUNT/KEY`. The first encrypts, all decrypt."
        " Unset: `env` if `key` is set, else `file`.",
        "",
    )
    key_service_timeout: float = _setting("Seconds a call to a key service may take.", 5.0, least=0.1)
    google_kms_endpoint: str | None = _setting(
        "Where Google Cloud KMS is, if not at its public address, such as for Private Service Connect.", None
    )
    public_url: str | None = _setting(
        "Base of callback addresses (contract 0.7). Unset: `https://{app_domain}` of the tenant.", None
    )
    allow_insecure_providers: bool = _setting(
        "Accept http URLs and private addresses for authorization servers and webhooks. For trying out and tests only.",
        False,
    )
    provider_timeout: float = _setting("Seconds a call to an authorization server may take.", 10.0, least=0.1)
    provider_concurrency: int = _setting(
        "Most calls at a time from a process to one authorization server.", 20, least=1
    )
    dns_timeout: float = _setting("Seconds a DNS look-up may take.", 3.0, least=0.1)
    dns_servers: str = _setting(
        "Name servers to ask instead of the system's: addresses, with `:port` if it is not 53, separated by commas.", ""
    )
    ca_file: Path | None = _setting(
        "File with certificate authorities in PEM that are trusted beside the system's: for authorization servers,"
        " webhooks, the proxy and the mail server.",
        None,
    )
    proxy_url: Secret | None = _setting(
        "Proxy through which authorization servers and webhooks are called, by CONNECT: `http://HOST:PORT` or"
        " `https://HOST:PORT`, with `USER:PASSWORD@` if it asks for them. Unset: they are called directly.",
        None,
    )
    no_proxy: str = _setting(
        "What is called without the proxy, separated by commas: host names with all below them, addresses, networks.",
        "",
    )
    breaker_failures: int = _setting(
        "Circuit breaker: failed calls in a row that open a tenant's circuit to an authorization server.", 10, least=1
    )
    breaker_pause: float = _setting(
        "Circuit breaker: seconds a circuit is open at first; doubled with every failed probe, up to 10.",
        5.0,
        least=0.1,
    )
    refresh_lead: float = _setting(
        "Seconds before its expiry at which a token is due for refresh; a tenth of its lifetime if that is shorter.",
        30.0,
        least=0,
    )
    refresh_wait: float = _setting("Most seconds a caller waits for a refresh.", 20.0, least=0.1)
    refresh_retry: float = _setting(
        "Seconds until a failed refresh is tried again: always for readers of an expired token, and at first in the"
        " background, where it is doubled with every failure, up to 15 minutes.",
        5.0,
        least=0.1,
    )
    refresh_give_up: float = _setting(
        "Hours after a token's expiry at which the background stops trying.", 24.0, least=0
    )
    worker_concurrency: int = _setting("Most refreshes at a time in a process's worker.", 64, least=1)
    worker_interval: float = _setting("Seconds between two looks of the worker for due secrets.", 1.0, least=0.05)
    consent_lifetime: int = _setting("Seconds a started consent stays valid.", 600, least=10)
    event_retention_days: int = _setting(
        "Days after which events are removed, and deliveries, revocations, refreshes and consents that are over.",
        30,
        least=1,
    )
    audit_retention_days: int = _setting(
        "Days after which entries of the audit logs are removed; 0: they are kept for ever.", 0, least=0
    )
    deleted_client_days: float = _setting(
        "Days for which a deleted client can be restored, before it is deleted for good; 0: it cannot.", 7.0, least=0
    )
    old_secret_hours: float = _setting(
        "Hours for which the old secret of a client is kept beside the new one, once that is used.", 24.0, least=0
    )
    audit_otlp: bool = _setting(
        "Send the entries of the audit logs to the collector that OpenTelemetry's variables name, as OTLP logs.", False
    )
    drain_timeout: int = _setting("Seconds requests may take to finish after SIGTERM.", 20, least=0)
    keepalive_seconds: int = _setting(
        "Seconds for which a connection may wait for its next request. Longer than the proxy in front keeps its own.",
        75,
        least=1,
    )
    header_timeout: float = _setting("Seconds a client may take to send a request's headers.", 10.0, least=0.1)
    body_timeout: float = _setting("Seconds a client may take to send a request's body.", 30.0, least=0.1)
    write_timeout: float = _setting(
        "Seconds for which a caller may leave an answer unread; less than 1 KiB a second counts as unread.",
        30.0,
        least=0.1,
    )
    max_connections: int = _setting(
        "Connections a process serves at a time; fewer if the limit of open files is lower.", 2000, least=1
    )
    max_connections_per_address: int = _setting(
        "Connections from one address (IPv6: one /64) that a process serves at a time; 0: no limit."
        " It does not count for trusted proxies.",
        200,
        least=0,
    )
    trusted_proxies: str = _setting(
        "Addresses and networks, separated by commas, of proxies that are believed where a request comes from, and who"
        " may have any number of connections.",
        "",
    )
    trusted_proxy_header: str = _setting(
        "Header in which trusted proxies say it: `x-forwarded-for` or `forwarded` (RFC 7239). The other is never read.",
        "x-forwarded-for",
        choices=("x-forwarded-for", "forwarded"),
    )
    rate_limit: int = _setting(
        "Requests a minute each caller may make per worker process; 0: no limit.", 60_000, least=0
    )
    rate_limit_tenant: int = _setting(
        "Requests a minute all callers of one tenant may make per worker process; 0: no limit.", 240_000, least=0
    )
    rate_limit_address: int = _setting(
        "Requests a minute that may come from one address per worker process, whoever makes them; 0: no limit."
        " Behind a proxy that `trusted_proxies` does not name, all requests have its address.",
        600_000,
        least=0,
    )
    wrong_keys_limit: int = _setting(
        "Wrong API keys a minute from one address, per worker process, for one user name; ten times as many for all"
        " names together, and for one name from all addresses. Who goes on gets 429 until a right key comes."
        " 0: no limit.",
        30,
        least=0,
    )
    wrong_passwords_limit: int = _setting(
        "Wrong passwords a minute at the console's sign-in, per worker process: from one address for one account; ten"
        " times as many from one address, and for one account from addresses that it has not been signed in from."
        " 0: no limit.",
        10,
        least=0,
    )
    console_idle_minutes: int = _setting("Minutes after which an unused session of the console ends.", 60, least=1)
    console_session_hours: int = _setting("Hours after which a session of the console ends in any case.", 12, least=1)
    quota_pending_consents: int = _setting(
        "Consents and connect links of one tenant that may be pending at a time; 0: no limit.", 1_000, least=0
    )
    quota_api_keys: int = _setting("API keys the users of one tenant may have; 0: no limit.", 10_000, least=0)
    quota_webhooks: int = _setting("Webhooks one tenant may have, 50 at most.", 50, least=1)
    quota_secrets: int = _setting("Auth secrets one tenant may have; 0: no limit.", 100_000, least=0)
    quota_credentials: int = _setting("Credentials one tenant may have; 0: no limit.", 100_000, least=0)
    quota_flows: int = _setting("Flows one tenant may have; 0: no limit.", 100_000, least=0)
    quota_document_megabytes: int = _setting(
        "Mebibytes the documents of one tenant may take: graphs with their versions, custom data, descriptors,"
        " credentials and the like; 0: no limit.",
        1_024,
        least=0,
    )
    quota_refreshes: int = _setting(
        "Calls a minute that the refreshes of one tenant may make to authorization servers, per process; what is due"
        " beyond that waits. 0: no limit.",
        12_000,
        least=0,
    )
    quota_other_rows: int = _setting(
        "Users, contracts, workspaces, teams, components, builds, OAuth clients, auth clients and open invites that one"
        " tenant may have, all together; 0: no limit.",
        200_000,
        least=0,
    )
    quota_mails: int = _setting("Mails a day that one tenant's invites may cause; 0: no limit.", 1_000, least=0)
    smtp_url: Secret | None = _setting(
        "Mail server: `smtps://USER:PASSWORD@HOST:465` (TLS) or `smtp://USER:PASSWORD@HOST:587` (STARTTLS, which it"
        " must offer). Unset: no mail is sent.",
        None,
    )
    smtp_from: str | None = _setting("Address that mail is from, such as `Keyrack <keyrack@example.com>`.", None)
    smtp_timeout: float = _setting("Seconds that sending one mail may take.", 30.0, least=0.1)
    allow_insecure_smtp: bool = _setting(
        "Send mail without TLS where the server offers none. For a server on the same machine and tests only.", False
    )
    metrics_open: bool = _setting(
        "Answer `/metrics` to everybody, not only to service accounts with `global.metrics.get`.", False
    )
    trace_parents: str = _setting(
        "Addresses or networks, separated by commas, of callers whose `traceparent` is taken (W3C Trace Context); `*`:"
        " everybody's. Unset: nobody's, each request begins a trace. Only where traces are on.",
        "",
    )
    log_level: str = _setting("Lowest severity that is logged.", "info", choices=_LEVELS)
    log_format: str = _setting(
        "`json`, `console`, or `auto`: console on a terminal, else json.", "auto", choices=_FORMATS
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    unknown_variables: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def over_tls(self) -> bool:
        """Whether callers come over https, as `public_url` says."""
        return (self.public_url or "").startswith("https:")

    @property
    def sqlite_path(self) -> Path:
        """The embedded database file used when no `database_url` is set."""
        return self.home / "keyrack.sqlite3"

    @property
    def effective_key_file(self) -> Path:
        """The key file in force."""
        return self.key_file or self.home / "key"

    @property
    def effective_database_url(self) -> Secret:
        """The database URL in force."""
        return self.database_url or Secret(f"sqlite:///{self.sqlite_path}")


def described() -> Mapping[str, str]:
    """Return every setting's environment variable and what it is for."""
    return {PREFIX + f.name.upper(): f.metadata["doc"] for f in fields(Settings) if "doc" in f.metadata}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: environment first, then the TOML file, then defaults.

    The file is `KEYRACK_CONFIG`, else `keyrack.toml` in the home folder if it exists.

    Args:
        environment: variables to read; the process's own by default.

    Raises:
        ConfigurationError: a value cannot be used, a member of the file is unknown, or the file cannot be read.
            The message names the setting, never a secret value.
    """
    env = os.environ if environment is None else environment
    known = {f.name: f for f in fields(Settings) if "doc" in f.metadata}
    unknown = [n for n in env if n.startswith(PREFIX) and n not in described() and n != PREFIX + "CONFIG"]
    home = Path(env.get(PREFIX + "HOME") or "~/.keyrack").expanduser()
    path = Path(env[PREFIX + "CONFIG"]).expanduser() if env.get(PREFIX + "CONFIG") else home / "keyrack.toml"
    stored = _read_file(path, must_exist=bool(env.get(PREFIX + "CONFIG")))
    if unknown_variables := sorted(set(stored) - set(known)):
        raise ConfigurationError(f"unknown setting in {path}: {', '.join(unknown_variables)}")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, spec in known.items():
        variable = PREFIX + name.upper()
        if env.get(variable, "") != "":
            values[name], origins[name] = _parse(variable, env[variable], spec), "environment"
        elif name in stored:
            values[name], origins[name] = _parse(f"{path}: {name}", stored[name], spec), str(path)
        else:
            origins[name] = "default"
    values["home"] = Path(values.get("home", home)).expanduser()
    if values.get("key_file"):
        values["key_file"] = values["key_file"].expanduser()
    name_servers(values.get("dns_servers", ""))
    check_networks("TRUSTED_PROXIES", values.get("trusted_proxies", ""))
    check_networks("TRACE_PARENTS", values.get("trace_parents", ""), or_everybody=True)
    if values.get("public_url"):
        values["public_url"] = checked_public_url(values["public_url"])
    return Settings(**values, origins=MappingProxyType(origins), unknown_variables=tuple(sorted(unknown)))


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise ConfigurationError(f"there is no settings file {path}") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid TOML in UTF-8"
        raise ConfigurationError(f"the settings file {path} cannot be read: {reason}") from None


def _parse(where: str, given: Any, spec: Any) -> Any:
    kinds = [k for k in (get_args(spec.type) or (spec.type,)) if k is not type(None)]
    kind = kinds[0]
    try:
        value = _convert(kind, given)
    except ValueError:
        raise ConfigurationError(f"{where} is not {_KIND_NAMES[kind]}") from None
    if (choices := spec.metadata.get("choices")) is not None:
        value = value.lower()
        if value not in choices:
            raise ConfigurationError(f"{where} must be one of {', '.join(choices)}")
    if (least := spec.metadata.get("least")) is not None and not value >= least:
        raise ConfigurationError(f"{where} must be at least {least}")
    return value


def _convert(kind: type, given: Any) -> Any:
    if kind is bool:
        text = str(given).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ValueError
        return text in _TRUE
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError  # noqa: TRY004 - one kind of failure for the caller to name
    if kind in (int, float):
        return kind(given)
    if not isinstance(given, str):
        raise ValueError  # noqa: TRY004 - one kind of failure for the caller to name
    return kind(given)


_KIND_NAMES = {
    bool: "a yes or no",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    Secret: "a text",
}
