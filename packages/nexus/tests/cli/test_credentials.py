"""Whose credentials a command uses."""

import json
from pathlib import Path

import pytest

from nexus.cli.addresses import check_url, is_local, segment
from nexus.cli.credentials import (
    DEFAULT_CLIENT_ID,
    DEFAULT_DATA_DIR,
    FILE_NAME,
    Credentials,
    Wish,
    find_credentials,
)
from nexus.cli.errors import BadUsage
from nexus.keys import credentials_path
from nexus.settings import Settings

LOCAL = "http://localhost:3000"
REMOTE = "https://nexus.example.org"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    stored = {"clientId": "admin", "clientSecret": "of-the-file"}
    (tmp_path / FILE_NAME).write_text(json.dumps(stored))
    return tmp_path


def test_a_given_secret_wins_over_the_file(data_dir: Path) -> None:
    found = find_credentials(Wish(url=LOCAL, client_secret="given", data_dir=data_dir))
    assert (found.client_id, found.client_secret) == ("admin", "given")


def test_the_file_of_the_data_folder_is_used_without_others(data_dir: Path) -> None:
    found = find_credentials(Wish(url=LOCAL, data_dir=data_dir))
    assert (found.client_id, found.client_secret) == ("admin", "of-the-file")
    assert FILE_NAME in found.source


def test_another_server_gets_the_files_secret_only_when_the_folder_was_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir.parent)
    data_dir.rename(data_dir.parent / DEFAULT_DATA_DIR)
    assert find_credentials(Wish(url=LOCAL)).client_secret == "of-the-file"
    with pytest.raises(BadUsage, match="no admin credentials found"):
        find_credentials(Wish(url=REMOTE))
    named = find_credentials(Wish(url=REMOTE, data_dir=DEFAULT_DATA_DIR))
    assert named.client_secret == "of-the-file"


def test_an_id_without_a_secret_is_refused(data_dir: Path) -> None:
    with pytest.raises(BadUsage, match="no secret for the client id 'somebody'"):
        find_credentials(Wish(url=LOCAL, client_id="somebody", data_dir=data_dir))


@pytest.mark.parametrize("content", ["{", "[]", '{"clientId": "admin"}', '{"clientId": 1}'])
def test_a_damaged_file_says_what_it_should_be(data_dir: Path, content: str) -> None:
    (data_dir / FILE_NAME).write_text(content)
    with pytest.raises(BadUsage, match="clientSecret"):
        find_credentials(Wish(url=LOCAL, data_dir=data_dir))


def test_the_secret_is_never_shown_by_repr() -> None:
    credentials = Credentials(client_id="a", client_secret="hidden-one", source="here")
    wish = Wish(url=LOCAL, client_secret="hidden-one")
    assert "hidden-one" not in f"{credentials!r}{wish!r}"


def test_the_defaults_are_those_of_the_server() -> None:
    fields = Settings.model_fields
    assert fields["data_dir"].default == DEFAULT_DATA_DIR
    assert fields["admin_client_id"].default == DEFAULT_CLIENT_ID
    assert credentials_path(DEFAULT_DATA_DIR).name == FILE_NAME


@pytest.mark.parametrize(
    "url", ["localhost:3000", "ftp://x", "http://", "", "http://x:port", "a b"]
)
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(BadUsage, match="no address of a server"):
        check_url(url)


def test_an_address_loses_its_last_slash_and_keeps_its_path() -> None:
    assert check_url(" https://example.org/nexus/ ") == "https://example.org/nexus"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:3000", True),
        ("http://nexus.localhost", True),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_this_machine_counts_as_local(url: str, local: bool) -> None:
    assert is_local(url) is local


@pytest.mark.parametrize("name", ["", " ", ".", "..", "\udcff"])
def test_what_cannot_be_an_id_is_refused(name: str) -> None:
    with pytest.raises(BadUsage):
        segment(name)


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    assert segment("../groups?x=1") == "..%2Fgroups%3Fx%3D1"
