"""Who acts when somebody works on a machine of the installation, with a command, and from where."""

import os
import pwd
import socket
from collections.abc import Mapping
from functools import cache

from keyrack.model.identity import Principal, PrincipalKind


def origin(environment: Mapping[str, str]) -> str:
    """Return from where a command is given: `user@host`, the operating system's user and the machine's name.

    Args:
        environment: of the process; `SUDO_USER` is who called it with sudo.
    """
    user = environment.get("SUDO_USER") or _own_name()
    return "".join(character for character in f"{user}@{socket.gethostname()}" if character.isprintable())


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container, whose user is only a number
        return str(os.geteuid())


@cache
def operator() -> Principal:
    """Return who acts when somebody works on the machine itself."""
    return Principal(PrincipalKind.system, "", "command line", address=origin(os.environ))
