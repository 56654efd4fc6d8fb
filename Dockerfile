# syntax=docker/dockerfile:1
# The service without PyTorch. Build: docker build -t reelscore .   Run: see compose.yaml
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/reelscore \
    && /opt/reelscore/bin/pip install --no-cache-dir '.[serve]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --no-create-home reelscore \
    && install --directory --owner=reelscore /data
COPY --from=build /opt/reelscore /opt/reelscore
ENV PATH=/opt/reelscore/bin:$PATH \
    XDG_CACHE_HOME=/data/cache \
    XDG_DATA_HOME=/data
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["reelscore"]
CMD ["serve", "--host", "0.0.0.0", "--music", "/music", "--keys", "/data/keys.toml"]
