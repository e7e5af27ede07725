# The images of zscrape, by target:
#
#   docker build --target gateway        -t zscrape-gateway .
#   docker build --target worker         -t zscrape-worker .
#   docker build --target worker-browser -t zscrape-worker-browser .   # with Chromium
#   docker build                         -t zscrape .                  # `up`: both in one
#
# They run as user 10001 with a read-only root: what they write is in the volume
# /var/lib/zscrape and in /tmp. SIGTERM drains. Settings come by the environment
# (configs/gateway.toml and configs/worker.toml have their names), secrets as files
# (ZSCRAPE_API_KEY_FILE and the like).
ARG PYTHON=3.11
ARG DEBIAN=bookworm

# ---- the virtual environment, made once ------------------------------------------------
FROM docker.io/library/python:${PYTHON}-slim-${DEBIAN} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Both are pinned by hash, and no package's own code runs: wheels only.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock \
    && python -m venv --without-pip /opt/zscrape \
    && /opt/build/bin/pip --python /opt/zscrape/bin/python install \
        --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY zscrape zscrape
COPY scripts_sample scripts_sample
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/zscrape/bin/python install --no-deps --no-index /wheels/*.whl

# ---- what all of them have -------------------------------------------------------------
FROM docker.io/library/python:${PYTHON}-slim-${DEBIAN} AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="zscrape" \
      org.opencontainers.image.description="A broker-less cluster that runs versioned scraping scripts on demand" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 zscrape \
    && useradd --no-log-init --uid 10001 --gid 10001 --home-dir /var/lib/zscrape \
        --shell /usr/sbin/nologin --no-create-home zscrape \
    && install --directory --mode=0700 --owner=10001 --group=10001 /var/lib/zscrape
COPY --from=build /opt/zscrape /opt/zscrape
ENV PATH=/opt/zscrape/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    ZSCRAPE_LANG=en \
    ZSCRAPE_HOME=/var/lib/zscrape
WORKDIR /var/lib/zscrape
# By number: Kubernetes sees that it is not root.
USER 10001:10001
VOLUME ["/var/lib/zscrape"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["zscrape", "health"]
ENTRYPOINT ["zscrape"]

# ---- one target for each role ----------------------------------------------------------
FROM base AS gateway
# Every address of the container. It does not start without TLS (ZSCRAPE_TLS_CERTIFICATE,
# ZSCRAPE_TLS_KEY), or ZSCRAPE_INSECURE=true where a proxy in front of it has the certificate.
ENV ZSCRAPE_HTTP=0.0.0.0:8000 \
    ZSCRAPE_LINK=tcp://0.0.0.0:5555
EXPOSE 8000 5555
CMD ["gateway"]

FROM base AS worker
CMD ["worker"]

FROM worker AS worker-browser
USER root
# Debian's Chromium of today: its security fixes must not wait for a pinned version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001

FROM base AS up
ENV ZSCRAPE_HTTP=0.0.0.0:8000
EXPOSE 8000
CMD ["up"]
