"""Where the secrets of tools are kept: sealed, by their names, and never shown again."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import sqlalchemy as sa
from pydantic import SecretStr, field_validator

from nexus.domain.errors import Conflict, NotFound
from nexus.domain.principal import Principal
from nexus.domain.secret_names import NAME
from nexus.services import activity, tenants, views
from nexus.services.command import Command, Word
from nexus.services.resources import KeptSecret
from nexus.services.sealing import KeySource, Sealed, SealingKeys, Unsealable
from nexus.store.tool_tables import tool_secrets
from nexus.store.tx import Row, Tx

MOST_SECRETS = 1000
SHORTEST = 8
LONGEST = 16_384

MEND = (
    "copy secrets.key (or NEXUS_SECRETS_KEY) from the node where `nexus secrets rotate` was run, "
    "or restore it as it was; failing that, remove the secrets that it sealed and set them anew"
)


SecretName = Annotated[
    str, Word(pattern=NAME, says="letters, digits, '_', '-' and '.', such as github-token")
]


class SetSecret(Command):
    """A secret; shorter ones could not be told from other text, and so not be hidden in it."""

    name: SecretName
    secret: SecretStr

    @field_validator("secret")
    @classmethod
    def _is_text(cls, secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        if not SHORTEST <= len(value) <= LONGEST:
            raise ValueError(f"must have {SHORTEST} to {LONGEST} characters")
        if "\x00" in value:
            raise ValueError("must not contain NUL characters")
        if value != value.strip():
            raise ValueError("must not begin or end with blanks or line ends")
        return secret


def put(tx: Tx, source: KeySource, caller: Principal, wish: SetSecret) -> KeptSecret:
    """Keep a secret under its name, in the place of one that is there.

    Raises:
        Conflict: there are too many, or the key is not the one of those that are there.
    """
    keys = _sealing(tx, source)
    name = wish.name
    mine = {"tenant_id": caller.tenant_id, "name": name}
    is_new = tx.one(_of(**mine)) is None
    if is_new and len(_rows(tx, caller.tenant_id)) >= MOST_SECRETS:
        raise Conflict(f"there are {MOST_SECRETS} secrets already; remove one first")
    sealed = keys.seal(wish.secret.get_secret_value(), caller.tenant_id, name)
    values = {
        "key_id": sealed.key_id,
        "sealed": sealed.text,
        "set_by": caller.client_id,
        "set_at": tx.now,
    }
    if is_new:
        tx.insert(tool_secrets, {**mine, **values})
    else:
        tx.update(tool_secrets, values, **mine)
    activity.record(tx, caller.tenant_id, "secret_set", name=name, by=caller.client_id)
    return _view({**mine, **values})


def listing(tx: Tx, tenant_id: str) -> list[KeptSecret]:
    """Return the names of a tenant's secrets, and who set them when."""
    return [_view(row) for row in _rows(tx, tenant_id)]


def remove(tx: Tx, caller: Principal, name: str) -> None:
    """Forget a secret; tools that name it cannot be used until it is set anew.

    Raises:
        NotFound: there is none.
    """
    mine = (tool_secrets.c.tenant_id == caller.tenant_id) & (tool_secrets.c.name == name)
    if not tx.change(tool_secrets.delete().where(mine)):
        raise NotFound(f"there is no secret {name}")
    activity.record(tx, caller.tenant_id, "secret_removed", name=name, by=caller.client_id)


def values(tx: Tx, source: KeySource, tenant: str, names: Iterable[str]) -> dict[str, str]:
    """Return secrets of the tenant of this slug, by their names.

    Raises:
        NotFound: one is not set.
        Conflict: one cannot be opened.
    """
    tenant_id = tenants.id_of(tx, tenant)
    found = {row["name"]: row for row in _rows(tx, tenant_id)}
    for name in names:
        if name not in found:
            said = f"the secret {name} is not set; an admin sets it with `nexus secrets set {name}`"
            raise NotFound(said)
    keys = source.read()
    return {name: _opened(keys, found[name]) for name in names}


def reseal(tx: Tx, keys: SealingKeys) -> dict[str, int]:
    """Seal all secrets of all tenants with the newest key; return how many each tenant has.

    Raises:
        Conflict: one cannot be opened; nothing is changed then.
    """
    lock(tx)
    resealed: dict[str, int] = {}
    for row in tx.rows(tool_secrets.select().order_by(tool_secrets.c.tenant_id)):
        about = row["tenant_id"], row["name"]
        fresh = keys.seal(_opened(keys, row), *about)
        where = {"tenant_id": row["tenant_id"], "name": row["name"]}
        tx.update(tool_secrets, {"key_id": fresh.key_id, "sealed": fresh.text}, **where)
        resealed[row["tenant_id"]] = resealed.get(row["tenant_id"], 0) + 1
    return resealed


def unopened(tx: Tx, keys: SealingKeys | None) -> tuple[int, list[str]]:
    """Return how many secrets are kept, and of those that these keys do not open, why."""
    rows = tx.rows(tool_secrets.select().order_by(tool_secrets.c.tenant_id, tool_secrets.c.name))
    problems: list[str] = []
    for row in rows:
        try:
            _opened(keys, row)
        except Conflict as error:
            problems.append(error.message.partition("; ")[0])
    return len(rows), problems


def keys_used(tx: Tx) -> set[str]:
    """Return the names of the keys that secrets are sealed with."""
    return {row["key_id"] for row in tx.rows(sa.select(tool_secrets.c.key_id).distinct())}


def lock(tx: Tx) -> None:
    """Have no other transaction seal anything until this one has ended."""
    tx.exclude("secrets")


def _sealing(tx: Tx, source: KeySource) -> SealingKeys:
    """Return the keys, led by the one to seal with: that of whatever is sealed already."""
    lock(tx)
    keys = source.read()
    used = keys_used(tx)
    if keys is None and not used:
        return source.make()
    if keys is None or used - keys.by_id.keys():
        raise Conflict(f"the key of the secrets that are kept already is not here; {MEND}")
    # Other nodes may not have a newer one yet: it seals when `nexus secrets rotate` has it do so.
    return keys.led_by(used)


def _opened(keys: SealingKeys | None, row: Row) -> str:
    if keys is None:
        raise Conflict(f"the secret {row['name']} cannot be opened: there is no key; {MEND}")
    try:
        sealed = Sealed(key_id=row["key_id"], text=row["sealed"])
        return keys.open(sealed, row["tenant_id"], row["name"])
    except Unsealable as error:
        said = f"the secret {row['name']} cannot be opened: {error}; {MEND}"
        raise Conflict(said) from None


def _rows(tx: Tx, tenant_id: str) -> Sequence[Row]:
    mine = tool_secrets.select().where(tool_secrets.c.tenant_id == tenant_id)
    return tx.rows(mine.order_by(tool_secrets.c.name))


def _of(*, tenant_id: str, name: str) -> sa.Select[tuple[object, ...]]:
    return tool_secrets.select().where(
        tool_secrets.c.tenant_id == tenant_id, tool_secrets.c.name == name
    )


def _view(row: Row) -> KeptSecret:
    moment = views.moment(row["set_at"])
    return KeptSecret(name=row["name"], set_by=row["set_by"], set_at=moment)
