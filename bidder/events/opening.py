"""Opening: the stream that the settings name, to write.

open_stream(state, settings) -> Spool or KinesisStream; both are `bidder.events.stream.Stream`.
boto3 is imported only where it is used: it takes a third of a second and 30 MB.
"""

from pathlib import Path

from bidder.events.spool import Spool
from bidder.events.stream import Stream
from bidder.ops.log import Log
from bidder.settings import Settings


def open_stream(state: Path, settings: Settings, log: Log) -> Stream:
    """SpoolError where it cannot be had. What a crash left behind is said."""
    if settings.stream.backend == "kinesis":
        from bidder.events.aws import client
        from bidder.events.kinesis import KinesisStream

        return KinesisStream(settings.stream.kinesis_stream, client("kinesis", settings.stream))
    spool = Spool(state / "spool")
    if spool.torn_bytes:
        log.warning("spool had a torn tail, never acknowledged; cut", bytes=spool.torn_bytes)
    if spool.corrupt is not None:
        log.error("spool holds an acknowledged record that cannot be read", place=spool.corrupt)
    return spool
