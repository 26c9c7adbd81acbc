"""AWS: clients as all of outbid uses them, and their errors as one line.

client("kinesis", where) -> boto3's client; every call is tried once, within seconds: who calls knows what to try again.
Credentials come as boto3 finds them (environment, files, role of the machine); outbid has no setting for them.
Blocking: in threads only.
"""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bidder.settings import Stream

CONNECT_S = 2.0
READ_S = 5.0

AWS_ERRORS = (BotoCoreError, ClientError)


def client(service: str, where: Stream, read_s: float = READ_S) -> Any:
    """Threads may share one. `read_s`: that an answer may take."""
    return boto3.session.Session().client(
        service,
        region_name=where.region or None,
        endpoint_url=where.endpoint_url or None,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            max_pool_connections=4,
        ),
    )


def shards(kinesis: Any, stream: str) -> Iterator[dict[str, Any]]:
    """All of a Kinesis stream, as ListShards has them: closed ones too, until their retention is over."""
    question: dict[str, Any] = {"StreamName": stream}
    while question:
        answer = kinesis.list_shards(**question)
        yield from answer["Shards"]
        question = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}


def code(error: Exception) -> str:
    """`ProvisionedThroughputExceededException`, `EndpointConnectionError`, ..."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def line(error: Exception) -> str:
    """For a log: what and why, without what was sent."""
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return f"{said.get('Code', 'error')}: {said.get('Message', '')}".partition("\n")[0][:200]
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
