"""Passwords of our own Postgres: random, in one file that only its owner can read."""

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from bidder.embedded.child import EmbeddedError


def passwords_path(state: Path) -> Path:
    """`{role: password}` as JSON, mode 0600."""
    return state / "keys" / "postgres.json"


def read_or_make(state: Path, roles: Sequence[str]) -> dict[str, str]:
    """The password of each role; made once, and on disk before any server knows them."""
    path = passwords_path(state)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({role: secrets.token_urlsafe(24) for role in roles}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    try:
        passwords = json.loads(path.read_text())
        return {role: str(passwords[role]) for role in roles}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(f"{path}: cannot be read as the passwords of Postgres: {error!r}; restore it") from None
