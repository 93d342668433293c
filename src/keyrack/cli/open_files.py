"""Raises this process's limit of open files, and tells how many connections that allows."""

import resource

_KEPT_BACK = 256
"""Descriptors for databases, providers, the log and whatever else is no connection of a caller."""


def most_connections(wanted: int) -> int:
    """Raise the limit of open files as far as a process may, and return how many connections that leaves.

    Processes that are started later have the same limit.

    Args:
        wanted: the most that are returned.
    """
    import structlog

    log = structlog.get_logger()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # some systems name a limit that they do not grant
            log.warning("the limit of open files cannot be raised", limit=soft)
    if soft == resource.RLIM_INFINITY:
        return wanted
    room = max(soft - _KEPT_BACK, soft // 2)
    if room < wanted:
        log.warning("the limit of open files allows fewer connections than configured", limit=soft, connections=room)
    return min(room, wanted)
