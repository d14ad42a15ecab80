"""A stranger's OAuth client, Authlib, gets tokens in every form and reads the metadata."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from live_nexus import ADMIN_SECRET, AGENT_SECRET, LiveNexus

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRETS = ("a plain secret", "p+ss w%20rd:&=?/", "geheim-äöü", AGENT_SECRET)


def as_json(
    client: Any, _method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Send the credentials as Nexus' own clients may, in JSON."""
    headers["Content-Type"] = "application/json"
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    text = json.dumps(credentials)
    headers["Content-Length"] = str(len(text.encode()))
    return uri, headers, text


def basic_and_body(
    client: Any, method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Send them twice, as some clients do."""
    from authlib.oauth2.auth import encode_client_secret_basic, encode_client_secret_post

    uri, headers, body = encode_client_secret_basic(client, method, uri, headers, body)
    return encode_client_secret_post(client, method, uri, headers, body)  # type: ignore[no-any-return]  # untyped


FORMS: dict[str, Any] = {
    "client_secret_basic": "client_secret_basic",
    "client_secret_post": "client_secret_post",
    "basic and the body": basic_and_body,
    "JSON": as_json,
}


def session(client_id: str, secret: str, form: str = "client_secret_basic", **more: Any) -> Any:
    method = FORMS[form]
    if callable(method):
        client = OAuth2Session(client_id, secret, token_endpoint_auth_method=form, **more)
        client.register_client_auth_method((form, method))
        return client
    return OAuth2Session(client_id, secret, token_endpoint_auth_method=method, **more)


async def off_the_loop(act: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(act, *args, **more)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
async def test_a_token_is_had_in_every_form_with_every_secret(
    nexus: LiveNexus, form: str, secret: str
) -> None:
    client_id = f"stranger-{[*FORMS].index(form)}-{SECRETS.index(secret)}"
    await nexus.admin.post(
        "/observer/agents", name="S", clientId=client_id, clientSecret=secret, groupIds=["team"]
    )
    with session(client_id, secret, form) as client:
        token = await off_the_loop(
            client.fetch_token, nexus.url + "/auth/token", grant_type="client_credentials"
        )
        assert (token["token_type"], token["scope"]) == ("Bearer", "agent")
        answer = await off_the_loop(client.get, nexus.url + "/tasks/available")
    assert answer.status_code == 200


async def test_a_wrong_secret_is_what_the_client_knows_as_an_error(nexus: LiveNexus) -> None:
    with session("admin", "wrong") as client, pytest.raises(OAuthError) as refused:
        await off_the_loop(
            client.fetch_token, nexus.url + "/auth/token", grant_type="client_credentials"
        )
    assert refused.value.error == "invalid_client"


async def test_the_client_revokes_its_token(nexus: LiveNexus) -> None:
    with session("admin", ADMIN_SECRET) as client:
        token = await off_the_loop(
            client.fetch_token, nexus.url + "/auth/token", grant_type="client_credentials"
        )
        answer = await off_the_loop(
            client.revoke_token,
            nexus.url + "/auth/revoke",
            token=token["access_token"],
            token_type_hint="access_token",
        )
        assert answer.status_code == 200
        assert (await off_the_loop(client.get, nexus.url + "/groups")).status_code == 401


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("viewer", "viewer"),
        ("admin", "admin"),
        ("admin viewer", "admin"),
        (None, "admin"),
    ],
)
async def test_the_scope_is_what_the_client_asked_for(
    nexus: LiveNexus, asked: str | None, got: str
) -> None:
    with session("admin", ADMIN_SECRET, scope=asked) as client:
        token = await off_the_loop(
            client.fetch_token, nexus.url + "/auth/token", grant_type="client_credentials"
        )
        assert token["scope"] == got
        seen = await off_the_loop(client.get, nexus.url + "/observer/stats")
        wish = {"name": "G", "slug": f"scoped-{str(asked).replace(' ', '-').lower()}"}
        made = await off_the_loop(client.post, nexus.url + "/groups", json=wish)
    assert seen.status_code == 200
    assert made.status_code == (201 if got == "admin" else 403)


@pytest.mark.parametrize("scope", ["agent", "owner", "admin owner", " ", "admin  viewer"])
async def test_a_scope_beyond_the_client_is_refused(nexus: LiveNexus, scope: str) -> None:
    wish = {"client_id": "admin", "client_secret": ADMIN_SECRET, "scope": scope}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.post("/auth/token", json=wish)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_an_agent_cannot_make_itself_an_admin(nexus: LiveNexus) -> None:
    await nexus.admin.agent("modest")
    wish = {"client_id": "modest", "client_secret": AGENT_SECRET, "scope": "admin"}
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        answer = await http.post("/auth/token", json=wish)
    assert answer.json()["error"] == "invalid_scope"


async def metadata(nexus: LiveNexus, **headers: str) -> AuthorizationServerMetadata:
    async with httpx2.AsyncClient(base_url=nexus.url) as http:
        path = "/.well-known/oauth-authorization-server"
        answer = await http.get(path, headers=headers)
    assert answer.headers["Content-Type"] == "application/json"
    return AuthorizationServerMetadata(answer.json())


async def test_behind_a_proxy_the_metadata_are_what_rfc_8414_wants(nexus: LiveNexus) -> None:
    """TLS ends at the proxy, which this machine is trusted to be."""
    found = await metadata(nexus, Host="nexus.example.org", **{"X-Forwarded-Proto": "https"})

    found.validate()
    assert found.issuer == "https://nexus.example.org"
    assert found.token_endpoint == "https://nexus.example.org/auth/token"
    assert found.revocation_endpoint == "https://nexus.example.org/auth/revoke"
    for methods in (
        found.token_endpoint_auth_methods_supported,
        found.revocation_endpoint_auth_methods_supported,
    ):
        assert {*methods} == {"client_secret_basic", "client_secret_post"}


async def test_what_the_metadata_name_is_there(nexus: LiveNexus) -> None:
    found = await metadata(nexus)

    assert found.issuer == nexus.url
    async with httpx2.AsyncClient() as http:
        for endpoint in (found.token_endpoint, found.revocation_endpoint):
            answer = await http.post(endpoint)
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_request"
