"""Where the checks of `nexus doctor` live, each a finding with what to do about it."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from nexus.cli.client import Client
from nexus.cli.credentials import Wish, find_credentials
from nexus.cli.errors import CliError
from nexus.cli.problems import refusal
from nexus.domain.findings import Finding, Status

if TYPE_CHECKING:
    from nexus.settings import Settings

SKEW_WARNS_S = 10
SKEW_FAILS_S = 300
_LET_GO = "close the program that has the database open for writing; Nexus then goes on by itself"


def schema(settings: "Settings") -> Iterator[Finding]:
    """Check that this version of Nexus can use the database, if there is one."""
    from nexus import self_checks
    from nexus.store import StoreError, open_database

    if settings.database_url is None and not settings.database_path.exists():
        return
    try:
        with contextlib.closing(open_database(settings.database)) as database:
            database.refuse_newer()
            if database.is_shared:
                yield Finding(check="database", status="ok", found=database.name)
            yield self_checks.schema_version(database.version(), database.newest_version())
    except StoreError as error:
        yield _unusable(str(error), shared=settings.database_url is not None)


def _unusable(why: str, *, shared: bool) -> Finding:
    if "newer Nexus" in why:
        fix = "upgrade Nexus, or restore a backup"
        return Finding(check="schema", status="fail", found=why, fix=fix)
    if shared:
        fix = "is PostgreSQL running, and is NEXUS_DATABASE_URL right?"
        return Finding(check="database", status="fail", found=why, fix=fix)
    if "locked" in why:
        return Finding(check="schema", status="fail", found=why, fix=_LET_GO)
    return Finding(check="schema", status="fail", found=why, fix="restore a backup")


def server(http: httpx2.Client, url: str) -> tuple[httpx2.Response | None, Finding]:
    """Check that Nexus answers and is ready; return its answer too, None without one."""
    try:
        answer = http.get("/readyz")
    except httpx2.HTTPError as error:
        found = f"nothing answers at {url} ({str(error) or type(error).__name__})"
        fix = "start it with `nexus serve`, or give its --url"
        return None, Finding(check="server", status="fail", found=found, fix=fix)
    if answer.is_success:
        return answer, Finding(check="server", status="ok", found=f"{url} is ready")
    fix = "see the server's log; if another program listens there, give --url"
    return answer, Finding(check="server", status="fail", found=str(refusal(answer)), fix=fix)


def refusals(answer: httpx2.Response) -> Iterator[Finding]:
    """Check that the database has refused the server nothing within the last minute."""
    why = _told(answer, "refused")
    if why is None:
        return
    fix = _LET_GO if "locked" in why else "make room on the server's disk, if it is full"
    yield Finding(check="database", status="fail", found=f"it refuses writes: {why}", fix=fix)


def _told(answer: httpx2.Response, name: str) -> str | None:
    try:
        word = answer.json().get(name) if answer.is_success else None
    except (ValueError, AttributeError):
        return None
    return None if word is None else str(word)


def slack(answer: httpx2.Response) -> Iterator[Finding]:
    """Check that the server is connected with Slack, if it is to be."""
    word = _told(answer, "slack")
    if word == "connected":
        yield Finding(check="slack", status="ok", found="connected")
    elif word is not None:
        fix = "`nexus slack status` says why, `nexus slack doctor` what to do"
        yield Finding(check="slack", status="warn", found=word, fix=fix)


def port(url: str, *, answered: bool) -> Finding:
    """Check that Nexus has, or could have, the port."""
    parts = urlsplit(url)
    number = parts.port or (443 if parts.scheme == "https" else 80)
    if answered:
        return Finding(check="port", status="ok", found=f"{number} is in use by the server")
    try:
        socket.create_server(("127.0.0.1", number)).close()
    except OSError as error:
        why = "taken" if error.errno == errno.EADDRINUSE else error.strerror
        fix = "stop what listens there, or choose another one with `nexus serve --port`"
        return Finding(check="port", status="fail", found=f"{number}: {why}", fix=fix)
    return Finding(check="port", status="ok", found=f"{number} is free")


def clock(answer: httpx2.Response) -> Finding:
    """Check that this machine's clock and the server's agree, by the ``Date`` of an answer."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError):
        fix = "does a proxy remove the header Date?"
        return Finding(check="clock", status="warn", found="the server tells no time", fix=fix)
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    status: Status = "ok" if skew <= SKEW_WARNS_S else "warn" if skew <= SKEW_FAILS_S else "fail"
    found = f"{skew:.0f} s apart from the server"
    advice = None if status == "ok" else "let both machines take their time from NTP"
    return Finding(check="clock", status=status, found=found, fix=advice)


def credentials(http: httpx2.Client, wish: Wish) -> Finding:
    """Check that Nexus gives a token for the credentials that commands would use."""
    try:
        found = find_credentials(wish)
        Client(http, found).get("/observer/stats")
    except CliError as error:
        says = error.message
        fix = "give --client-id and --client-secret of an admin"
        return Finding(check="credentials", status="fail", found=says, fix=fix)
    return Finding(
        check="credentials", status="ok", found=f"{found.client_id}, from {found.source}"
    )
