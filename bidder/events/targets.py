"""Targets: where archives of the spool lie, a directory or a bucket of S3.

target_of(settings.stream) -> DirectoryTarget, S3Target or None; names are `<stream>/<file>`, files fit into memory.
A put is whole or not at all, and durable when it returns. Blocking: in threads only.
"""

import hashlib
import os
from base64 import b64encode
from pathlib import Path
from typing import Any, Protocol

from bidder.events.stream import StreamError
from bidder.ops.durable import sync_directory
from bidder.settings import Stream

PUT_S = 60.0  # that S3 may take for one file


class TargetError(StreamError):
    """An archive cannot be written or read; the message says where and why."""


class Target(Protocol):
    """Files by name."""

    where: str  # for people

    def names(self, stream: str) -> set[str]:
        """Of all files of this stream."""

    def put(self, name: str, data: bytes) -> None:
        """TargetError: perhaps nothing is there."""

    def get(self, name: str) -> bytes:
        """TargetError where there is no such file."""


class DirectoryTarget:
    """A directory, perhaps on another disk."""

    def __init__(self, directory: Path) -> None:
        self.where = str(directory)
        self._directory = directory

    def names(self, stream: str) -> set[str]:
        """Of all files of this stream."""
        return {f"{stream}/{path.name}" for path in (self._directory / stream).glob("*") if path.suffix != ".new"}

    def put(self, name: str, data: bytes) -> None:
        """Written beside, synced, renamed."""
        path = self._directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = path.with_name(f"{path.name}.new")
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
            sync_directory(path.parent)
            sync_directory(path.parent.parent)
        except OSError as error:
            raise TargetError(f"archive {path}: {error.strerror}") from None

    def get(self, name: str) -> bytes:
        """The whole file."""
        path = self._directory / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise TargetError(f"archive {path}: {error.strerror}") from None


class S3Target:
    """A bucket, below a prefix."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:
        from bidder.events.aws import AWS_ERRORS, line

        self.where = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client
        self._errors, self._line = AWS_ERRORS, line

    def names(self, stream: str) -> set[str]:
        """Of all files of this stream."""
        found = set()
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{stream}/"
            )
            for page in pages:
                found |= {one["Key"].removeprefix(self._prefix) for one in page.get("Contents", [])}
        except self._errors as error:
            raise TargetError(f"archive {self.where}: {self._line(error)}") from None
        return found

    def put(self, name: str, data: bytes) -> None:
        """With its checksum, which S3 holds against what arrived."""
        checksum = b64encode(hashlib.sha256(data).digest()).decode()
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data, ChecksumSHA256=checksum)
        except self._errors as error:
            raise TargetError(f"archive {self.where}/{name}: {self._line(error)}") from None

    def get(self, name: str) -> bytes:
        """The whole object."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(answer["Body"].read())
        except self._errors as error:
            raise TargetError(f"archive {self.where}/{name}: {self._line(error)}") from None


def target_of(where: Stream) -> Target | None:
    """None where nothing is archived."""
    if not where.archive:
        return None
    if not where.archive.startswith("s3://"):
        return DirectoryTarget(Path(where.archive))
    from bidder.events.aws import client

    bucket, _, prefix = where.archive.removeprefix("s3://").partition("/")
    return S3Target(bucket, prefix, client("s3", where, read_s=PUT_S))
