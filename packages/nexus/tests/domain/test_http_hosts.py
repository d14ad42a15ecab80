"""Which addresses are read, which hosts can be configured, and what is said of the others."""

import pytest
from pydantic import TypeAdapter, ValidationError

from nexus.domain.http_hosts import HostAddress, HttpHost, Origin, check_host, split_url

HOST = TypeAdapter(HostAddress)


def test_an_address_is_its_origin_and_its_target() -> None:
    origin, target = split_url("HTTPS://API.example.com:8443/v1/a%20b?x=1&y=[2]")
    assert origin == Origin(scheme="https", host="api.example.com", port=8443)
    assert (str(origin), target) == ("https://api.example.com:8443", "/v1/a%20b?x=1&y=[2]")
    assert split_url("https://api.example.com:443") == split_url("https://api.example.com/")
    assert str(split_url("http://[::1]:80/x")[0]) == "http://[::1]"


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.example.com", "//api.example.com/", "ftp://api.example.com/", "file:///etc"),
        *("https:/api.example.com", "https:///", "https://", "https://:443/", "https://?x"),
        *("https://user@api.example.com/", "https://u:p@api.example.com/", "https://a@b@c/"),
        *("https://api.example.com#@evil.com/", "https://api.example.com\\@evil.com/"),
        *("https://api.example.com/#x", "https://api.example.com:0/", "https://api.example.com:/"),
        *("https://api.example.com:99999/", "https://api.example.com:80:80/"),
        *("https://api.example.com /", " https://api.example.com/", "https://api.example.com/\n"),
        *(
            "https://api.example.com\t/",
            "https://api.exa\x00mple.com/",
            "https://api.example.com./",
        ),
        *("https://bücher.example/", "https://api.example.com/ü", "https://ⓔxample.com/"),
        *("https://api。example.com/", "https://127.0.0.①/", "https://%61pi.example.com/"),
        *("https://[fe80::1%25eth0]/", "https://[::1%lo]/", "https://[::1", "https://-a.com/"),
        *("https://api.example.com/../x", "https://api.example.com/a/%2e%2E/b"),
        *("https://api.example.com/a/..", "https://api.example.com/./a"),
        *("https://api.example.com/a%2f..%2fb", "https://api.example.com/a/..%5cb"),
        *("https://api.example.com/%", "https://api.example.com/%zz", "https://a.b/\r\nX: y"),
        "https://api.example.com/" + "x" * 8000,
    ],
)
def test_what_two_might_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be an address|must not have|a port"):
        split_url(url)


@pytest.mark.parametrize(
    ("host", "part"),
    [
        ("https://127.1", "no IP address in its usual form"),
        ("https://2130706433", "no IP address in its usual form"),
        ("https://0x7f000001", "no IP address in its usual form"),
        ("https://0x7f.0.0.1", "no IP address in its usual form"),
        ("https://0177.0.0.1", "no IP address in its usual form"),
        ("https://017700000001", "no IP address in its usual form"),
        ("https://127.0.0.0x1", "no IP address in its usual form"),
        ("https://1.2.3.4.5", "no IP address in its usual form"),
        ("https://[0:0:0:0:0:0:0:1]", "must be written as ::1"),
        ("https://[::ffff:7f00:1]", "must be written as 127.0.0.1"),
        ("https://169.254.169.254", "no tool may talk to"),
        ("https://[fd00:ec2::254]", "no tool may talk to"),
        ("https://0.0.0.0", "no tool may talk to"),
        ("https://a..b", "is no host"),
        ("https://a-.example.com", "is no host"),
        ("https://api.example.com/v1", "must name a host alone"),
        ("api.example.com", "must be an address"),
        ("https://*.example.com", "must be an address"),
    ],
)
def test_a_host_has_one_spelling(host: str, part: str) -> None:
    with pytest.raises(ValidationError, match=part.replace(".", r"\.")):
        HOST.validate_python(host)


def test_a_host_that_is_private_has_to_be_called_so() -> None:
    with pytest.raises(ValueError, match="add private = true"):
        check_host("https://127.0.0.1", HttpHost())
    check_host("https://127.0.0.1", HttpHost(private=True))
    check_host("https://8.8.8.8", HttpHost())


def test_headers_are_not_sent_in_the_open() -> None:
    host = HttpHost(headers={"Authorization": "x"})
    with pytest.raises(ValueError, match="must be https://"):
        check_host("http://api.example.com", host)
    check_host("https://api.example.com", host)
    check_host("http://api.example.com", HttpHost(headers={"Authorization": "x"}, private=True))


@pytest.mark.parametrize("name", ["Host", "content-length", "Proxy-Authorization", "a b", "x:", ""])
def test_headers_that_frame_a_request_cannot_be_set(name: str) -> None:
    with pytest.raises(ValidationError, match="no header that can be set"):
        HttpHost(headers={name: "x"})


def test_private_opens_no_way_to_metadata() -> None:
    host = HttpHost(private=True)
    assert host.takes("10.0.0.1")
    assert host.takes("8.8.8.8")
    assert not host.takes("169.254.169.254")
    assert not HttpHost().takes("10.0.0.1")
