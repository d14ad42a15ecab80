"""A web server of the tests' own: it answers what a test wrote byte by byte, and keeps requests."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class HttpPeer:
    """Answers each request with ``say``, and closes the connection."""

    port: int = 0
    say: Say
    asked: list[Asked] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """What clients called the server when they began TLS (SNI)."""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, and see that it is closed whatever its client does."""
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                self.asked.append(await _request(reader))
                await self.say(writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip()
    line, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(line=line, headers=headers, body=body)


def answer(body: bytes = b"hello", status: str = "200 OK", **headers: str) -> Say:
    """Return a whole answer; of text, unless ``content_type`` says otherwise."""
    named = {"content_type": "text/plain", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "connection: close", "", ""])
    return raw(head.encode() + body)


def raw(data: bytes) -> Say:
    """Return exactly these bytes."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return say


def endless(head: bytes, chunk: bytes) -> Say:
    """Begin with ``head``, and say ``chunk`` for as long as anybody listens."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return say


async def nothing(_: asyncio.StreamWriter) -> None:
    """Hold the connection, and say nothing."""
    await asyncio.Event().wait()


@asynccontextmanager
async def http_peer(
    say: Say | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttpPeer]:
    """Serve until the block ends; connections that are still open end with it."""
    peer = HttpPeer(say=say or answer())
    at_work: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        task.add_done_callback(at_work.discard)
        await peer.serve(reader, writer)

    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: peer.names.append(name)
    server = await asyncio.start_server(take, host, port, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(at_work):
            task.cancel()
        if at_work:
            await asyncio.wait(at_work, timeout=5)


class Authority:
    """A certificate authority that nobody knows, for a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's own authority")])
        own = self._builder(self._name, self._key.public_key())
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        own = own.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self._own = own.sign(self._key, hashes.SHA256())

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )

    def trusting(self) -> ssl.SSLContext:
        """Return what trusts this authority, and no other."""
        return ssl.create_default_context(cadata=self._own.public_bytes(Encoding.PEM).decode())

    def server(self, name: str) -> ssl.SSLContext:
        """Return what a server of this name proves itself with."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(names, critical=False)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
