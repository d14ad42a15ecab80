"""Where a network's settings become a way to one Nexus: the proxy asked, the TLS spoken."""

import ssl
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import httpx2

from oblivion._bounds import Timeouts
from oblivion._network import Network
from oblivion.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy, and what it is told to let us through."""

    url: str
    user: str | None = None
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way to one Nexus."""

    url: str
    proxy: Proxy | None
    tls: ssl.SSLContext | None


def find_route(url: str, network: Network) -> Route:
    """Return the way to the Nexus at ``url``; reads certificates from the disk.

    Raises:
        ConfigurationError: a file cannot be read, or is not what it should be.
    """
    proxy = _read_proxy(network.proxy or (_of_environment(url) if network.trust_env else None))
    if proxy is not None and not url.startswith("https:"):
        raise ConfigurationError(
            "network.proxy needs an https:// nexus_url: proxies pass a WebSocket on in a tunnel "
            "alone, and make tunnels for TLS"
        )
    return Route(url=url, proxy=proxy, tls=_tls(network) if url.startswith("https:") else None)


def open_http(route: Route, timeouts: Timeouts) -> httpx2.AsyncClient:
    """Return an HTTP client that takes this way; it must be closed."""
    proxy = None
    if route.proxy is not None:
        user = route.proxy.user
        auth = None if user is None else (user, route.proxy.password)
        tls = route.tls if route.proxy.url.startswith("https:") else None
        proxy = httpx2.Proxy(route.proxy.url, auth=auth, ssl_context=tls)
    return httpx2.AsyncClient(
        base_url=route.url + "/",
        timeout=httpx2.Timeout(timeouts.request, connect=timeouts.connect),
        proxy=proxy,
        trust_env=False,
        verify=route.tls if route.tls is not None else False,
    )


def _of_environment(url: str) -> str | None:
    """Return the proxy that the environment, or the system, names for ``url``."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get("https") or proxies.get("all")
    return None if not found or urllib.request.proxy_bypass(parts.netloc) else found


def _read_proxy(given: str | None) -> Proxy | None:
    if given is None:
        return None
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        port = parts.port
    except ValueError:
        usable, port = False, None
        parts = urlsplit("")
    if not usable:
        raise ConfigurationError(
            "the proxy must look like http://proxy.example.com:3128; other kinds (SOCKS) are not "
            "spoken. It comes from network.proxy, HTTPS_PROXY or ALL_PROXY"
        )
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    where = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if parts.username is None:
        return Proxy(url=where)
    return Proxy(url=where, user=unquote(parts.username), password=unquote(parts.password or ""))


def _tls(network: Network) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=network.ca_file)
    except OSError as error:  # an SSLError is one, too
        raise _unusable("ca_file", network.ca_file, error) from None
    if network.client_certificate is not None:
        try:
            context.load_cert_chain(
                network.client_certificate,
                network.client_key,
                # Without one OpenSSL would ask on the terminal.
                network.client_key_password or "",
            )
        except OSError as error:
            shown = network.client_key or network.client_certificate
            raise _unusable("client_certificate", shown, error) from None
    return context


def _unusable(name: str, path: object, error: OSError) -> ConfigurationError:
    if isinstance(error, ssl.SSLError):
        reason = f"it is no PEM file that can be used ({error.reason or error})"
    else:
        reason = error.strerror or str(error)
    return ConfigurationError(f"network.{name}: cannot read {path}: {reason}")
