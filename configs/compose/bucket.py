"""Make the bucket of large files, once the service answers; one that is there is no fault."""

import contextlib
import os
from pathlib import Path

import boto3
from botocore.config import Config

with Path(os.environ["ZSCRAPE_BLOB_SECRET_KEY_FILE"]).open(encoding="utf-8") as file:
    secret_key = file.read().strip()
service = boto3.client(
    "s3",
    endpoint_url=os.environ["ZSCRAPE_BLOB_ENDPOINT_URL"],
    region_name=os.environ["ZSCRAPE_BLOB_REGION"],
    aws_access_key_id=os.environ["ZSCRAPE_BLOB_ACCESS_KEY"],
    aws_secret_access_key=secret_key,
    # It may still be starting: tried again for about a minute.
    config=Config(
        retries={"max_attempts": 12, "mode": "standard"}, s3={"addressing_style": "path"}
    ),
)
there = service.exceptions.BucketAlreadyOwnedByYou, service.exceptions.BucketAlreadyExists
with contextlib.suppress(*there):
    service.create_bucket(Bucket=os.environ["ZSCRAPE_BLOB_BUCKET"])
