"""Shell completion, by what a shell does: `--show-completion` is read by bash, which then offers what can follow."""

import os
import subprocess
import sys
from pathlib import Path

from support.keyrack_processes import command_environment

SECONDS = 120.0


def completed(line: str, tmp_path: Path) -> set[str]:
    """Return what bash offers at the end of a line, after it has read what `--show-completion` prints."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    program = tmp_path / "bin" / "keyrack"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m keyrack "$@"\n')
    program.chmod(0o755)
    words = line.split(" ")
    script = (
        'eval "$(keyrack --show-completion bash)"\n'
        'offers="$(complete -p keyrack)"\n'
        'function="${offers#*-F }"; function="${function%% *}"\n'
        f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}')\n"
        f"COMP_CWORD={len(words) - 1}\nCOMP_LINE='{line}'\nCOMP_POINT={len(line)}\n"
        '"$function" keyrack\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = command_environment(tmp_path) | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",  # the name of the shell is given
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_bash_completes_commands_sub_commands_and_options(tmp_path: Path) -> None:
    assert completed("keyrack se", tmp_path) == {"secrets", "serve", "service-accounts", "settings"}
    changing = {"change", "create", "delete", "disable-totp", "set-password"}
    assert completed("keyrack service-accounts ", tmp_path) == {"list", "show"} | changing
    assert completed("keyrack audit list --f", tmp_path) == {"--follow"}


def test_completion_installs_itself_for_bash(tmp_path: Path) -> None:
    environment = command_environment(tmp_path) | {"HOME": str(tmp_path)}
    command = [sys.executable, "-m", "keyrack", "--install-completion"]
    # under a shell, by whose name it knows which one it is; `;:` keeps that from becoming the command itself
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{' '.join(command)};:"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "keyrack" in (tmp_path / ".bashrc").read_text()
