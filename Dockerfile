# One image for both roles: `zscrape gateway` and `zscrape worker`. The default is both in one container.
ARG BASE=python:3.11-slim
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY zscrape zscrape
COPY scripts_sample scripts_sample
RUN python -m venv /opt/zscrape \
    && /opt/zscrape/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && /opt/zscrape/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
LABEL org.opencontainers.image.title="zscrape" \
      org.opencontainers.image.description="A broker-less cluster that runs versioned scraping scripts on demand" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --home-dir /var/lib/zscrape --uid 10001 zscrape
COPY --from=build /opt/zscrape /opt/zscrape
ENV PATH=/opt/zscrape/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ZSCRAPE_HOME=/var/lib/zscrape
USER zscrape
VOLUME /var/lib/zscrape
EXPOSE 8000 5555
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["zscrape", "doctor", "--json"]
ENTRYPOINT ["zscrape"]
CMD ["up"]
