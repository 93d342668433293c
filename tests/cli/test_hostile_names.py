"""What tenants choose is shown as plain text on the operator's terminal and in the log (issue 9.10)."""

import asyncio
import json
import subprocess
import sys
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from typer.main import get_command

from keyrack.cli import app
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.schema import auth_secrets, tenants
from keyrack.visible import json_text, visible, visible_in
from support.app import World
from support.auth_clients import change as renaming
from support.grants import add_auth_client, add_secret, change
from support.keyrack_processes import environment

HOSTILE = "[/x][red]\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202eevil\u200b\x7f"
SHOWN = "[/x][red]\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\x0d\\x0a\\u202eevil\\u200b\\x7f"
EMAIL = "[/x][red]evil@a.example"
"""As hostile as an email may be."""
BY_EMAIL = ("users list", "audit list")
LISTING = [
    "users list", "api-keys list", "secrets list", "secrets show", "audit list", "settings", "quotas", "tenants list",
    "tenants show", "service-accounts list", "service-accounts show", "service-accounts change", "contain", "frozen",
    "grants idle", "grants ending", "clients deleted",
]  # fmt: skip
"""Commands that show what tenants, or somebody's environment, have named."""
OTHERS = [
    "bootstrap", "db upgrade", "users create", "api-keys create", "api-keys revoke", "service-accounts create",
    "service-accounts delete", "components lint", "permissions list", "secrets refresh", "import platform",
    "export platform", "serve", "worker", "simulator", "demo", "version", "users setup-link",
    "users set-password", "users disable-totp", "service-accounts set-password", "service-accounts disable-totp",
    "providers import", "providers list", "providers show", "providers test", "doctor client",
    "tenants allow-passwords", "audit chains", "audit export", "audit keys", "audit rotate-key", "audit verify",
    "clients promote", "clients purge", "clients restore",
    "clients retire", "clients roll-back", "clients rotate", "clients rotation", "clients try",
    "clients usage", "cutover batch", "cutover client", "cutover everything", "cutover status", "import n8n",
    "import nango", "import undo", "import vault-oauthapp", "keys retire", "keys rewrap", "keys rotate", "keys shred",
    "keys status", "migrate env-vars", "restored", "unfreeze",
]  # fmt: skip
"""Commands that show what the operator has just given them, ids, counts, or one of the errors below."""
RUN = """
import contextlib, io, json, sys
from keyrack.cli import main
answers = []
for words in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = ["keyrack", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    answers.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


def test_every_command_is_looked_at() -> None:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
    assert sorted(found) == sorted([*LISTING, *OTHERS])


def is_plain(text: str) -> bool:
    """Tell whether a text has nothing that a terminal obeys but ends of lines."""
    return all(letter == "\n" or unicodedata.category(letter)[0] not in "CZ" or letter == " " for letter in text)


async def run(world: World, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Run commands one after the other in one process, which loads everything once."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", RUN, json.dumps(commands)],
        env=environment(world.settings) | {"COLUMNS": "500", f"KEYRACK_{HOSTILE}": "1", "KEYRACK_PUBLIC_URL": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [(status, out, err) for status, out, err in json.loads(done.stdout)]


async def test_names_are_plain_text_in_every_list_and_message(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    attacker = await keyrack.add_user(acme.id, EMAIL)
    assert (await attacker.get(f"/v2/tenants/{acme.id}")).status_code == 403
    assert (
        await attacker.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": "n"}}})
    ).status_code == 403
    key = {"data": {"type": "api-key", "attributes": {"name": HOSTILE}}}
    await attacker.post("/v2/users/me/api-keys", key)
    client = await add_auth_client(keyrack.store, "", "http://127.0.0.1:1/token")
    secret = await add_secret(keyrack.store, acme, client, {"access_token": "canary", HOSTILE: HOSTILE})
    now = keyrack.store.clock()
    await change(keyrack.store, secret, name=HOSTILE, error=HOSTILE, grant_expires_at=now + timedelta(days=1))
    gone = await add_auth_client(keyrack.store, acme.id, "http://127.0.0.1:1/token")
    renamed = await acme.admin.patch(f"/v2/auth-clients/{gone.id}", renaming({"name": HOSTILE}))
    assert renamed.status_code == 200, renamed.text
    assert (await acme.admin.delete(f"/v2/auth-clients/{gone.id}")).status_code == 204
    file = keyrack.settings.home / "hostile.json"
    file.write_text(json.dumps({HOSTILE: []}))
    async with keyrack.store.installation(writes=True) as unit:
        await ServiceAccounts(unit).add(HOSTILE, ["global.metrics.get"])
        unread = update(auth_secrets).where(auth_secrets.c.id == secret.id).values(last_used_at=now - timedelta(days=9))
        await unit.connection.execute(unread)
        await unit.connection.execute(update(tenants).where(tenants.c.id == acme.id).values(name=HOSTILE))
    commands = {
        "users list": ["users", "list", "--tenant", acme.id],
        "api-keys list": ["api-keys", "list", "--user", EMAIL],
        "secrets list": ["secrets", "list"],
        "secrets show": ["secrets", "show", secret.id, "--reveal"],
        "audit list": ["audit", "list", "--tenant", acme.id],
        "settings": ["settings"],
        "quotas": ["quotas", "--tenant", acme.id],
        "tenants list": ["tenants", "list"],
        "tenants show": ["tenants", "show", acme.id],
        "service-accounts list": ["service-accounts", "list"],
        "service-accounts show": ["service-accounts", "show", HOSTILE],
        "service-accounts change": ["service-accounts", "change", HOSTILE, "--add", "tenants.tenant.get"],
        "contain": ["contain", "--client", client.id, "--action", "freeze", "--reason", HOSTILE, "--yes"],
        "frozen": ["frozen"],
        "grants idle": ["grants", "idle", "--tenant", acme.id, "--days", "1"],
        "grants ending": ["grants", "ending", "--tenant", acme.id],
        "clients deleted": ["clients", "deleted"],
    }
    assert sorted(commands) == sorted(LISTING)
    refused = {
        "an unknown tenant": ["tenants", "show", HOSTILE + "?"],
        "an unknown service account": ["service-accounts", "delete", HOSTILE + "?"],
        "an unknown user": ["api-keys", "list", "--user", HOSTILE + "?"],
        "a broken file": ["import", "platform", str(file)],
        "a missing file": ["import", "platform", HOSTILE],
        "a client that cannot be reached": ["doctor", "client", client.id],
        "not a time": ["secrets", "list", "--expires-before", HOSTILE],
    }
    words = [*commands.values(), *([*each, "--json"] for each in commands.values()), *refused.values()]
    answers = await run(keyrack, *words)
    count = len(commands)
    for name, (status, out, err) in zip(commands, answers, strict=False):
        assert status == 0, (name, err)
        assert is_plain(out), (name, out)
        assert is_plain(err), (name, err)
        shown = EMAIL if name in BY_EMAIL else SHOWN
        assert shown in (err if name == "settings" else out.replace("\\\\", "\\")), (name, out)
    for name, (status, out, _) in zip(commands, answers[count:], strict=False):
        assert status == 0
        assert is_plain(out), name
        assert out.isascii()
        told = EMAIL if name in BY_EMAIL else HOSTILE
        assert name == "settings" or told in " ".join(texts(json.loads(out))), name
    for name, (status, out, err) in zip(refused, answers[2 * count :], strict=True):
        assert status == 1, name
        assert is_plain(out + err), name
        assert "Traceback" not in err, err


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for member in value.values() for text in texts(member)] + list(value)
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_log_is_plain_text(log_format: str) -> None:
    code = (
        "import logging, structlog\nfrom keyrack import logs\nfrom keyrack.settings import load_settings\n"
        f"logs.configure(load_settings({{'KEYRACK_LOG_FORMAT': {log_format!r}}}))\n"
        f"hostile = {HOSTILE!r}\n"
        "structlog.get_logger().warning('request', path=hostile, inner={hostile: [hostile]})\n"
        "logging.getLogger('library').warning('it says %s', hostile)\n"
        "try:\n    raise ValueError(hostile)\nexcept ValueError:\n    logging.getLogger('lib').exception('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    log = done.stderr.decode()
    ours, *libraries = log.splitlines()
    assert is_plain("\n".join(libraries)), log
    assert f"it says {SHOWN}" in libraries[0]
    if log_format == "json":
        assert is_plain(ours)
        assert json.loads(ours)["path"] == HOSTILE
    else:
        assert "\x1b]0" not in ours
        assert "\u202e" not in ours
        assert SHOWN in ours


def test_every_unseen_character_is_written_out() -> None:
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        unseen = unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"} and letter != " "
        assert not unseen or visible(letter).startswith("\\"), hex(code)
    for text in ("plain, with spaces", "Zoë", "日本語", "Ελληνικά", "e\u0301", "🙂"):
        assert visible(text) == text


def test_other_values_stay_what_they_are() -> None:
    given = {"a\x1b": [1, None, True, 2.5, ("\u202e",)]}
    assert visible_in(given) == {"a\\x1b": [1, None, True, 2.5, ["\\u202e"]]}
    assert json.loads(json_text({"\x7f": "\x7f\x80\udcff"})) == {"\x7f": "\x7f\x80\udcff"}
