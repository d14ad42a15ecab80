"""Where the command `nexus slack doctor` lives: it asks Slack, and the Nexus that runs."""

from typing import TYPE_CHECKING, Any

from nexus.cli.credentials import Wish, find_credentials
from nexus.cli.doctor import report
from nexus.cli.errors import CliError
from nexus.cli.local import ConfigOption, load
from nexus.cli.output import Output
from nexus.cli.session import (
    DEFAULT_URL,
    ClientIdOption,
    ClientSecretOption,
    DataDirOption,
    JsonOption,
    UrlOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2
    from pydantic import SecretStr

    from nexus.cli.client import Client
    from nexus.domain.findings import Finding
    from nexus.integrations.slack.doctor import Standing


_NEWEST = 200


def doctor(
    json: JsonOption = False,
    url: UrlOption = DEFAULT_URL,
    client_id: ClientIdOption = None,
    client_secret: ClientSecretOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Check tokens, scopes, channels, and a message's way to Slack and back to Nexus.

    It takes the settings of the Nexus that runs. The exit code is 1 if a check fails.
    """
    from nexus.cli.client import open_http

    wish = Wish(url=url, client_id=client_id, client_secret=client_secret, data_dir=data_dir)
    with open_http(wish.url, timeout_s=5.0) as http:
        report(_examine(wish, config, http), Output(json=json))


def _examine(wish: Wish, config: "Path | None", http: "httpx2.Client") -> "Iterator[Finding]":
    from nexus.integrations.slack.doctor import Access, examine

    settings = load(config=config, data_dir=wish.data_dir)
    access = Access(
        api_url=settings.slack_api_url,
        bot_token=_plain(settings.slack_bot_token),
        app_token=_plain(settings.slack_app_token),
        signing_secret=_plain(settings.slack_signing_secret),
    )
    yield from examine(access, _OverTheApi(http, wish))


def _plain(secret: "SecretStr | None") -> str | None:
    return None if secret is None else secret.get_secret_value()


class _OverTheApi:
    """The Nexus that runs, as its API tells of it."""

    def __init__(self, http: "httpx2.Client", wish: Wish) -> None:
        self._http = http
        self._wish = wish
        self._client: Client | None = None

    def standing(self) -> "Standing":
        """Return how it is connected."""
        from nexus.integrations.slack.doctor import Standing

        status = self._get("/observer/slack")
        channels = {one["ownerId"]: one for one in status["channels"]}
        return Standing(
            connected=status["connected"],
            bot_user_id=status.get("botUserId"),
            trouble=status.get("trouble"),
            channels={
                f"{kind} {owner['slug']}": channels.get(owner["id"], {}).get("channelId")
                for kind in ("project", "group")
                for owner in self._get(f"/{kind}s", limit=_NEWEST)["items"]
            },
        )

    def newest_event(self, channel_id: str) -> int:
        """Return the number of the newest event that it has taken in from a channel."""
        from nexus.integrations.slack.boxes import IN

        newest = self._get("/observer/deliveries", box=IN, limit=_NEWEST)["items"]
        return max((one["id"] for one in newest if one["lane"] == channel_id), default=0)

    def _get(self, path: str, **query: Any) -> Any:
        from nexus.cli.client import Client
        from nexus.integrations.slack.doctor import Unwell

        try:
            if self._client is None:
                self._client = Client(self._http, find_credentials(self._wish))
            return self._client.get(path, **query)
        except CliError as error:
            raise Unwell(error.message) from error
