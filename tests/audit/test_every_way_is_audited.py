"""Whatever changes something or shows values by another way than the API's routes is in the audit log too.

Routes have `tests/tenancy/test_changes_are_audited.py`. Here: every module that opens a transaction of its own, and
every command.
"""

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from keyrack.cli import app
from keyrack.service.authz.operator import origin
from support.keyrack_processes import bootstrapped, run_command

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/keyrack"
_WRITERS = {"AuditLog", "audit_end"}

OF_OTHERS = "a step of what another module writes down"
UNTOLD: dict[str, str] = {
    "demo/containment_rehearsal.py": "an installation of its own",
    "service/audit/audit_retention.py": "removes old entries; the signed cut tells",
    "service/audit/audit_sink.py": "how far the logs have been sent",
    "service/audit/chainer.py": "gives entries their places; the checkpoint tells",
    "service/clients/secret_reminders.py": "tells a tenant's webhooks and mails, of which the mail is in the log",
    "service/consents/callbacks.py": OF_OTHERS + ": consent.complete",
    "service/consents/completion.py": OF_OTHERS + ": consent.complete, by Access",
    "service/consents/connect_page.py": OF_OTHERS + ": consent.start, by Access",
    "service/consents/device_authorization.py": OF_OTHERS + ": consent.start",
    "service/consents/device_polling.py": OF_OTHERS + ": consent.complete",
    "service/consents/first_requests.py": OF_OTHERS + ": consent.start",
    "service/consents/links.py": OF_OTHERS + ": consent.complete",
    "service/consents/oauth1_start.py": OF_OTHERS + ": consent.start",
    "service/consents/own_browser.py": OF_OTHERS + ": consent.start",
    "service/consents/pushed_authorization.py": OF_OTHERS + ": consent.start",
    "service/containment/grant_actions.py": OF_OTHERS + ": containment.dead, exchanged and not_dead",
    "service/discovery/registration_journal.py": OF_OTHERS + ": auth-client.create and renew-secret",
    "service/identity/form_key.py": "makes the key of the console's forms, once",
    "service/identity/last_use.py": "when keys and secrets were used; who read is counted",
    "service/identity/two_step.py": OF_OTHERS + ": totp.enable and the like, by Access",
    "service/jobs/claimed_jobs.py": OF_OTHERS + ": what was done is written down by whose job it is",
    "service/jobs/retention.py": "removes what is old",
    "service/operator/heartbeat.py": "which processes run",
    "service/rotation/rotated_clients.py": OF_OTHERS + ": what is done within is written down by whose step it is",
    "service/secrets/connection_check.py": OF_OTHERS + ": secret.test",
    "service/secrets/direct_grants.py": OF_OTHERS + ": secret.create and edit",
    "service/secrets/refresh/journal.py": OF_OTHERS + ": a refresh that somebody asked for, or secret.end",
    "service/secrets/refresh/leased_refresh.py": OF_OTHERS + ": as the journal",
    "service/secrets/refresh/refresh_by_hand.py": OF_OTHERS + ": secret.refresh, by Access",
    "service/secrets/refresh/refresh_counter.py": "numbers of refreshes",
    "service/secrets/refresh/refresher.py": "refreshes that change nothing for anybody: the metrics count them",
}
"""Modules that write by themselves and have no entry of their own, and why."""


def transactions(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that open a transaction which writes, other than through `Access`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        writes = any(keyword.arg == "writes" for keyword in node.keywords)
        if name in {"single", "home_unit"} or (name in {"unit", "installation"} and writes):
            yield node


def test_every_module_that_writes_by_itself_writes_an_entry_or_says_why_not() -> None:
    silent = set()
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(("store/", "simulator/")):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if any(transactions(tree)) and not names & _WRITERS:
            silent.add(name)
    assert silent == UNTOLD.keys()


READS = "shows no values"
COMMANDS: dict[str, str | tuple[str, ...]] = {
    "bootstrap": ("installation.bootstrap",),
    "quotas": READS,
    "restored": ("installation.restored",),
    "serve": "runs a server",
    "worker": "runs the worker",
    "simulator": "runs the simulator",
    "settings": READS + ": secrets are masked",
    "demo": "an installation of its own",
    "version": READS,
    "db upgrade": "changes the schema, not the data",
    "users create": ("user.create",),
    "users list": READS,
    "users setup-link": ("setup-link.create",),
    "users set-password": ("password.set",),
    "users disable-totp": ("totp.disable",),
    "api-keys create": ("api-key.create",),
    "api-keys list": READS,
    "api-keys revoke": ("api-key.revoke",),
    "service-accounts create": ("service-account.create",),
    "service-accounts list": READS,
    "service-accounts show": READS,
    "service-accounts change": ("service-account.edit",),
    "service-accounts set-password": ("password.set",),
    "service-accounts disable-totp": ("totp.disable",),
    "service-accounts delete": ("service-account.delete",),
    "tenants list": READS,
    "tenants show": READS,
    "tenants allow-passwords": ("single-sign-on.allow-passwords",),
    "permissions list": READS,
    "secrets list": READS,
    "secrets show": ("secret.reveal",),
    "secrets refresh": ("secret.refresh",),
    "audit list": "the log itself",
    "audit export": ("audit-log.export",),
    "audit verify": "a file; no installation",
    "audit chains": READS,
    "audit keys": READS + ": public keys",
    "audit rotate-key": ("audit-key.rotate",),
    "clients rotation": READS,
    "grants idle": READS,
    "grants ending": READS,
    "frozen": READS,
    "unfreeze": ("containment.lift",),
    "components lint": "a file; no installation",
    "providers test": "an installation of its own",
    "providers import": "a file; no installation",
    "providers list": "no installation",
    "providers show": "no installation",
    "doctor client": ("auth-client.diagnose", "oauth-client.diagnose"),
    "cutover status": READS,
    "import platform": ("platform.import", "tenant.import"),
    "export platform": ("platform.export", "tenant.export"),
}
"""What commands write down, or why nothing."""
ELSEWHERE = ("clients ", "cutover ", "import ", "migrate ", "contain", "keys ", "tenants ", "doctor", "db ")
"""Groups whose commands are written down by modules that the first test knows."""


def commands() -> list[str]:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
    return found


def test_every_command_writes_down_what_it_does_or_says_why_not() -> None:
    unknown = [name for name in commands() if name not in COMMANDS and not name.startswith(ELSEWHERE)]
    assert unknown == [], "say above which action is in the log, or why none is"
    assert set(COMMANDS) <= set(commands())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audited") / "home"
    bootstrapped(made)
    return made


def test_commands_that_change_something_are_in_the_log(home: Path, tmp_path: Path) -> None:
    def done(*words: str, given: str | None = None) -> str:
        ran = run_command(home, *words, given=given)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    tenant = json.loads(done("tenants", "list", "--json"))[0]["tenant_id"]
    done("users", "create", "--email", "ada@example.com", "--tenant", tenant)
    key = json.loads(done("api-keys", "create", "--user", "ada@example.com", "--name", "laptop", "--json"))
    done("api-keys", "revoke", "--user", "ada@example.com", "--id", key["id"])
    done("service-accounts", "create", "--name", "runner", "--permission", "global.runtime_env.get")
    done("service-accounts", "delete", "runner")
    done("audit", "rotate-key")
    done("audit", "export", "--tenant", tenant, str(tmp_path / "log.jsonl"))
    done("export", "platform", str(tmp_path / "all.json"))
    found = set()
    for whose in ([], ["--tenant", tenant]):
        for event in json.loads(done("audit", "list", *whose, "--json")):
            if event["actor"] == "command line":
                found.add(event["action"])
                assert event["address"] == origin(os.environ)[:64], "from where, too"
    assert found >= {
        "installation.bootstrap", "user.create", "api-key.create", "api-key.revoke", "service-account.create",
        "service-account.delete", "audit-key.rotate", "audit-log.export", "platform.export", "tenant.export",
    }  # fmt: skip
