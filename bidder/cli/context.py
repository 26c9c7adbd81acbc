"""What a verb knows of the host in a state directory: its settings, and how to reach Postgres.

`outbid up` (or a role started by hand) leaves the effective settings in
`<state>/settings.json`; verbs read them there, so that `--state` is all they need.
"""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidder.settings import Settings, SettingsError, parse
from bidder.settings import load as load_settings

if TYPE_CHECKING:
    import psycopg2.extensions

LOG_FILE = "OUTBID_LOG_FILE"  # where the log of one process goes, whatever the settings of the host say


class CliError(Exception):
    """A verb cannot do what was asked; the message is the one line that the user reads."""


@dataclass(frozen=True, slots=True)
class Context:
    """One host, as its verbs see it."""

    state: Path
    settings: Settings
    analyst_dsn: str  # may read schema `report` only

    @property
    def dsn(self) -> str:
        """Of the owner of all schemas."""
        if not self.settings.postgres.dsn:
            raise CliError(
                f"no Postgres known in {self.state}: start `outbid up --state {self.state}`, or set postgres.dsn"
            )
        return self.settings.postgres.dsn


@contextlib.contextmanager
def postgres(context: Context, verb: str) -> "Iterator[psycopg2.extensions.connection]":
    """A connection of the owner for one verb; CliError, one line, for what Postgres or the store objects to."""
    import psycopg2

    from bidder.controller.store import StoreError
    from bidder.ops.log import first_line

    try:
        db = psycopg2.connect(context.dsn, connect_timeout=5, application_name=f"outbid {verb}")
    except psycopg2.OperationalError as error:
        raise CliError(f"cannot reach Postgres: {first_line(error)}") from None
    try:
        yield db
    except StoreError as error:
        raise CliError(str(error)) from None
    except psycopg2.Error as error:
        raise CliError(f"Postgres: {first_line(error)}") from None
    finally:
        db.close()


def save(state: Path, settings: Settings, analyst_dsn: str) -> None:
    """Leave the effective settings for verbs and roles (mode 0600: they hold the DSN)."""
    document = {"settings": dataclasses.asdict(settings), "analyst_dsn": analyst_dsn}
    path = state / "settings.json"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    temporary.rename(path)


def _saved(state: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads((state / "settings.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, OSError) as error:
        raise CliError(f"{state / 'settings.json'}: {error}") from None
    if not isinstance(document, dict) or "settings" not in document:
        raise CliError(f"{state / 'settings.json'} is not what outbid wrote there; remove it and start again")
    return document


def no_host(state: Path) -> CliError:
    """Nobody has started outbid there."""
    return CliError(f"no outbid host in {state}: start one with `outbid up --state {state}`")


def ask(state: Path, process: str, request: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
    """The answer of a process of this host at its control socket; CliError where it does not answer, or says no.

    The request also says who asks, with which words: for the audit.
    """
    from bidder.ops import control
    from bidder.ops.audit import actor

    if not (state / "run").is_dir():
        raise no_host(state)
    try:
        asked = {**request, "actor": actor(), "argv": sys.argv[1:]}
        return control.ask(state / "run" / f"{process}.sock", asked, timeout_s)
    except control.ControlError as error:
        raise CliError(str(error)) from None


def load(state: Path) -> Context:
    """The host in `state`; CliError where there is none."""
    document = _saved(state)
    if document is None:
        raise no_host(state)
    try:
        settings = parse(document["settings"], str(state / "settings.json"))
    except SettingsError as error:
        raise CliError(str(error)) from None
    return Context(state=state, settings=settings, analyst_dsn=document.get("analyst_dsn", ""))


def role_settings(state: Path, settings_file: Path | None) -> Settings:
    """Settings of a role: the file that was named, else the host's, else the defaults; and the environment."""
    if settings_file is None and _saved(state) is not None:
        return load(state).settings
    return load_settings(settings_file)


def begin_role(role: str, state: Path, settings_file: Path | None) -> None:
    """This process is a role: its log goes where the settings say, and what it dies of is in there."""
    from bidder.ops import log as logs
    from bidder.ops.logfile import LogFile

    logs.keep_last_words(role)
    said = role_settings(state, settings_file).log
    file = os.environ.get(LOG_FILE, said.file)
    if file:
        try:
            logs.write_to(LogFile(state / file, said.rotate_mb << 20, said.keep).write)
        except OSError as error:
            raise CliError(f"{state / file} (log.file): {error.strerror}") from None


def role_dsn(settings: Settings) -> str:
    """Of the Postgres that a role works on; CliError where the settings name none."""
    if not settings.postgres.dsn:
        raise CliError("postgres.dsn is not set: name a settings file that has it, or use `outbid up`")
    return settings.postgres.dsn


def make_state(state: Path) -> Path:
    """The state directory with its rooms, absolute; made where missing, for its owner only."""
    state = state.absolute()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        for room in ("run", "keys", "book", "shm", "outbox", "spool", "override", "log"):
            (state / room).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CliError(f"cannot use {state} as a state directory: {error.strerror}") from None
    return state


def host_id(state: Path) -> str:
    """The random name of this host, 12 hex digits; made on first use."""
    path = state / "host"
    if not path.exists():
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(os.urandom(6).hex() + "\n", encoding="ascii")
        try:
            os.link(temporary, path)  # the first of several processes wins
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text(encoding="ascii").strip()
