"""Where Slack's requests are proven to be Slack's, and their letters taken out.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog

from nexus.domain.errors import Invalid, NotSigned, Unavailable
from nexus.domain.json_values import MAX_DEPTH, is_too_deep, may_hold_nul, refuse_nul
from nexus.integrations.slack import letters
from nexus.services.webhooks import Received
from nexus.store.unit_of_work import Clock

FRESH_MS = 5 * 60_000
"""How far Slack's time may be from ours; what is older may be a repetition by somebody else."""

_LONGEST_TIMESTAMP = 12
_FORM = "application/x-www-form-urlencoded"
_log = structlog.get_logger("nexus.integrations.slack")


class SlackWebhook:
    """Takes in events and presses of buttons; with ``unsigned``, also those that nobody signed."""

    def __init__(
        self, secret: str | None, tenant_id: str, clock: Clock, *, unsigned: bool = False
    ) -> None:
        self._secret = secret
        self._tenant_id = tenant_id
        self._clock = clock
        self._unsigned = unsigned and secret is None

    def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """Return the letter of a request, or the answer to Slack's question who is there.

        What is rightly signed and nothing that we know is passed over: to refuse it would have
        Slack send it again.

        Raises:
            NotSigned: the signature is missing, wrong, or older than five minutes.
            Unavailable: there is no signing secret.
        """
        if not self._unsigned:
            self._verify(headers, body)
        try:
            payload = _payload(headers.get("content-type", ""), body)
        except (ValueError, Invalid) as error:
            _log.info("slack_ignored", reason=str(error))
            return Received()
        if payload.get("type") == "url_verification":
            return Received(answer={"challenge": payload.get("challenge")})
        letter = letters.of(payload, self._tenant_id)
        return Received(letters=[] if letter is None else [letter])

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        if self._secret is None:
            raise Unavailable(
                "Slack's requests cannot be told from others': set SLACK_SIGNING_SECRET to the "
                "signing secret on the app's page, or SLACK_APP_TOKEN for Socket Mode",
                retry_after=60,
            )
        sent_at = headers.get("x-slack-request-timestamp", "")
        expected = signature(self._secret, sent_at, body)
        given = headers.get("x-slack-signature", "")
        if not given:
            raise NotSigned("the header X-Slack-Signature is missing")
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise NotSigned("the signature is not that of this app's signing secret")
        if abs(self._clock() - int(sent_at) * 1_000) > FRESH_MS:
            raise NotSigned("the signature is older than five minutes, or a clock is wrong")


def signature(secret: str, sent_at: str, body: bytes) -> str:
    """Return what Slack signs a raw body with that it sends at ``sent_at``, in epoch seconds.

    Raises:
        NotSigned: ``sent_at`` is no time.
    """
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= _LONGEST_TIMESTAMP):
        raise NotSigned("the header X-Slack-Request-Timestamp is missing, or no time")
    signed = b"v0:" + sent_at.encode() + b":" + body
    return f"v0={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _payload(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is, or that its form holds.

    Raises:
        ValueError: there is none.
        Invalid: it holds what cannot be stored.
    """
    if content_type.partition(";")[0].strip().lower() == _FORM:
        body = parse_qs(body, max_num_fields=100).get(b"payload", [b""])[0]
    value = orjson.loads(body)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    if is_too_deep(value, body):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if may_hold_nul(body):
        refuse_nul(value)
    return value
