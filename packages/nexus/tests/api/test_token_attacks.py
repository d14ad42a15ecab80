"""Whatever a stranger makes of a token, it opens nothing: over HTTP and at the socket alike."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from doors import at_the_socket, over_http
from live_nexus import AGENT_SECRET, LiveNexus
from nexus.services.platform import Platform
from socket_agent import token_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

Forge = Callable[[Platform, str], str]
"""Makes a token of a good one, with all that an attacker could have."""

PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqbHeRLCyOdykC5SDLqI49ArYGYG1mq
aH9/GnWjGavZM02fos4lc2w6tCchcUBNtJvGqKwhC5JEnx3RYoSX2ucCAwEAAQ==
-----END PUBLIC KEY-----"""


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def headers_of(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(platform: Platform, token: str, **claims: Any) -> str:
    """Sign changed claims with the right key, as only Nexus can."""
    headers = headers_of(token)
    key = platform.tokens.keys.by_id[headers["kid"]]
    changed = {**claims_of(token), **claims}
    kept = {name: value for name, value in changed.items() if value is not ...}
    return jwt.encode(kept, key, algorithm="HS256", headers=headers)


def none(_: Platform, token: str) -> str:
    return f"{part({**headers_of(token), 'alg': 'none'})}.{part(claims_of(token))}."


def none_with_the_old_signature(_: Platform, token: str) -> str:
    header = part({**headers_of(token), "alg": "None"})
    return f"{header}.{part(claims_of(token))}.{token.rpartition('.')[2]}"


def stronger(platform: Platform, token: str) -> str:
    key = platform.tokens.keys.by_id[headers_of(token)["kid"]]
    headers = headers_of(token) | {"alg": "HS512"}
    return jwt.encode(claims_of(token), key * 2, algorithm="HS512", headers=headers)


def same_key_other_algorithm(platform: Platform, token: str) -> str:
    key = platform.tokens.keys.by_id[headers_of(token)["kid"]]
    headers = headers_of(token) | {"alg": "HS384"}
    padded = key + bytes(16)  # HMAC pads its key with zeros: to HS384 it is the same one
    return jwt.encode(claims_of(token), padded, algorithm="HS384", headers=headers)


def asymmetric(_: Platform, token: str) -> str:
    header = part({**headers_of(token), "alg": "RS256"})
    return f"{header}.{part(claims_of(token))}.{token.rpartition('.')[2]}"


def hashed(headers: dict[str, Any], token: str, key: bytes) -> str:
    """Sign with any key at all, also with one that no library would take."""
    inner = f"{part(headers)}.{part(claims_of(token))}"
    signature = hmac.digest(key, inner.encode(), "sha256")
    return f"{inner}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def signed_with_a_public_key(_: Platform, token: str) -> str:
    """RS256 taken for HS256: what is public would be the secret."""
    return hashed(headers_of(token), token, PUBLIC_KEY)


def foreign_kid(_: Platform, token: str) -> str:
    headers = headers_of(token) | {"kid": "0" * 16}
    return jwt.encode(claims_of(token), b"x" * 32, algorithm="HS256", headers=headers)


def path_as_kid(_: Platform, token: str) -> str:
    return hashed(headers_of(token) | {"kid": "../../dev/null"}, token, b"")


def no_kid(platform: Platform, token: str) -> str:
    key = platform.tokens.keys.by_id[headers_of(token)["kid"]]
    return jwt.encode(claims_of(token), key, algorithm="HS256", headers={"typ": "at+jwt"})


def key_in_the_header(_: Platform, token: str) -> str:
    own = {"kty": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")}
    headers = headers_of(token) | {"jwk": own}
    return jwt.encode(claims_of(token), b"x" * 32, algorithm="HS256", headers=headers)


def other_type(platform: Platform, token: str) -> str:
    key = platform.tokens.keys.by_id[headers_of(token)["kid"]]
    headers = headers_of(token) | {"typ": "JWT"}
    return jwt.encode(claims_of(token), key, algorithm="HS256", headers=headers)


def promoted(_: Platform, token: str) -> str:
    head, _claims, signature = token.split(".")
    return f"{head}.{part(claims_of(token) | {'scope': 'admin'})}.{signature}"


FORGED: list[Forge] = [
    none,
    none_with_the_old_signature,
    stronger,
    same_key_other_algorithm,
    asymmetric,
    signed_with_a_public_key,
    foreign_kid,
    path_as_kid,
    no_kid,
    key_in_the_header,
    other_type,
    promoted,
    lambda platform, token: signed(platform, token, aud="somebody-else"),
    lambda platform, token: signed(platform, token, iss="another-nexus"),
    lambda platform, token: signed(platform, token, jti=...),
    lambda platform, token: signed(platform, token, exp=...),
    lambda platform, token: signed(platform, token, iat=...),
    lambda platform, token: signed(platform, token, scope="owner"),
    lambda platform, token: signed(platform, token, epoch=...),
    lambda platform, token: signed(platform, token, iat=claims_of(token)["iat"] + 3600),
    lambda platform, token: signed(platform, token, nbf=claims_of(token)["iat"] + 3600),
    lambda platform, token: token[:-2],
    lambda platform, token: token + "." + token,
]
NAMES = [forge.__name__ for forge in FORGED[:12]] + [
    "other audience",
    "other issuer",
    "no name",
    "no end",
    "no beginning",
    "unknown scope",
    "no epoch",
    "made in the future",
    "good in the future",
    "cut off",
    "twice",
]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("forge", FORGED, ids=NAMES)
async def test_a_forged_token_opens_nothing(nexus: LiveNexus, forge: Forge) -> None:
    client_id = f"forger-{FORGED.index(forge)}"
    await nexus.admin.agent(client_id)
    good = await token_for(nexus.url, client_id, AGENT_SECRET)
    assert await over_http(nexus, good) == "let in"
    assert await at_the_socket(nexus, good) == "let in"

    forged = forge(nexus.serving.nexus.platform, good)

    assert await over_http(nexus, forged) == "unauthorized"
    assert await at_the_socket(nexus, forged) == "unauthorized"


async def test_an_expired_token_is_told_so_at_both_doors(nexus: LiveNexus) -> None:
    await nexus.admin.agent("late")
    good = await token_for(nexus.url, "late", AGENT_SECRET)

    expired = signed(nexus.serving.nexus.platform, good, exp=claims_of(good)["iat"] - 1)

    assert await over_http(nexus, expired) == "token_expired"
    assert await at_the_socket(nexus, expired) == "token_expired"


async def test_a_token_of_a_node_whose_clock_is_a_little_ahead_is_good(nexus: LiveNexus) -> None:
    await nexus.admin.agent("ahead")
    good = await token_for(nexus.url, "ahead", AGENT_SECRET)

    ahead = signed(nexus.serving.nexus.platform, good, iat=claims_of(good)["iat"] + 30)

    assert await over_http(nexus, ahead) == "let in"


async def test_a_token_says_what_rfc_9068_asks_for(nexus: LiveNexus) -> None:
    await nexus.admin.agent("profile")
    token = await token_for(nexus.url, "profile", AGENT_SECRET)

    assert headers_of(token)["typ"] == "at+jwt"
    claims = claims_of(token)
    assert claims.keys() >= {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}
    assert claims["exp"] - claims["iat"] == 900
    assert (claims["sub"], claims["scope"]) == ("profile", "agent")
