# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY docs/hatch_build.py docs/
COPY bulkup bulkup
RUN python -m venv /opt/bulkup \
    && /opt/bulkup/bin/pip install --no-cache-dir '.[monitor,notify,report,watch]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="bulkup" \
      org.opencontainers.image.description="Uploads a photo archive to a Piwigo gallery" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/bulkup /opt/bulkup
# Every user may write here, because --user can be anyone who can read the photos.
RUN mkdir --mode=1777 /state
ENV PATH=/opt/bulkup/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/state \
    BULKUP_LEDGER=/state/ledger.sqlite \
    BULKUP_MONITOR=127.0.0.1:8765
VOLUME ["/state"]
WORKDIR /state
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
ENTRYPOINT ["bulkup"]
CMD ["--help"]
