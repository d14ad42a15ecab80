"""Where the command `nexus doctor` lives: it shows the checks and what to do about them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from nexus.cli.credentials import Wish
from nexus.cli.errors import Failed
from nexus.cli.local import ConfigOption
from nexus.cli.output import Columns, Output, clean
from nexus.cli.session import (
    DEFAULT_URL,
    ClientIdOption,
    ClientSecretOption,
    DataDirOption,
    JsonOption,
    UrlOption,
)

if TYPE_CHECKING:
    from nexus.domain.findings import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_COLUMNS: Columns = {
    "": lambda finding: Text(finding["status"], style=_COLOURS[finding["status"]]),
    "CHECK": lambda finding: Text(finding["check"]),
    "FOUND": lambda finding: Text(clean(finding["found"])),
    "WHAT TO DO": lambda finding: Text(finding["fix"] or ""),
}


def doctor(
    json: JsonOption = False,
    url: UrlOption = DEFAULT_URL,
    client_id: ClientIdOption = None,
    client_secret: ClientSecretOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Check this machine, the settings, the data, the server and the credentials.

    The exit code is 1 if a check fails.
    """
    wish = Wish(url=url, client_id=client_id, client_secret=client_secret, data_dir=data_dir)
    report(_examine(wish, config), Output(json=json))


def report(examination: Iterable["Finding"], output: Output) -> None:
    """Show what checks have found.

    Raises:
        Failed: a check failed.
    """
    findings = list(examination)
    failed = [finding for finding in findings if finding.status == "fail"]
    shown = [finding.document() for finding in findings]
    output.listing(shown, _COLUMNS, ok=not failed)
    if failed:
        raise Failed(f"{len(failed)} of {len(findings)} checks failed")


def _examine(wish: Wish, config: Path | None) -> Iterator["Finding"]:
    from nexus import self_checks
    from nexus.cli import checks
    from nexus.cli.addresses import is_local
    from nexus.cli.client import open_http

    with open_http(wish.url, timeout_s=5.0) as http:
        yield self_checks.python()
        local = is_local(wish.url)
        if local or wish.data_dir is not None:
            yield from _examine_installation(wish, config)
        answer, finding = checks.server(http, wish.url)
        yield finding
        if local:
            yield checks.port(wish.url, answered=answer is not None)
        if answer is not None:
            yield checks.clock(answer)
            yield from checks.refusals(answer)
            yield from checks.slack(answer)
            yield checks.credentials(http, wish)


def _examine_installation(wish: Wish, config: Path | None) -> Iterator["Finding"]:
    from nexus import self_checks
    from nexus.cli import checks, safety_checks

    settings, finding = safety_checks.settings(config, wish.data_dir)
    yield finding
    if settings is not None:
        yield self_checks.secrets(settings)
        yield self_checks.data_folder(settings.data_dir)
        yield from self_checks.disk(settings.data_dir)
        yield from self_checks.private_files(settings)
        yield from checks.schema(settings)
        yield from safety_checks.sealed_secrets(settings)
        yield from safety_checks.audit_log(settings)
