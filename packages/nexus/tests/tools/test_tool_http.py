"""The tool ``http`` against servers of the tests' own: real sockets, real TLS."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from http_peer import Authority, HttpPeer, Say, answer, endless, http_peer, nothing, raw
from live_nexus import live_nexus
from nexus.domain.http_hosts import HttpHost
from nexus.domain.tool_catalogue import check_action
from nexus.settings import SettingsError
from nexus.tools.builtins import Http
from nexus.tools.provider import ToolError
from oblivion.protocol import ToolCode

ALL = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
NAME = "api.example.com"


class Names:
    """A resolver that tells what a test wrote, one answer after the other, the last one again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    async with http_peer() as peer:
        yield peer


def http(peer: HttpPeer, names: Names | None = None, **host: Any) -> Http:
    """Return a tool that may talk to the peer under a name."""
    given = {"private": True, "methods": ALL, **host}
    known = names or Names(["127.0.0.1"])
    return Http({at(peer): HttpHost(**given)}, resolve=known)


def at(peer: HttpPeer, path: str = "", name: str = NAME, scheme: str = "http") -> str:
    return f"{scheme}://{name}:{peer.port}{path}"


async def refused(tool: Http, url: str, action: str = "get", **params: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await tool.call(action, {"url": url, **params}, 5)
    return caught.value


# --- what it does


async def test_what_is_asked_for_arrives_as_it_was_written(peer: HttpPeer) -> None:
    got = await http(peer).call("get", {"url": at(peer, "/a%20b?x=%2F&y=[1]")}, 5)
    assert got == {"status": 200, "headers": {"content-type": "text/plain"}, "body": "hello"}
    (asked,) = peer.asked
    assert asked.line == "GET /a%20b?x=%2F&y=[1] HTTP/1.1"
    assert asked.headers["host"] == f"{NAME}:{peer.port}"
    assert "cookie" not in asked.headers


async def test_bodies_are_json_or_text(peer: HttpPeer) -> None:
    peer.say = answer(b'{"id": 7}', "201 Created", content_type="application/json; charset=utf-8")
    tool = http(peer)
    made = await tool.call("post", {"url": at(peer, "/"), "body": {"name": "☕"}}, 5)
    assert (made["status"], made["body"]) == (201, {"id": 7})
    await tool.call("put", {"url": at(peer, "/"), "body": "☕"}, 5)
    form = {"content-type": "application/x-www-form-urlencoded"}
    await tool.call("patch", {"url": at(peer, "/"), "body": "a=1", "headers": form}, 5)
    await tool.call("delete", {"url": at(peer, "/")}, 5)
    said = [(one.line.split()[0], one.headers.get("content-type"), one.body) for one in peer.asked]
    assert said == [
        ("POST", "application/json", '{"name":"☕"}'.encode()),
        ("PUT", "text/plain; charset=utf-8", "☕".encode()),
        ("PATCH", form["content-type"], b"a=1"),
        ("DELETE", None, b""),
    ]


async def test_a_failure_of_the_server_is_an_answer(peer: HttpPeer) -> None:
    peer.say = answer(b"no such thing", "404 Not Found", retry_after="3", set_cookie="session=x")
    got = await http(peer).call("get", {"url": at(peer, "/x")}, 5)
    assert (got["status"], got["body"]) == (404, "no such thing")
    assert got["headers"] == {"content-type": "text/plain", "retry-after": "3"}


async def test_answers_without_a_body_have_none(peer: HttpPeer) -> None:
    tool = http(peer)
    peer.say = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert await tool.call("delete", {"url": at(peer)}, 5) == {"status": 204, "headers": {}}
    peer.say = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\netag: x\r\n\r\n")
    got = await tool.call("head", {"url": at(peer)}, 5)
    assert got == {"status": 200, "headers": {"etag": "x"}}


async def test_agents_are_told_what_they_can_do_and_where(peer: HttpPeer) -> None:
    tool = Http(
        {"https://a.example.com": HttpHost(), at(peer): HttpHost(methods=frozenset({"POST"}))}
    )
    actions = {one.action: one for one in await tool.list_tools()}
    for action in actions.values():
        check_action(action)
    assert sorted(actions) == ["get", "head", "post"]
    assert actions["get"].description.endswith("Hosts: https://a.example.com")
    assert (actions["get"].idempotent, actions["post"].idempotent) == (True, False)


# --- whom it talks to


@pytest.mark.parametrize(
    "host",
    [
        *("evil.com", f"{NAME}.evil.com", f"x.{NAME}", "localhost", "127.0.0.1", "127.1", "0"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.0.0.0x1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "0.0.0.0", "[::]"),
        *("169.254.169.254", "2852039166", "0xa9fea9fe", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *("[fe80::1]", "[fec0::1]", "metadata.google.internal", "xn--pi-xja.example.com"),
        *(f"{NAME}.", f"user@{NAME}", f"{NAME}@evil.com", f"{NAME}%2e", "[fe80::1%25lo]"),
        *("api\u3002example.com", "\u0430pi.example.com", "\uff11\uff12\uff17.0.0.1", "[::1%lo]"),
    ],
)
async def test_no_other_host_is_talked_to_however_it_is_spelled(peer: HttpPeer, host: str) -> None:
    names = Names(["127.0.0.1"])
    error = await refused(http(peer, names), f"http://{host}:{peer.port}/")
    assert error.code in {ToolCode.NOT_ALLOWED, ToolCode.INVALID_PARAMS}
    assert (peer.connections, names.asked) == (0, [])


async def test_other_ports_schemes_and_methods_are_refused(peer: HttpPeer) -> None:
    tool = http(peer, methods={"GET"})
    for url in (f"http://{NAME}/", f"https://{NAME}:{peer.port}/", f"http://{NAME}:1/"):
        assert (await refused(tool, url)).code == ToolCode.NOT_ALLOWED
    error = await refused(tool, at(peer), "post", body="x")
    assert (error.code, "may not be sent POST" in error.message) == (ToolCode.NOT_ALLOWED, True)
    assert peer.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"]),
        *(["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["2001:0:7f00:1::"], ["fec0::1"], ["100.64.0.1"]),
        *(["192.88.99.1"], ["3fff::1"], ["fe80::1%1"], ["0.0.0.0"], ["224.0.0.1"]),
        *(["8.8.8.8", "127.0.0.1"], ["2606:4700:4700::1111", "::1"]),
    ],
)
async def test_a_name_that_leads_inside_is_not_followed(
    peer: HttpPeer, addresses: list[str]
) -> None:
    error = await refused(http(peer, Names(addresses), private=False), at(peer))
    assert error.code == ToolCode.NOT_ALLOWED
    assert "has an address that no request may go to" in error.message
    assert peer.connections == 0


async def test_private_hosts_lead_to_no_metadata(peer: HttpPeer) -> None:
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200"):
        error = await refused(http(peer, Names([address, "127.0.0.1"])), at(peer))
        assert error.code == ToolCode.NOT_ALLOWED
    assert peer.connections == 0


async def test_a_name_is_looked_up_once_and_kept_to(
    peer: HttpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Any] = []
    system = socket.getaddrinfo

    def watched(host: Any, *more: Any, **named: Any) -> Any:
        looked_up.append(host)
        return system(host, *more, **named)

    names = Names(["127.0.0.1"], ["127.0.0.2"])  # the second answer is the attack
    async with http_peer(host="127.0.0.2", port=peer.port) as inside:
        monkeypatch.setattr(socket, "getaddrinfo", watched)
        await http(peer, names).call("get", {"url": at(peer)}, 5)
        assert (len(peer.asked), inside.connections, names.asked) == (1, 0, [NAME])
    assert NAME not in looked_up


async def test_a_name_that_changes_between_two_calls_is_judged_each_time(peer: HttpPeer) -> None:
    tool = http(peer, Names(["127.0.0.1"], ["127.0.0.1", "169.254.169.254"]))
    await tool.call("get", {"url": at(peer)}, 5)
    assert (await refused(tool, at(peer))).code == ToolCode.NOT_ALLOWED
    assert peer.connections == 1


async def test_the_systems_own_names_are_judged_too(peer: HttpPeer) -> None:
    url = f"http://localhost:{peer.port}"
    error = await refused(Http({url: HttpHost()}), url)
    assert (error.code, peer.connections) == (ToolCode.NOT_ALLOWED, 0)
    got = await Http({url: HttpHost(private=True)}).call("get", {"url": url}, 5)
    assert got["status"] == 200


async def test_an_address_that_is_allowed_is_talked_to(peer: HttpPeer) -> None:
    url = f"http://127.0.0.1:{peer.port}"
    assert (await Http({url: HttpHost(private=True)}).call("get", {"url": url}, 5))["body"]
    assert (await refused(Http({url: HttpHost()}), url)).code == ToolCode.NOT_ALLOWED


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Tmp", "308 Perm"])
async def test_redirects_are_told_and_not_followed(peer: HttpPeer, status: str) -> None:
    async with http_peer(host="127.0.0.2") as elsewhere:
        there = f"http://127.0.0.2:{elsewhere.port}/secret"
        peer.say = answer(b"", status, location=there)
        got = await http(peer).call("post", {"url": at(peer), "body": "x"}, 5)
        assert (got["status"], got["headers"]["location"]) == (int(status[:3]), there)
        assert (elsewhere.connections, len(peer.asked)) == (0, 1)


async def test_a_proxy_of_the_environment_sees_nothing(
    peer: HttpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_peer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await http(peer).call("get", {"url": at(peer)}, 5)
        assert (proxy.connections, len(peer.asked)) == (0, 1)


# --- headers


async def test_configured_headers_go_to_their_host_alone(peer: HttpPeer) -> None:
    async with http_peer() as other:
        tool = Http(
            {
                at(peer): HttpHost(private=True, headers={"Authorization": "Bearer k"}),
                at(other): HttpHost(private=True),
            },
            resolve=Names(["127.0.0.1"]),
        )
        peer.say = answer(b"", "302 Found", location=at(other))
        await tool.call("get", {"url": at(peer)}, 5)
        await tool.call("get", {"url": at(other)}, 5)
        assert peer.asked[0].headers["authorization"] == "Bearer k"
        assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize(
    "headers",
    [
        *({"Host": "evil.com"}, {"Authorization": "x"}, {"Cookie": "x"}, {"X-Forwarded-For": "x"}),
        *({"X-HTTP-Method-Override": "DELETE"}, {"Transfer-Encoding": "chunked"}),
        *({"Accept": "a\r\nHost: evil.com"}, {"Accept": "a\x00"}, {"Accept": "ü"}),
        *({"Accept\r\nHost": "x"}, {"Content-Length": "0"}, {"Connection": "x"}),
    ],
)
async def test_agents_say_little_in_headers(peer: HttpPeer, headers: Mapping[str, str]) -> None:
    error = await refused(http(peer), at(peer), headers=dict(headers))
    assert (error.code, peer.connections) == (ToolCode.INVALID_PARAMS, 0)


async def test_agents_do_not_replace_what_is_configured(peer: HttpPeer) -> None:
    tool = http(peer, headers={"Accept": "application/json"})
    error = await refused(tool, at(peer), headers={"ACCEPT": "text/html"})
    assert "accept is set by an admin" in error.message
    assert peer.connections == 0


# --- TLS


async def test_the_name_is_proven_though_the_address_is_pinned(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with http_peer(tls=authority.server(NAME)) as peer:
        url = at(peer, scheme="https")
        host, names = HttpHost(private=True), Names(["127.0.0.1"])
        tool = Http({url: host}, resolve=names, tls=authority.trusting())
        assert (await tool.call("get", {"url": url}, 5))["body"] == "hello"
        assert (peer.names, peer.asked[0].headers["host"]) == ([NAME], f"{NAME}:{peer.port}")
        stranger = await refused(Http({url: host}, resolve=names), url)
        assert "certificate" in stranger.message
        assert len(peer.asked) == 1


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with http_peer(tls=authority.server("other.example.com")) as peer:
        url = at(peer, scheme="https")
        tool = Http(
            {url: HttpHost(private=True)},
            resolve=Names(["127.0.0.1"]),
            tls=authority.trusting(),
        )
        error = await refused(tool, url)
        assert ("certificate" in error.message, peer.asked) == (True, [])


# --- what comes back


ZEROS = gzip.compress(bytes(100 * 1024 * 1024))
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


TOO_LARGE = {
    "large": answer(b"x" * 1001),
    "bomb": answer(ZEROS, content_encoding="gzip"),
    "packed": answer(gzip.compress(b"x" * 1001), content_encoding="gzip"),
    "endless": endless(CHUNKED + b"\r\n", b"x" * 1000),
    "endless-bomb": endless(
        CHUNKED + b"content-encoding: gzip\r\n\r\n" + ZEROS[:1000], bytes(1000)
    ),
    "chunked": endless(
        CHUNKED + b"transfer-encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    ),
}


@pytest.mark.parametrize("say", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_no_more_is_read_or_unpacked_than_is_taken(peer: HttpPeer, say: Say) -> None:
    peer.say = say
    error = await refused(http(peer, max_bytes=1000), at(peer))
    assert error.code == ToolCode.RESULT_TOO_LARGE
    assert error.message.startswith("GET was answered with 200, but the answer is larger than 1000")


async def test_what_is_packed_is_unpacked(peer: HttpPeer) -> None:
    text = json.dumps(["☕"] * 100)
    packed = gzip.compress(text.encode())
    peer.say = answer(packed, content_encoding="gzip", content_type="application/json")
    got = await http(peer, max_bytes=5000).call("get", {"url": at(peer)}, 5)
    assert got["body"] == json.loads(text)
    assert peer.asked[0].headers["accept-encoding"] == "gzip"


NO_TEXT = {
    "image": answer(b"\x89PNG", content_type="image/png"),
    "bytes": answer(b"\x89PNG"),
    "octets": answer(b"x", content_type="application/octet-stream"),
    "charset": answer(b"x", content_type="text/plain; charset=punycode"),
    "packing": answer(b"x", content_encoding="br"),
    "lie": answer(b"no gzip", content_encoding="gzip"),
    "cut": answer(gzip.compress(b"x" * 100)[:-9], content_encoding="gzip"),
    "more": answer(gzip.compress(b"x") + b"more", content_encoding="gzip"),
}


@pytest.mark.parametrize("say", NO_TEXT.values(), ids=NO_TEXT.keys())
async def test_what_is_no_text_is_refused(peer: HttpPeer, say: Say) -> None:
    peer.say = say
    assert (await refused(http(peer), at(peer))).code == ToolCode.RESULT_REFUSED


NO_ANSWER = {
    "ssh": raw(b"SSH-2.0-OpenSSH\r\n"),
    "short": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"),
    "header": raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"),
    "silence": raw(b""),
}


@pytest.mark.parametrize("say", NO_ANSWER.values(), ids=NO_ANSWER.keys())
async def test_a_lost_answer_is_an_unknown_outcome_of_what_changes(
    peer: HttpPeer, say: Say
) -> None:
    peer.say = say
    tool = http(peer)
    assert (await refused(tool, at(peer))).code == ToolCode.TOOL_FAILED
    assert (await refused(tool, at(peer), "post", body="x")).code == ToolCode.OUTCOME_UNKNOWN


async def test_a_server_that_says_nothing_is_not_waited_for(peer: HttpPeer) -> None:
    peer.say = nothing
    with pytest.raises(ToolError) as caught:
        await http(peer).call("get", {"url": at(peer)}, 0.2)
    assert caught.value.code == ToolCode.TIMED_OUT


async def test_a_server_that_is_not_there_is_unavailable(peer: HttpPeer) -> None:
    url = "http://127.0.0.1:9"
    error = await refused(Http({url: HttpHost(private=True)}), url)
    assert (error.code, error.message) == (ToolCode.TOOL_UNAVAILABLE, f"{url} cannot be reached")
    unknown = "http://nowhere.invalid"
    error = await refused(Http({unknown: HttpHost()}), unknown)
    assert error.message == "the host nowhere.invalid cannot be found"


async def test_calls_do_not_wait_for_each_other(peer: HttpPeer) -> None:
    tool = http(peer)
    await asyncio.gather(*(tool.call("get", {"url": at(peer, f"/{n}")}, 5) for n in range(20)))
    assert len(peer.asked) == 20


async def test_a_header_whose_variable_is_missing_keeps_nexus_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXAMPLE_KEY", raising=False)
    config = tmp_path / "nexus.toml"
    config.write_text(
        '[http_hosts."https://api.example.com"]\n'
        'headers = { Authorization = "Bearer ${EXAMPLE_KEY}" }\n'
    )
    with pytest.raises(SettingsError, match="http_hosts: the variable EXAMPLE_KEY is not set"):
        async with live_nexus(tmp_path / "data", config=config):
            pass
