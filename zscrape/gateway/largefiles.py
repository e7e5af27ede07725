"""Where large results, items and artifacts go, as the settings say."""

from __future__ import annotations

from zscrape.config import Settings
from zscrape.errors import ZscrapeError
from zscrape.log import get_logger
from zscrape.store.blobs import FOLDER_NAME, BlobStore, FileBlobs
from zscrape.store.far import Far, FarPolicy


def far_of(settings: Settings) -> Far:
    """Return the place of large files; it tells the log when it cannot be used."""
    log = get_logger()
    blobs = _blobs_of(settings)

    def tell(error: ZscrapeError | None) -> None:
        if error is None:
            log.info("blobs_back", place=blobs.place)
        else:
            reason = str(error.fields.get("reason", error))
            log.error("blobs_fault", place=blobs.place, code=error.code, reason=reason)

    # What is inlined in answers stays in the database.
    data_bytes = max(settings.gateway.inline_limit_bytes, FarPolicy().artifact_bytes)
    return Far(blobs, FarPolicy(data_bytes=data_bytes), on_fault=tell)


def _blobs_of(settings: Settings) -> BlobStore:
    gateway = settings.gateway
    if gateway.blobs == "file":
        return FileBlobs(settings.home / FOLDER_NAME)
    # Its client takes long to load: only who has a bucket waits for it.
    from zscrape.buckets import Bucket
    from zscrape.store.s3blobs import S3Blobs

    return S3Blobs(
        Bucket(
            name=gateway.blob_bucket,
            prefix=gateway.blob_prefix,
            endpoint_url=gateway.blob_endpoint_url,
            region=gateway.blob_region,
            access_key=gateway.blob_access_key,
            secret_key=gateway.blob_secret_key,
        )
    )
