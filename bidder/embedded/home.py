"""Where a service keeps its data: in the state directory, or where `nobody` can reach it.

As a user: `<state>/<service>/`. As root the service runs as `nobody`, who cannot enter a state
directory that only its owner may: `/var/lib/outbid/<hash of the state's path>/`, owned by
`nobody`, with `<state>/<service>` a link to it. A link is followed wherever it points, so a
state directory may be moved.
"""

import hashlib
import os
import shutil
from pathlib import Path

from bidder.embedded.child import Account, EmbeddedError

ROOT_BASE = Path("/var/lib/outbid")


def service_home(state: Path, service: str, account: Account | None) -> Path:
    """The directory of `service`, made if need be; its real path."""
    place = state / service
    try:
        state.mkdir(parents=True, exist_ok=True)
        if account is None:
            return _own_home(place)
        return _linked_home(state, place, account)
    except PermissionError as error:
        raise EmbeddedError(f"{service}: {error.filename}: {error.strerror}; is {state} another user's?") from None
    except OSError as error:
        raise EmbeddedError(f"{service}: {error.filename}: {error.strerror}") from None


def _own_home(place: Path) -> Path:
    if place.is_symlink() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        raise EmbeddedError(
            f"{place} leads to {place.readlink()}, which root made; run as root, or use another --state"
        )
    place.mkdir(mode=0o700, exist_ok=True)
    return place.resolve()


def _linked_home(state: Path, place: Path, account: Account) -> Path:
    if place.is_dir() and not place.is_symlink():
        raise EmbeddedError(f"{place} was made by an ordinary user; run as that user, or use another --state")
    if place.is_symlink() and place.exists():
        return place.resolve()
    shared_base().mkdir(parents=True, exist_ok=True)
    home = ROOT_BASE / f"{hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:16]}-{place.name}"
    if home.exists() and not place.is_symlink():
        # Of a state directory that has been removed since: its passwords are lost. Kept until the next such case.
        previous = home.with_name(home.name + ".previous")
        shutil.rmtree(previous, ignore_errors=True)
        home.rename(previous)
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, account.uid, account.gid)
    place.unlink(missing_ok=True)
    place.symlink_to(home)
    return home


def shared_base() -> Path:
    """Root's place for what `nobody` must reach, whatever our umask is."""
    ROOT_BASE.mkdir(parents=True, exist_ok=True)
    ROOT_BASE.chmod(0o755)
    return ROOT_BASE


def remove_home(state: Path, service: str) -> None:
    """Remove all data of a service that does not run, wherever the state directory's link leads."""
    place = state / service
    if place.is_symlink():
        shutil.rmtree(place.resolve(), ignore_errors=True)
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
