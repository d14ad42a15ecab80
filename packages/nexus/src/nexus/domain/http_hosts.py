"""Where it is described whom the tool ``http`` may talk to, and how addresses are read. Pure.

An address is read once, strictly, and refused where two readers might read it differently.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nexus.domain.addresses import Reach, reach
from nexus.domain.secret_names import refuse_misspelled

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

AGENTS_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "prefer",
    }
)
"""What agents may say themselves; none of these changes who asks, whom, or by which method."""

_TIED = frozenset(
    {"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 8_000
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/(?:[a-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9a-f]{2})*)?",
    re.IGNORECASE | re.ASCII,
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HEADER_VALUE = re.compile(r"[\t -~]{0,4000}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A scheme, a host and a port (RFC 6454), in lower case; an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def is_address(self) -> bool:
        """Say whether the host is an IP address, and no name."""
        return ":" in self.host or _NUMBER.fullmatch(self.host.rpartition(".")[2]) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def split_url(url: str) -> tuple[Origin, str]:
    """Return an address's origin, and its path with the query.

    Raises:
        ValueError: it is none, or its path leads up.
    """
    found = _URL.fullmatch(url) if len(url) <= _LONGEST_URL else None
    if found is None:
        raise ValueError(
            "must be an address such as https://api.example.com/v1/things?limit=3: of at most "
            f"{_LONGEST_URL} characters, without a user or a fragment, and with anything that is "
            "not ASCII encoded"
        )
    scheme = found["scheme"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if port > 65535:
        raise ValueError("has a port that is none")
    target = found["target"] or "/"
    _refuse_climbing(target.partition("?")[0])
    return Origin(scheme=scheme, host=found["host"].lower().strip("[]"), port=port), target


def _refuse_climbing(path: str) -> None:
    parts = unquote(path).replace("\\", "/").split("/")
    if {".", ".."} & set(parts):
        raise ValueError("must not have '.' or '..' in its path")


def _is_origin(text: str) -> str:
    origin, target = split_url(text)
    if target != "/":
        raise ValueError(f"{text} must name a host alone, such as https://api.example.com")
    if origin.is_address:
        _refuse_address(origin.host)
    elif ".." in origin.host or any(part.endswith("-") for part in origin.host.split(".")):
        raise ValueError(f"{text} is no host")
    return str(origin)


def _refuse_address(host: str) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{host} is no IP address in its usual form") from None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    canonical = str(mapped or address)
    if canonical != host:
        raise ValueError(f"{host} must be written as {canonical}")
    if reach(host) is Reach.NEVER:
        raise ValueError(f"{host} is an address that no tool may talk to")


HostAddress = Annotated[str, AfterValidator(_is_origin)]
"""A scheme, a host and, where it is not the usual one, a port."""


def _is_header(name: str) -> str:
    plain = name.lower()
    if not _HEADER.fullmatch(name) or plain in _TIED or plain.startswith("proxy-"):
        raise ValueError(f"{name} is no header that can be set")
    return plain


Header = Annotated[str, AfterValidator(_is_header)]


def is_header_value(text: str) -> bool:
    """Say whether a header can have this value: one line of ASCII, of at most 4000 characters."""
    return _HEADER_VALUE.fullmatch(text) is not None


class HttpHost(BaseModel):
    """A host that agents may be allowed to send requests to.

    Attributes:
        methods: the methods that are taken.
        headers: what is sent with each request to this host, and to no other; ``${NAME}`` stands
            for a variable of Nexus's environment, ``${secret:NAME}`` for a secret that it keeps.
        private: whether its address may be of this machine or this network.
        max_bytes: how large an answer may be, unpacked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    methods: frozenset[Method] = Field(default=frozenset({"GET", "HEAD"}), min_length=1)
    headers: dict[Header, str] = Field(default_factory=dict)
    private: bool = False
    max_bytes: int = Field(default=1_048_576, ge=1, le=16_777_216)

    def takes(self, address: str) -> bool:
        """Say whether a request may go to this IP address."""
        judged = reach(address)
        return judged is Reach.PUBLIC or (self.private and judged is Reach.PRIVATE)


def check_host(address: str, host: HttpHost) -> None:
    """Refuse a host that could not be used, or would be told a secret in the open.

    Raises:
        ValueError: the message says what to change.
    """
    origin, _ = split_url(address)
    if origin.is_address and not host.takes(origin.host):
        raise ValueError(f"{address} is this network's own; add private = true to allow it")
    refuse_misspelled(host.headers.values())
    if origin.scheme == "http" and host.headers and not host.private:
        raise ValueError(f"{address} must be https://, for headers are sent there")
