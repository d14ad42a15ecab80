"""Where addresses are checked: those of servers, and the names that become parts of a path."""

from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from nexus.cli.errors import BadUsage


def segment(name: str) -> str:
    """Return an id, slug or client id as one segment of a path.

    Raises:
        BadUsage: it cannot be one.
    """
    if name.strip() in {"", ".", ".."}:
        raise BadUsage(f"{name!r} is no id")
    try:
        return quote(name.strip(), safe="")
    except UnicodeEncodeError as error:
        raise BadUsage("an id has characters that are not UTF-8") from error


def check_url(url: str) -> str:
    """Return the server's address without a slash at its end.

    Raises:
        BadUsage: it is none.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadUsage(f"{url!r} is no address of a server; write it as http://localhost:3000")
    return url.strip().rstrip("/")


def is_local(url: str) -> bool:
    """Return whether ``url`` names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
