"""Where it is judged who may be behind an IP address, however it is spelled. Pure.

https://www.iana.org/assignments/iana-ipv4-special-registry and its sister for IPv6. The tables are
our own, for what Python counts as global differs from one of its versions to the next.
"""

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_Network = IPv4Network | IPv6Network


class Reach(StrEnum):
    """From where an address is to be reached."""

    PUBLIC = "public"
    """Anybody's, on the internet."""
    PRIVATE = "private"
    """This machine's or this network's own."""
    NEVER = "never"
    """Nothing that a tool may talk to: link-local, metadata of clouds, multicast, reserved."""


def _networks(*names: str) -> tuple[_Network, ...]:
    return tuple(ip_network(name) for name in names)


_METADATA = _networks(
    "169.254.0.0/16",  # most clouds'
    "100.100.100.200/32",  # Alibaba's
    "168.63.129.16/32",  # Azure's
    "192.0.0.192/32",  # Oracle's
    "fd00:ec2::/32",  # Amazon's
    "fd20:ce::254/128",  # Google's
)
_PRIVATE = _networks(
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
    *("::1/128", "fc00::/7"),
)
_SPECIAL = _networks(
    "0.0.0.0/8",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",  # once 6to4's relays
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",  # Teredo among them
    "2001:db8::/32",
    "2002::/16",  # 6to4: an IPv4 address within
    "3fff::/20",
)
_UNICAST = ip_network("2000::/3")
"""All that was given out of IPv6; site-local, multicast and the like lie outside."""
_TRANSLATED = ip_network("64:ff9b::/96")


def reach(text: str) -> Reach:
    """Judge an address in its numeric form; one of IPv4 within one of IPv6 is judged itself.

    Raises:
        ValueError: it is no address.
    """
    address = _plain(ip_address(text))
    if _is_among(address, _METADATA):
        return Reach.NEVER
    if _is_among(address, _PRIVATE):
        return Reach.PRIVATE
    outside = isinstance(address, IPv6Address) and address not in _UNICAST
    return Reach.NEVER if outside or _is_among(address, _SPECIAL) else Reach.PUBLIC


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_among(address: IPv4Address | IPv6Address, networks: Iterable[_Network]) -> bool:
    return any(address in network for network in networks)
