"""How Nexus is reached from the networks of companies, over HTTP and the WebSocket both."""

import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

import oblivion
from networks import ForwardProxy, below_a_path, door_to, forward_proxy
from oblivion import Network, OblivionClient, Timeouts
from oblivion._route import find_route
from oblivion.testing import FakeNexus

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def nexus() -> AsyncIterator[FakeNexus]:
    async with FakeNexus() as nexus:
        yield nexus


class Authority:
    """A private certificate authority, whose files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server of these names uses."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def picky_server(self, *names: str) -> ssl.SSLContext:
        """Return the same for a server that wants to see a certificate."""
        context = self.server(*names)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.file)
        return context

    def client(self) -> tuple[Path, Path]:
        """Return a client's certificate and key."""
        issued = self._ca.issue_cert("my-agent")
        certificate, key = self._folder / "agent.pem", self._folder / "agent.key"
        certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def proxy(nexus: FakeNexus, authority: Authority) -> AsyncIterator[ForwardProxy]:
    """A proxy to whom alone ``nexus.corp`` means something: a Nexus behind TLS."""
    tls = authority.server("nexus.corp")
    async with door_to(port_of(nexus.url), tls=tls) as door, forward_proxy() as proxy:
        proxy.hosts["nexus.corp"] = door
        yield proxy


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def work(nexus: FakeNexus, url: str, network: Network | None = None) -> None:
    """Have an agent at ``url`` that gets a task over the socket, and asks for it over HTTP."""
    secret = nexus.credentials("my-agent")["client_secret"]
    client = OblivionClient(url, "my-agent", secret, network=network, timeouts=Timeouts(connect=5))

    @client.on_task_assigned
    async def handle(task: oblivion.TaskAssignedPayload) -> str:
        return (await client.get_task(task.task_id)).title

    async with client:
        task = await nexus.assign("Reach me")
        done = await nexus.expect_status(task, "DONE")
    assert done.result == "Reach me"


async def fails(nexus: FakeNexus, url: str, network: Network) -> str:
    """Return how a connect fails."""
    with pytest.raises(oblivion.NexusUnreachable) as caught:
        await work(nexus, url, network)
    return str(caught.value)


# --- proxies --------------------------------------------------------------------------------------


CORP = "https://nexus.corp"


async def test_everything_goes_through_the_proxy_of_the_argument(
    nexus: FakeNexus, proxy: ForwardProxy, authority: Authority
) -> None:
    await work(nexus, CORP, Network(proxy=proxy.url, ca_file=authority.file))
    assert {line.split()[:2] == ["CONNECT", "nexus.corp:443"] for line in proxy.asked} == {True}
    assert len(proxy.asked) >= 2, "one tunnel for HTTP, one for the WebSocket"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_everything_goes_through_the_proxy_of_the_environment(
    nexus: FakeNexus,
    proxy: ForwardProxy,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    await work(nexus, CORP, Network(ca_file=authority.file))
    assert len(proxy.asked) >= 2


async def test_what_the_environment_excepts_is_reached_directly(
    nexus: FakeNexus, proxy: ForwardProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    trusted = Network(ca_file=authority.file)
    async with door_to(port_of(nexus.url), tls=authority.server("localhost")) as door:
        url = f"https://localhost:{door}"
        await work(nexus, url, replace(trusted, trust_env=False))
        monkeypatch.setenv("NO_PROXY", "example.com,localhost")
        await work(nexus, url, trusted)
    await work(nexus, nexus.url, trusted)  # plain HTTP is for this machine
    assert proxy.asked == []


async def test_a_proxy_may_speak_tls_itself(nexus: FakeNexus, authority: Authority) -> None:
    async with (
        door_to(port_of(nexus.url), tls=authority.server("nexus.corp")) as door,
        forward_proxy(authority.server("localhost")) as proxy,
    ):
        proxy.hosts["nexus.corp"] = door
        await work(nexus, CORP, Network(proxy=proxy.url, ca_file=authority.file))
    assert len(proxy.asked) >= 2


async def test_a_proxy_that_wants_a_password_gets_it_and_nobody_else_sees_it(
    nexus: FakeNexus, proxy: ForwardProxy, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    proxy.password = "ann:s3c:ret@"
    there = proxy.url.replace("http://", "http://ann:s3c%3Aret%40@")
    await work(nexus, CORP, Network(proxy=there, ca_file=authority.file))
    wrong = proxy.url.replace("http://", "http://ann:wr0ng@")
    said = await fails(nexus, CORP, Network(proxy=wrong, ca_file=authority.file))
    assert "407" in said
    shown = said + repr(Network(proxy=wrong)) + repr(find_route(CORP, Network(proxy=there)))
    assert "s3c" not in shown + caplog.text
    assert "wr0ng" not in shown + caplog.text


async def test_plain_http_through_a_proxy_is_refused(nexus: FakeNexus) -> None:
    """Proxies do not pass WebSockets on that are not in a tunnel."""
    with pytest.raises(oblivion.ConfigurationError, match="needs an https:// nexus_url"):
        await work(nexus, nexus.url, Network(proxy="http://localhost:3128"))


async def test_a_proxy_that_is_not_there_is_named(nexus: FakeNexus) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = await fails(nexus, CORP, Network(proxy=f"http://127.0.0.1:{port}"))
    assert "nexus.corp" in said


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://", "http://host:port"])
async def test_a_proxy_that_cannot_be_used_says_what_to_change(nexus: FakeNexus, url: str) -> None:
    with pytest.raises(oblivion.ConfigurationError, match="must look like http://proxy"):
        await work(nexus, CORP, Network(proxy=url))


# --- TLS ------------------------------------------------------------------------------------------


async def test_a_private_authority_is_trusted_when_it_is_named(
    nexus: FakeNexus, authority: Authority
) -> None:
    async with door_to(port_of(nexus.url), tls=authority.server("localhost")) as door:
        await work(nexus, f"https://localhost:{door}", Network(ca_file=authority.file))
        said = await fails(nexus, f"https://localhost:{door}", Network())
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "Network.ca_file" in said


async def test_a_certificate_for_another_name_is_refused(
    nexus: FakeNexus, authority: Authority
) -> None:
    async with door_to(port_of(nexus.url), tls=authority.server("elsewhere.corp")) as door:
        network = Network(ca_file=authority.file)
        said = await fails(nexus, f"https://localhost:{door}", network)
    assert "localhost" in said


async def test_a_client_certificate_is_shown_to_who_asks_for_one(
    nexus: FakeNexus, authority: Authority
) -> None:
    certificate, key = authority.client()
    known = Network(ca_file=authority.file, client_certificate=certificate, client_key=key)
    async with door_to(port_of(nexus.url), tls=authority.picky_server("localhost")) as door:
        await work(nexus, f"https://localhost:{door}", known)
        nobody = replace(known, client_certificate=None, client_key=None)
        await fails(nexus, f"https://localhost:{door}", nobody)


async def test_files_that_do_not_do_are_named(
    nexus: FakeNexus, authority: Authority, tmp_path: Path
) -> None:
    certificate, _ = authority.client()
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for network, said in [
        (Network(ca_file="/nowhere.pem"), "network.ca_file: cannot read /nowhere.pem: No such"),
        (Network(ca_file=nonsense), "nonsense.pem: it is no PEM file"),
        (Network(client_certificate=nonsense), "network.client_certificate: cannot read"),
        (Network(client_certificate=certificate), "agent.pem: it is no PEM file"),  # no key in it
    ]:
        with pytest.raises(oblivion.ConfigurationError, match=said):
            await work(nexus, "https://localhost:1", network)


# --- addresses ------------------------------------------------------------------------------------


async def test_a_nexus_below_a_path_is_reached_there(nexus: FakeNexus) -> None:
    async with below_a_path("/tools/nexus", nexus.url) as url:
        await work(nexus, url)
        await work(nexus, url + "/")


async def test_a_nexus_with_an_ipv6_address_is_reached(
    nexus: FakeNexus, authority: Authority
) -> None:
    port = port_of(nexus.url)
    async with door_to(port, host="::1") as door:
        await work(nexus, f"http://[::1]:{door}")
    async with door_to(port, host="::1", tls=authority.server("::1")) as door:
        await work(nexus, f"https://[::1]:{door}", Network(ca_file=authority.file))


# --- settings -------------------------------------------------------------------------------------


def test_the_environment_sets_the_network() -> None:
    client = OblivionClient.from_env(
        {
            "OBLIVION_NEXUS_URL": "https://nexus.corp",
            "OBLIVION_CLIENT_ID": "my-agent",
            "OBLIVION_CLIENT_SECRET": "s3cret",
            "OBLIVION_PROXY": "http://proxy.corp:3128",
            "OBLIVION_CA_FILE": "/etc/corp.pem",
            "OBLIVION_CLIENT_CERTIFICATE": "/etc/agent.pem",
            "OBLIVION_CLIENT_KEY": "/etc/agent.key",
            "OBLIVION_CLIENT_KEY_PASSWORD": "opens it",
        }
    )
    assert client._settings.network == Network(
        proxy="http://proxy.corp:3128",
        ca_file="/etc/corp.pem",
        client_certificate="/etc/agent.pem",
        client_key="/etc/agent.key",
        client_key_password="opens it",
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"proxy": 1}, "network.proxy must be a string, not int"),
        ({"proxy": ""}, "network.proxy must not be empty"),
        ({"trust_env": "no"}, "network.trust_env must be True or False"),
        ({"ca_file": b"x"}, "network.ca_file must be a string, not bytes"),
        ({"client_key": "x"}, "network.client_key needs network.client_certificate"),
    ],
)
def test_a_wrong_network_says_what_to_change(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(oblivion.ConfigurationError, match=said):
        Network(**wrong)
