"""Buckets of any S3-compatible service: how one is reached, and what may be told of it.

Imported only where there is one: boto3 is large.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import boto3
from botocore.config import Config
from msgspec import Struct

PARALLEL_COUNT: Final = 8
_REASON_LENGTH: Final = 300


class Bucket(Struct, frozen=True, kw_only=True):
    """Where it is, and who we are there."""

    name: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    timeout_s: float = 10.0  # without a byte from the other side

    @property
    def folder(self) -> str:
        """What every key of ours begins with; empty, or with a slash at its end."""
        return self.prefix.rstrip("/") + "/" if self.prefix else ""

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"s3://{self.name}/{self.folder}"

    def client(self) -> Any:
        """Return a client of it; its calls may be made in several threads."""
        addressing = self.addressing
        if addressing == "auto" and self.endpoint_url:
            addressing = "path"  # a service of one's own rarely has a host name per bucket
        config = Config(
            connect_timeout=self.timeout_s,
            read_timeout=self.timeout_s,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=PARALLEL_COUNT,
            s3={"addressing_style": addressing},
            # Other services answer newer checksums with errors.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = boto3.session.Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )
        region = session.region_name or ("us-east-1" if self.endpoint_url else None)
        return session.client(
            "s3", endpoint_url=self.endpoint_url, region_name=region, config=config
        )

    def told(self, reason: str) -> str:
        """Return a reason as it may be told: in one line, not too long, without our key."""
        told = reason.replace(self.secret_key, "********") if self.secret_key else reason
        return " ".join(told.split())[:_REASON_LENGTH]
