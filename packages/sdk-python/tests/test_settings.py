"""Where it is tested that a wrong setting is refused with a word on what to change."""

from typing import Any

import pytest

from oblivion import ConfigurationError, Limits, OblivionClient, Timeouts

GOOD: dict[str, Any] = {
    "nexus_url": "http://localhost:3000",
    "client_id": "my-agent",
    "client_secret": "s3cret-value",
}

ENV = {
    "OBLIVION_NEXUS_URL": "http://localhost:3000/",
    "OBLIVION_CLIENT_ID": "my-agent",
    "OBLIVION_CLIENT_SECRET": "s3cret-value",
}


@pytest.mark.parametrize(
    ("changes", "says", "also"),
    [
        ({"nexus_url": None}, "nexus_url must be a string, not None", TypeError),
        ({"nexus_url": ""}, "nexus_url must not be empty", ValueError),
        ({"nexus_url": "localhost:3000"}, "http://localhost:3000", ValueError),
        ({"nexus_url": "ws://localhost:3000"}, "must look like http://", ValueError),
        ({"nexus_url": "http://"}, "must look like http://", ValueError),
        ({"nexus_url": "http://host:port"}, "not a URL", ValueError),
        ({"nexus_url": "http://host:99999"}, "not a URL", ValueError),
        ({"nexus_url": "http://u:s3cret-value@host"}, "must not carry credentials", ValueError),
        ({"nexus_url": "http://host?x=1"}, "query", ValueError),
        ({"client_id": 7}, "client_id must be a string, not int", TypeError),
        ({"client_id": " "}, "client_id must not be empty", ValueError),
        ({"client_secret": b"x"}, "client_secret must be a string, not bytes", TypeError),
        ({"client_secret": ""}, "client_secret must not be empty", ValueError),
        ({"auto_reconnect": "yes"}, "auto_reconnect must be True or False", TypeError),
        ({"reconnect_delay": "5"}, "reconnect_delay must be a number", TypeError),
        ({"reconnect_delay": 0}, "greater than 0", ValueError),
        ({"reconnect_delay": -1}, "greater than 0", ValueError),
        ({"reconnect_delay": float("nan")}, "finite", ValueError),
        ({"reconnect_delay": float("inf")}, "finite", ValueError),
        ({"reconnect_delay": True}, "must be a number, not bool", TypeError),
        ({"capabilities": "python"}, r'such as \["python"\]', TypeError),
        ({"capabilities": [1]}, "each of capabilities must be a string", TypeError),
        ({"capabilities": [""]}, "each of capabilities must not be empty", ValueError),
        ({"version": 1.0}, "version must be a string", TypeError),
        ({"max_concurrency": 0}, "from 1 to 1000, not 0", ValueError),
        ({"max_concurrency": 1.5}, "max_concurrency must be an integer", TypeError),
        ({"drain_timeout": -1}, "at least 0", ValueError),
        ({"limits": {"pending_calls": 1}}, "limits must be an oblivion.Limits", TypeError),
        ({"timeouts": 5}, "timeouts must be an oblivion.Timeouts", TypeError),
    ],
)
def test_a_wrong_setting_says_what_to_change(
    changes: dict[str, Any], says: str, also: type[Exception]
) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        OblivionClient(**{**GOOD, **changes})
    assert isinstance(caught.value, also)
    assert "s3cret-value" not in str(caught.value)


def test_the_defaults_are_those_of_the_quickstart() -> None:
    client = OblivionClient(**GOOD)
    settings = client._settings
    assert (settings.auto_reconnect, settings.reconnect_delay) == (True, 5.0)
    assert settings.max_concurrency == 1


def test_the_first_five_settings_may_be_given_by_position() -> None:
    client = OblivionClient("http://localhost:3000", "my-agent", "s3cret-value", False, 1)
    assert (client._settings.auto_reconnect, client._settings.reconnect_delay) == (False, 1)


@pytest.mark.parametrize("url", ["https://example.com/nexus", "https://example.com/nexus/"])
def test_a_path_is_kept(url: str) -> None:
    assert OblivionClient(**{**GOOD, "nexus_url": url})._settings.nexus_url.endswith("/nexus")


def test_limits_and_timeouts_are_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.pending_calls must be from 1"):
        Limits(pending_calls=0)
    with pytest.raises(ConfigurationError, match=r"timeouts\.ack must be .* greater than 0"):
        Timeouts(ack=0)


def test_the_secret_is_in_no_repr() -> None:
    client = OblivionClient(**GOOD)
    shown = repr(client) + repr(client._settings) + repr(vars(client))
    assert "s3cret-value" not in shown
    assert "my-agent" in shown


def test_a_client_comes_from_the_environment() -> None:
    client = OblivionClient.from_env(
        {
            **ENV,
            "OBLIVION_AUTO_RECONNECT": "no",
            "OBLIVION_RECONNECT_DELAY": "0.5",
            "OBLIVION_CAPABILITIES": "python, review,",
            "OBLIVION_VERSION": "2.1",
            "OBLIVION_MAX_CONCURRENCY": "4",
            "OBLIVION_DRAIN_TIMEOUT": "60",
        }
    )
    settings = client._settings
    assert (settings.nexus_url, settings.client_id) == ("http://localhost:3000", "my-agent")
    assert (settings.auto_reconnect, settings.reconnect_delay) == (False, 0.5)
    assert (settings.capabilities, settings.version) == (("python", "review"), "2.1")
    assert (settings.max_concurrency, settings.drain_timeout) == (4, 60)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert "my-agent" in repr(OblivionClient.from_env())


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "OBLIVION_NEXUS_URL, OBLIVION_CLIENT_ID, OBLIVION_CLIENT_SECRET"),
        ({**ENV, "OBLIVION_CLIENT_SECRET": " "}, r"variable\(s\) OBLIVION_CLIENT_SECRET"),
        ({**ENV, "OBLIVION_AUTO_RECONNECT": "maybe"}, "OBLIVION_AUTO_RECONNECT must be true"),
        ({**ENV, "OBLIVION_RECONNECT_DELAY": "soon"}, "OBLIVION_RECONNECT_DELAY must be a number"),
        ({**ENV, "OBLIVION_MAX_CONCURRENCY": "two"}, "OBLIVION_MAX_CONCURRENCY must be an integer"),
        ({**ENV, "OBLIVION_NEXUS_URL": "nexus"}, "nexus_url must look like"),
    ],
)
def test_a_wrong_environment_says_which_variable(environ: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        OblivionClient.from_env(environ)
