"""Who may be behind an address: every spelling of what no request may go to."""

import pytest

from nexus.domain.addresses import Reach, reach

PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.0"),
    *("2606:4700:4700::1111", "2a00:1450::8a", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
)
PRIVATE = (
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("100.64.0.1", "100.127.255.255", "::1", "fc00::1", "fd12:3456::1"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1"),
    *("64:ff9b::a00:1", "64:ff9b::192.168.0.1", "::1%lo"),
)
NEVER = (
    *("169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"),
    *("64:ff9b::a9fe:a9fe", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("192.88.99.1", "::", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1"),
    *("feff::1", "ff02::1", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:0:7f00:1::"),
    *("2001:db8::1", "2001:20::1", "3fff::1", "3fff:fff::1", "64:ff9b:1::1", "100::1"),
    *("5f00::1", "::ffff:0:127.0.0.1", "4000::1", "::ffff:224.0.0.1", "::ffff:0.0.0.0"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert reach(address) is Reach.PUBLIC


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_in_a_network_of_ones_own_is_private(address: str) -> None:
    assert reach(address) is Reach.PRIVATE


@pytest.mark.parametrize("address", NEVER)
def test_what_is_neither_is_never_talked_to(address: str) -> None:
    assert reach(address) is Reach.NEVER


@pytest.mark.parametrize(
    "text", ["", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "localhost"]
)
def test_what_is_no_numeric_address_is_not_judged(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|\S"):
        reach(text)
