"""Every way out of the process is listed: a new one fails until it goes through the guard, or says why not (15.4)."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import keyrack

SOURCE = Path(keyrack.__file__).parent
ELSEWHERE = ("simulator", "client", "demo")
"""The simulator is a server for tests, the Python client runs in programs of others, and the demo calls both."""

CLIENTS = (
    "aiohttp", "httpx", "httpx2", "requests", "niquests", "urllib.request", "urllib3", "http.client", "smtplib",
    "ftplib", "poplib", "imaplib", "telnetlib", "xmlrpc.client", "socket", "socketserver", "aiosmtplib", "aiodns",
    "pycares", "asyncpg", "psycopg", "boto3", "botocore", "aiobotocore", "hvac", "google.cloud", "google.auth", "azure",
    "websockets", "paramiko", "asyncssh", "opentelemetry.exporter",
)  # fmt: skip
"""Modules that can open a connection."""

MAY_IMPORT: Mapping[str, str] = {
    "provider/client.py": "the guarded client itself",
    "provider/connection.py": "its connections",
    "provider/egress.py": "how its connections are made",
    "provider/egress_proxy.py": "the operator's proxy, whose address is the operator's",
    "provider/faults.py": "names of errors only",
    "provider/name_lookup.py": "name servers of the operator or the system",
    "provider/probe.py": "guarded; opens and closes connections",
    "provider/resolver.py": "the guard of addresses",
    "mail/smtp.py": "the mail server of KEYRACK_SMTP_URL, which the operator alone chooses",
    "crypto/kek/aws_kms.py": "the key service of KEYRACK_KEY_SOURCES, which the operator alone chooses",
    "crypto/kek/google_kms.py": "as above",
    "crypto/kek/transit.py": "as above",
    "service/authz/operator.py": "the name of this machine only",
    "service/operator/key_retirement.py": "the name of this machine only",
    "store/core/": "the database of KEYRACK_DATABASE_URL, which the operator alone chooses",
    "service/operator/heartbeat.py": "the name of this machine only",
    "service/audit/otlp_logs.py": "the collector of OTEL_EXPORTER_OTLP_ENDPOINT, which the operator alone chooses",
    "tracing.py": "the collector of OTEL_EXPORTER_OTLP_ENDPOINT, which the operator alone chooses",
    "cli/listening.py": "listens, and calls nobody",
}
"""Modules and folders of ours that import one, and why that is no way around the guard."""

OPENS = (
    "open_connection", "create_connection", "open_unix_connection", "sock_connect", "create_datagram_endpoint",
    "start_tls",
)  # fmt: skip
MAY_OPEN: Mapping[str, str] = {
    "provider/probe.py": "guarded",
    "provider/egress_proxy.py": "the operator's proxy",
    "provider/own_address.py": "the address of KEYRACK_PUBLIC_URL, which the operator alone chooses",
}

CALLS: Mapping[str, str] = {
    "conformance/installation.py": "twins on this machine, by the developer's command",
    "provider/trace.py": "calls nobody: names of headers",
    "wiring/services.py": "hands the client on",
    "wiring/shared.py": "makes the one client",
    "service/consents/device_authorization.py": "device authorization endpoint of an auth client or its profile",
    "service/consents/long_lived_tokens.py": "token endpoint of an exchange, of an auth client or its profile",
    "service/consents/oauth1_start.py": "endpoint of temporary credentials, of a descriptor, fields a person filled in",
    "service/consents/pushed_authorization.py": "pushed authorization endpoint, of metadata or a profile",
    "service/consents/server_metadata.py": "metadata of an issuer, its jwks_uri",
    "service/diagnosis/examination.py": "every endpoint of an auth client",
    "service/diagnosis/exchanges.py": "every endpoint of an auth client",
    "service/discovery/authorization_servers.py": "metadata of an issuer that a tenant or an MCP server names",
    "service/discovery/client_registrar.py": "registration endpoint of metadata, registration_client_uri of answers",
    "service/discovery/protected_resources.py": "an MCP server that a person names, and its resource_metadata",
    "service/discovery/registration_journal.py": "as client_registrar, and keeps what came",
    "service/containment/grant_actions.py": "revocation and introspection endpoints of an auth client or its profile",
    "service/operator/doctor/installation_doctor.py": "hands the client on",
    "service/operator/doctor/network.py": "origins of auth clients: connects, and sends nothing",
    "service/rotation/secret_probe.py": "token endpoint of an auth client, with its new secret",
    "service/secrets/after_connecting.py": "calls after connecting of an auth client's profile",
    "service/secrets/direct_grants.py": "token endpoint of an auth client or its profile",
    "service/secrets/introspection.py": "introspection endpoint of a profile",
    "service/secrets/refresh/composition.py": "hands the client on",
    "service/secrets/refresh/journal.py": "token endpoint of an auth client or descriptor",
    "service/secrets/refresh/sending.py": "hands calls on, with proofs",
    "service/secrets/revocation.py": "revocation endpoint and registration_client_uri of an auth client",
    "service/secrets/userinfo.py": "userinfo endpoint of an auth client or descriptor",
    "service/single_sign_on/identity_provider.py": "a tenant's own provider: metadata, keys, endpoints",
    "service/webhooks/delivery.py": "a webhook that a tenant names",
}  # fmt: skip
"""Modules that have the guarded client, and whose addresses they call with it."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        if name.partition("/")[0] not in ELSEWHERE:
            yield name, ast.parse(file.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in packages)


def test_nobody_else_can_open_a_connection() -> None:
    folders = tuple(each for each in MAY_IMPORT if each.endswith("/"))
    found = {
        next((folder for folder in folders if name.startswith(folder)), name)
        for name, tree in modules()
        if any(within(each, CLIENTS) for each in imported(tree))
    }
    assert sorted(found - set(MAY_IMPORT)) == [], "call through keyrack.provider.client, or say here why not"
    assert sorted(set(MAY_IMPORT) - found) == [], "no longer so"


def test_nobody_else_opens_one_by_the_loop() -> None:
    found = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in OPENS:
                found.add(name)
    assert found == set(MAY_OPEN)


def test_whoever_has_the_client_is_listed_with_the_addresses_that_it_calls() -> None:
    ways = ("keyrack.provider.client", "keyrack.service.secrets.refresh.sending")
    found = {name for name, tree in modules() if any(within(each, ways) for each in imported(tree))}
    assert sorted(found ^ set(CALLS)) == []


def test_the_client_judges_before_every_call_and_again_at_the_socket() -> None:
    """By the source: each public way of the client parses what it is given, and each connection is made guarded."""
    tree = ast.parse((SOURCE / "provider" / "client.py").read_text("utf-8"))
    (client,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ProviderClient"]
    public = [
        node
        for node in client.body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_") and node.name != "close"
    ]
    assert {node.name for node in public} == {"send", "probe"}
    for node in public:
        assert "parse_uri" in ast.unparse(node)
    text = ast.unparse(client)
    for guard in ("check_host(", "GuardedResolver(", "guarded_socket_factory(", "allow_redirects=False"):
        assert guard in text
    assert "trust_env=False" in text


@pytest.mark.parametrize("name", ["provider/probe.py", "provider/egress.py"])
def test_what_connects_beside_the_client_has_the_guard_too(name: str) -> None:
    text = (SOURCE / name).read_text("utf-8")
    assert "check_address(" in text or "check_host(" in text
    assert "guarded" in text
