"""Prometheus metrics, with the HTTP names and buckets of OpenTelemetry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_METHODS = frozenset(("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"))


class Metrics:
    """The metrics of one service."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP requests.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self.active = Gauge(
            "http_server_active_requests", "Requests being answered.", registry=self._registry
        )
        self.jobs = Gauge(
            "reelscore_jobs", "Jobs by kind and state.", ("kind", "state"), registry=self._registry
        )
        self.videos = Gauge("reelscore_videos", "Videos by state.", ("state",), registry=self._registry)
        self.tracks = Gauge("reelscore_library_tracks", "Tracks in the library.", registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. Unknown methods and routes share a label, so that clients cannot create labels."""
        self._duration.labels(method if method in _METHODS else "_OTHER", route, status).observe(seconds)

    def text(self) -> bytes:
        """Return the metrics in the text format."""
        return generate_latest(self._registry)
