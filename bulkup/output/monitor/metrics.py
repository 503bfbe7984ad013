"""Metrics for Prometheus. Needs the extra `monitor`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder

from bulkup import __version__, events
from bulkup.output.state import RunState

FINISH_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
OUTCOMES = ("uploaded", "present", "failed", "unfinished", "skipped")


class Metrics:
    """Metrics of the events; counters continue over all runs of a process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._photos = Counter(
            "bulkup_photos", "Files by outcome.", ["outcome"], registry=registry
        )
        for outcome in OUTCOMES:  # from zero, so that the first one is an increase
            self._photos.labels(outcome)
        self._found = Counter("bulkup_files_found", "Files found.", registry=registry)
        self._sent = Counter(
            "bulkup_sent_bytes", "Bytes sent, including those sent again.", registry=registry
        )
        self._uploaded = Counter(
            "bulkup_uploaded_bytes", "Bytes of uploaded photos.", registry=registry
        )
        self._retries = Counter(
            "bulkup_retries", "Retries of requests and photos.", registry=registry
        )
        self._outages = Counter("bulkup_outages", "Outages of the server.", registry=registry)
        self._outage_seconds = Counter(
            "bulkup_outage_seconds",
            "Seconds of outages, counted when the server is available again.",
            registry=registry,
        )
        self._finish = Histogram(
            "bulkup_finish_seconds",
            "Seconds from a photo's last chunk until the server has processed it.",
            buckets=FINISH_BUCKETS_S,
            registry=registry,
        )
        self._gauges = {
            name: Gauge(f"bulkup_{name}", words, registry=registry)
            for name, words in {
                "running": "1 during a run.",
                "outage": "1 during an outage of the server.",
                "in_flight": "Photos being sent.",
                "finishing": "Photos being finished by the server.",
                "finishing_limit": "Photos that may be finished at once.",
                "finishing_limit_max": "Highest value that the limit may reach.",
                "chunk_bytes": "Size of a chunk.",
                "pending": "Photos found that have no outcome yet.",
                "elapsed_seconds": "How long the run has lasted.",
            }.items()
        }
        self._info = Info("bulkup", "The run that is shown.", registry=registry)
        self._info.info({"version": __version__})

    def observe(self, event: events.Event, *, sent: int) -> None:
        """Count an event by which `sent` bytes were sent."""
        self._sent.inc(sent)
        match event:
            case events.RunStarted():
                self._info.info(
                    {"version": __version__, "task": event.task, "method": event.method}
                )
            case events.FileFound():
                self._found.inc()
            case events.PhotoFinished():
                self._finish.observe(event.seconds)
            case events.Retrying():
                self._retries.inc()
            case events.OutageBegan():
                self._outages.inc()
            case events.OutageEnded():
                self._outage_seconds.inc(event.seconds)
        if isinstance(event, events.PhotoUploaded):
            self._uploaded.inc(event.size)
        if isinstance(event, events.Outcome):
            self._photos.labels(event.outcome).inc()

    def page(self, accept: str, state: RunState, now: float) -> tuple[bytes, str]:
        """Return the metrics in a format that `accept` names, and their content type."""
        limits = state.limits
        values = {
            "running": state.run is not None and state.ended is None,
            "outage": state.outage is not None,
            "in_flight": len(state.in_flight),
            "finishing": state.finishing,
            "finishing_limit": limits.finishing if limits else 0,
            "finishing_limit_max": limits.most_finishing if limits else 0,
            "chunk_bytes": state.chunk_size,
            "pending": state.pending,
            "elapsed_seconds": state.elapsed_s(now),
        }
        for name, value in values.items():
            self._gauges[name].set(value)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
