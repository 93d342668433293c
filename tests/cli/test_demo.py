"""The demo as a person sees it: a real process, real servers, a real terminal, a real browser."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from keyrack.demo.text import curl, laid_out, mask, masked, masked_address, page_text, shortened

if TYPE_CHECKING:
    from playwright.async_api import Page

SECONDS = 180.0
SECRETS = ("acme-app-own-secret", "globex-app-own-secret")


class Demo:
    """A running demo and what it has printed so far."""

    def __init__(self, home: Path, *words: str, terminal: bool = False) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KEYRACK_")}
        environment = clean | {"TMPDIR": str(home), "TERM": "xterm-256color"}
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self._output, self.text = ours, ""
        command = [sys.executable, "-m", "keyrack", "demo", *words]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read on until the output has something that follows what was found before."""
        deadline = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.text, re.DOTALL)) is None:
            assert self._more(deadline), f"it ended without {pattern!r}:\n{self.text[-3000:]}"
        return found

    def end(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + SECONDS
        while self._more(deadline):
            pass
        return self.process.wait(10)

    def children(self) -> list[int]:
        """Return the processes that the demo has started and that are still there."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def _more(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        assert left > 0, f"it takes too long:\n{self.text[-3000:]}"
        if not select.select([self._output], [], [], left)[0]:
            return True
        try:
            chunk = os.read(self._output, 65536)
        except OSError:  # how a terminal ends
            return False
        self.text += chunk.decode(errors="replace")
        return bool(chunk)


@contextmanager
def demo(home: Path, *words: str, terminal: bool = False) -> Iterator[Demo]:
    running = Demo(home, *words, terminal=terminal)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_once_tells_the_story_in_a_line_a_step(tmp_path: Path) -> None:
    with demo(tmp_path, "--once") as running:
        assert running.end() == 0, running.text[-3000:]
    first, *steps, ended = running.text.splitlines()
    assert first == "keyrack demo: setting up an empty installation …"
    assert re.fullmatch(r"Every step held \(\d+ API calls\)\.", ended)
    assert [step for step in steps if not step.startswith("● ")] == [steps[0], ""]
    assert "Keyrack at http://127.0.0.1:" in steps[0]
    assert len(steps) > 10
    assert "\x1b" not in running.text, "colours only on a terminal"
    assert not [secret for secret in SECRETS if secret in running.text]
    assert not re.findall(r"kr_[A-Za-z0-9_-]{8,}", running.text), "no API key before the demo stays up"
    assert "alice" not in running.text, "nobody is asked to sign in"
    assert list(tmp_path.iterdir()) == [], "nothing is kept"


def verbose_shows_every_call_and_what_holds(text: str) -> None:
    assert "Every step held" in text
    assert "\x1b" not in text, "colours only on a terminal"
    commands = "\n".join(command for command, _ in commands_of(text))
    answers = [line for line in text.splitlines() if line.strip() not in commands]
    assert all(secret in commands for secret in SECRETS), "a command works as it is printed"
    assert not [line for line in answers if any(secret in line for secret in SECRETS)]
    assert not re.findall(r"kr_[A-Za-z0-9_-]{8,}", text), "no API key before the demo stays up"
    breakable = [line for line in text.splitlines() if "http" not in line and not re.search(r'": ".*",?$', line)]
    assert max(map(len, breakable)) <= 110, "an address or a single text cannot be broken; all else fits"
    for sentence in (
        "pizza-van is in none of Globex's lists",
        "connecting is refused: oauth_client_missing",
        "nobody at Globex can read Acme's keys",
        "409 Conflict",
        "pizza-van has appeared in Globex's lists",
        "the consent is completed",
        "the credential is stored with its refresh token",
        "in Globex PIZZAVAN_KEY and PIZZAVAN_SECRET are Globex's own client",
        "in Acme PIZZAVAN_KEY and PIZZAVAN_SECRET are Acme's own client",
        "the refusal names the flow",
        "the usage view shows 1 flow, 1 credential and 1 workspace",
        "204 No Content",
        "pizza-van is gone from Globex's lists",
        "it says which parameter to add",
        "it lists the client the admin created",
    ):
        assert sentence in text, sentence


def commands_of(text: str) -> list[tuple[str, str]]:
    """Return the commands of a story as they are printed, without the name above each, and how each ended."""
    return re.findall(r"^  # [^\n]*\n(.*?)\n  → ([^\n]*)", text, re.DOTALL | re.MULTILINE)


def in_bash(*lines: str) -> "subprocess.CompletedProcess[str]":
    """Run pasted lines in a shell that knows nothing but where programs are; curl also prints the status."""
    told = 'curl() { command curl -sS -w "\\n%{http_code}" "$@"; }'
    clean = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "KEYRACK_DATABASE_URL": "postgresql://nobody@nowhere/x"}
    return subprocess.run(
        ["bash", "-c", "\n".join([told, *lines])], env=clean, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed commands use curl")
def test_everything_that_is_printed_works_when_it_is_pasted(tmp_path: Path) -> None:
    with demo(tmp_path, "--verbose") as running:
        running.read_until(r"For example:.*keyrack audit list[^\n]*\n")
        story, _, footer = running.text.partition("Paste this into a shell")
        verbose_shows_every_call_and_what_holds(story)
        logins, _, examples = footer.partition("For example:")
        shell = [line for line in logins.splitlines() if line.startswith(("  export ", "  keyrack() "))]
        tried = re.findall(r"^  ((?:curl|keyrack) [^\n]*(?:\\\n[^\n]*)*)", examples, re.MULTILINE)
        assert len(tried) == 4
        for command in tried:
            done = in_bash(*shell, command)
            assert (done.returncode, done.stderr) == (0, ""), command
            assert command.startswith("keyrack") or done.stdout.endswith("\n200"), (command, done.stdout)
        commands = commands_of(story)
        assert len(commands) > 30
        repeated = 0
        for command, ended in commands:
            done = in_bash(*shell, command)
            if command.strip().startswith("keyrack"):
                assert "a user with this email already exists" in done.stderr, (command, done)
                continue
            assert (done.returncode, done.stderr) == (0, ""), command
            status, expected = done.stdout.rpartition("\n")[2], ended.partition(" ")[0]
            allowed = {expected, *({"409"} if " -X POST" in command else ()), *({"404"} if gone(command) else ())}
            assert status in allowed, (command, ended, done.stdout)
            repeated += status == expected
        assert repeated > len(commands) // 2
        assert running.process.poll() is None, "it stays up"
        ends_with_its_servers(running, signal.SIGHUP)


def gone(command: str) -> bool:
    """Tell whether a command is about what the story has deleted since."""
    return " -X DELETE" in command or "/usage" in command


def ends_with_its_servers(running: Demo, number: signal.Signals) -> None:
    """Tell a demo that stays up to end, which it does as it should."""
    children = running.children()
    assert len(children) == 2
    running.process.send_signal(number)
    assert running.end() == (0 if number is signal.SIGINT else 128 + number)
    assert "Traceback" not in running.text
    assert all(is_gone(child) for child in children)


LOGINS = {
    "admin@globex.example": "Globex integrations",
    "ida@globex.example": "Globex integrations",
    "admin@acme.example": "Acme",
    "keyrack-service": "Installation",
}
"""Who can sign in, and what they then see."""


def signs_in_to_the_console(running: Demo, base: str) -> None:
    assert running.read_until(r"The web console:\S* (\S+)\s")[1] == f"{base}/console"
    running.read_until(r"\n  keyrack-service +\S{16}  [^\n]*\n")
    told = running.text.rpartition("The web console:")[2]
    passwords = dict(re.findall(r"^  (\S+) +(\S{16})  \S", told, re.MULTILINE))
    assert set(passwords) == set(LOGINS)
    for email, seen in LOGINS.items():
        with httpx2.Client(base_url=base, follow_redirects=True) as browser:
            token = re.search(r'name="form_token" value="(\w+)"', browser.get("/console/sign-in").text)
            assert token is not None
            form = {"form_token": token[1], "email": email, "password": passwords[email]}
            assert "Sign out" in browser.post("/console/sign-in", data=form).text, email
            assert seen in browser.get("/console").text, email


def test_ctrl_c_in_the_middle_ends_it_at_once(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.read_until("Support makes it global")
        children = running.children()
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
    assert "Traceback" not in running.text
    assert all(is_gone(child) for child in children)


def the_footer_is_true(running: Demo) -> None:
    """Hold what a demo that stays up says at its end against what is there."""
    base = running.read_until(r"stays up\S* at (http://127.0.0.1:\d+)")[1]
    simulator = running.read_until(r"The authorization server: (http://127.0.0.1:\d+) \(sign in as alice")[1]
    running.read_until(r"keyrack audit list[^\n]*\n")
    assert httpx2.get(running.read_until(r"(http://127.0.0.1:\d+/docs) ")[1]).status_code == 200
    assert "\x1b[" in running.text, "colours on a terminal"
    assert not [secret for secret in SECRETS if secret in running.text]
    logins = dict(re.findall(r"export ([A-Z_]+)=(\S+:kr_\S+)", running.text))
    assert set(logins) == {"SUPPORT", "ACME_ADMIN", "GLOBEX_ADMIN", "GLOBEX_INTEGRATOR"}
    for name in ("ACME_ADMIN", "GLOBEX_ADMIN", "GLOBEX_INTEGRATOR"):
        user, _, key = logins[name].partition(":")
        assert httpx2.get(f"{base}/v2/users/me", auth=(user, key)).status_code == 200
    assert httpx2.get(f"{simulator}/.well-known/oauth-authorization-server").status_code == 200
    signs_in_to_the_console(running, base)


async def test_a_person_denies_once_then_allows_and_it_stays_up_until_told_to_end(tmp_path: Path, page: "Page") -> None:
    address = r"sign in as alice / wonderland:\s+(http\S+)\s"
    with demo(tmp_path, "--browser", terminal=True) as running:
        await page.goto(running.read_until(address)[1])
        assert "Sign in to continue to Globex's app" in await page.inner_text("main")
        await page.fill("#login", "alice")
        await page.fill("#password", "wrong")
        await page.click("button:has-text('Sign in')")
        await page.wait_for_selector("text=do not go together")
        await page.fill("#password", "wonderland")
        await page.press("#password", "Enter")
        await page.wait_for_selector("text=Allow Globex's app to use your account?")
        await page.click("button:has-text('Deny')")
        await page.wait_for_selector("text=The account was not connected")
        running.read_until("once more, with a new address")
        await page.goto(running.read_until(f"once more.*{address}")[1])
        await page.click("button:has-text('Allow')")
        await page.wait_for_selector("text=The account is connected")
        running.read_until(r"Every step held")
        the_footer_is_true(running)
        ends_with_its_servers(running, signal.SIGINT)


def test_json_stands_in_few_lines() -> None:
    assert laid_out({"a": [1, 2], "b": {}}, 40) == '{"a": [1, 2], "b": {}}'
    assert laid_out({"first": "x" * 10, "second": [1, {"y": 2}]}, 30) == (
        '{\n  "first": "xxxxxxxxxx",\n  "second": [1, {"y": 2}]\n}'
    )
    deep = {"data": {"attributes": {"name": "n" * 30, "list": ["a" * 20, "b" * 20]}}, "meta": {}}
    assert json.loads(laid_out(deep, 20)) == deep
    assert shortened(list("abcde"), 3) == ["a", "b", "c", "… 2 more lines"]
    assert shortened(list("abcd"), 3) == list("abcd"), "a line that says one is missing is no shorter"


def test_secrets_are_masked_and_names_that_only_sound_like_one_are_not() -> None:
    assert mask("kr_0123456789") == "kr_0…"
    assert mask("short") == "…"
    given = {"refresh_token": "rt-0123456789", "token_type": "Bearer", "client_secret": "{{APP_SECRET}}"}
    assert masked(given) == given | {"refresh_token": "rt-0…"}
    assert masked({"vars": {"PIZZAVAN_SECRET": "acme-secret", "PIZZAVAN_KEY": "acme-app"}}) == {
        "vars": {"PIZZAVAN_SECRET": "acme…", "PIZZAVAN_KEY": "acme-app"}
    }
    address = "http://a.example/authorize?state=0123456789&scope=a%20b&code_challenge=abcdefghij"
    assert masked_address(address) == "http://a.example/authorize?state=0123…&scope=a%20b&code_challenge=abcd…"


def test_a_shown_curl_line_is_one_that_a_shell_takes() -> None:
    body = {"data": {"name": "Ida's", "client_secret": "0123456789", "long": "x" * 90}}
    shown = "\n".join(curl("ACME_ADMIN", "POST", "$KEYRACK/v2/" + "y" * 80, body, 96)).replace(
        "curl", "printf '%s|'", 1
    )
    environment = {"ACME_ADMIN": "name:key", "KEYRACK": "http://127.0.0.1:1"}
    done = subprocess.run(["/bin/sh", "-c", shown], env=environment, capture_output=True, text=True, check=True)
    *words, text, _ = done.stdout.split("|")
    address = "http://127.0.0.1:1/v2/" + "y" * 80
    assert words == ["-u", "name:key", "-X", "POST", address, "-H", "content-type: application/json", "-d"]
    assert json.loads(text) == body


def test_a_page_is_told_in_one_line() -> None:
    page = "<title>T</title><style>a{}</style><h1>It&#39;s\n done</h1><script>x()</script>"
    assert page_text(page) == "It's done"
