"""Examines this machine: settings, who can read the files, room on the disk, answers that wait in the spool."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from keyrack.crypto.kek.sources import FILE, named_sources
from keyrack.service.operator.doctor.findings import Finding, error, ok, warning
from keyrack.settings import PREFIX, Settings
from keyrack.store.core import dsn
from keyrack.store.spool import Spool
from keyrack.telemetry import NO_COLLECTOR, Signal, switch

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MEGABYTE = 1024 * 1024
_FULL, _NEARLY_FULL = 100 * _MEGABYTE, 1024 * _MEGABYTE


def settings_findings(settings: Settings) -> Iterator[Finding]:
    """Examine the settings themselves."""
    if settings.unknown_variables:
        names = ", ".join(settings.unknown_variables)
        yield warning("settings", f"These are no settings and are ignored: {names}.", "Correct the names.", names)
    else:
        yield ok("settings", "All variables that look like settings are some.")
    traces, logs = switch(Signal.traces), switch(Signal.logs)
    if traces.why_not is not None:
        yield warning("telemetry", f"Traces are asked for and not sent: {traces.why_not}.", "Correct the variable.")
    if settings.audit_otlp and not logs.on:
        why_not, where = logs.why_not or NO_COLLECTOR, f"{PREFIX}AUDIT_OTLP"
        change = "Correct the variable, or name a collector."
        yield warning("telemetry", f"The audit logs are asked for and not sent: {why_not}.", change, where)


def file_findings(settings: Settings) -> Iterator[Finding]:
    """Examine who can read or exchange files that hold secrets, before anything opens them."""
    found = list(_open_files(settings))
    yield from found or (ok("files", f"What is in {settings.home} is its owner's alone."),)


def database_is_open_to_others(settings: Settings) -> bool:
    """Tell whether others can use the embedded database's files; opening them would change that."""
    return any(each for path in _database_files(settings) for each in _judged(path, _OTHERS, "600"))


def database_file(settings: Settings) -> Path | None:
    """Return the embedded database's file; None where there is another database.

    Raises:
        ConfigurationError: the URL cannot be understood.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    return target.path if isinstance(target, dsn.SqliteTarget) else None


def _database_files(settings: Settings) -> Iterator[Path]:
    path = database_file(settings)
    if path is not None:
        yield from (path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal"))


def _open_files(settings: Settings) -> Iterator[Finding]:
    yield from _judged(settings.home, _OTHERS, "700")
    yield from _judged(settings.home / "spool", _OTHERS, "700")
    if FILE in named_sources(settings):
        yield from _judged(settings.effective_key_file, _OTHERS, "600")
        yield from _judged(settings.effective_key_file.parent, _OTHERS_WRITE, "go-w")
    for path in _database_files(settings):
        yield from _judged(path, _OTHERS, "600")


def _judged(path: Path, forbidden: int, mode: str) -> Iterator[Finding]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as fault:
        yield error("files", f"{path} cannot be looked at: {fault.strerror}.", "Let this user reach it.", str(path))
        return
    exchangeable = forbidden == _OTHERS_WRITE and found.st_mode & stat.S_ISVTX
    if found.st_mode & forbidden and not exchangeable:
        shown = f"{stat.S_IMODE(found.st_mode):04o}"
        yield error("files", f"Others can use {path} (mode {shown}).", f"chmod {mode} {path}", str(path))
    if hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), 0):
        change = "Run this command, and Keyrack, as its owner."
        yield warning("files", f"{path} belongs to another user (uid {found.st_uid}).", change, str(path))


def disk_findings(settings: Settings) -> Iterator[Finding]:
    """Examine the room where answers are spooled, and where an embedded database grows."""
    folders = {settings.home}
    path = database_file(settings)
    if path is not None:
        folders.add(path.parent)
    for folder in sorted(folders):
        try:
            disk = os.statvfs(folder)
        except OSError as fault:
            yield error("disk", f"{folder} cannot be looked at: {fault.strerror}.", "Make the folder.", str(folder))
            continue
        free = disk.f_bavail * disk.f_frsize
        seen = f"{free // _MEGABYTE} MiB are free where {folder} is."
        change = "Make room: an answer that can be stored nowhere is a grant lost."
        if free < _FULL or (disk.f_files and not disk.f_favail):
            yield error("disk", seen, change, str(folder))
        elif free < _NEARLY_FULL:
            yield warning("disk", seen, change, str(folder))
        else:
            yield ok("disk", seen)
        if not os.access(folder, os.W_OK):
            yield error("disk", f"{folder} cannot be written by this user.", "Give it to this user.", str(folder))


def spool_findings(settings: Settings) -> Iterator[Finding]:
    """Examine whether answers of providers wait on this machine."""
    folder = settings.home / "spool"
    try:
        waiting = Spool(folder).count()
        partial = len(list(folder.glob("*.partial")))
    except OSError as fault:
        yield error("spool", f"{folder} cannot be read: {fault.strerror}.", "Let this user read it.", str(folder))
        return
    if waiting:
        change = "Run Keyrack on this machine with this home folder until they are gone; remove nothing."
        yield warning("spool", f"{waiting} answers of providers wait for the database.", change, str(folder))
    elif partial:
        seen = f"{partial} files of answers are not whole; whoever wrote them was stopped."
        yield warning("spool", seen, "Nothing can be read of them; see what stopped Keyrack.", str(folder))
    else:
        yield ok("spool", "No answer waits on this machine.")


def insecure_findings(found: Iterator[tuple[str, str]]) -> Iterator[Finding]:
    """Say what is insecure about the settings.

    Args:
        found: setting and reason, as a server says them when it starts.
    """
    for setting, why in found:
        yield warning("insecure", f"{setting}: {why}.", "Change the setting, unless it is meant so.", setting)


def public_url_findings(settings: Settings) -> Iterator[Finding]:
    """Examine whether there is a base for callback addresses."""
    if settings.public_url is None:
        change = "Set it to the address that browsers use, as it is registered with providers."
        seen = "It is not set: callbacks go to https:// and each tenant's own domain, and the console has no address."
        yield warning("public_url", seen, change, f"{PREFIX}PUBLIC_URL")
