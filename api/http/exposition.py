"""The text that Prometheus reads, by its own client library; that takes a quarter of a second to import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ...engine.compiled import background
from ..cluster.nodes import Nodes
from ..service.measured import Histogram
from ..service.service import Service
from .metrics import LABELS, Behind, Course

KIND = CONTENT_TYPE_PLAIN_0_0_4.encode()


def text(
    told: Iterable[Metric],
    courses: Mapping[tuple[str, str], Course],
    evidence: Mapping[tuple[str, str], float],
    backup_at: float | None,
    streams: Mapping[str, Behind],
) -> bytes:
    """Return what was told of the service, and of the process and of each experiment beside it.

    `evidence` is log10 of what bets on its draws have grown to; `backup_at` when the last backup was made (seconds
    since 1970 UTC); `streams` how far logs were published.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(
        _Collector([*told, *_of_experiments(courses), _evidence(evidence), _backup(backup_at), *_sent(streams)])
    )
    return generate_latest(registry)


class _Collector:
    """Hands over to the client library what was told."""

    def __init__(self, told: list[Metric]) -> None:
        self._told = told

    def collect(self) -> Iterable[Metric]:
        """Return it."""
        return self._told


def _of_experiments(courses: Mapping[tuple[str, str], Course]) -> Iterator[Metric]:
    series = (
        (CounterMetricFamily, "decisions", "Decisions made."),
        (CounterMetricFamily, "rewards", "Decisions with a reward."),
        (CounterMetricFamily, "changes", "Changes of the world."),
        (GaugeMetricFamily, "open_decisions", "Decisions whose reward has not come."),
        (GaugeMetricFamily, "state_bytes", "What an experiment has learned, in memory."),
        (GaugeMetricFamily, "interpreted", "1 while an experiment's policy is not compiled."),
        (GaugeMetricFamily, "recovering", "1 while an experiment folds its log and does not answer."),
        (GaugeMetricFamily, "base_seq", "The event from which a log is folded; 0 where it was never compacted."),
        (GaugeMetricFamily, "base_events", "Events since that one."),
        (GaugeMetricFamily, "snapshot_age", "Since the last snapshot; 0 where nothing came after it.", "_seconds"),
    )
    for family, field, says, *unit in series:
        metric = family(f"onearm_{field}{''.join(unit)}", says, labels=LABELS)
        for labels, course in courses.items():
            metric.add_metric(labels, getattr(course, field))
        yield metric


def _evidence(evidence: Mapping[tuple[str, str], float]) -> Metric:
    says = "log10 of what bets against the logged propensities have grown to."
    metric = GaugeMetricFamily("onearm_propensity_evidence_log10", says, labels=LABELS)
    for labels, value in evidence.items():
        metric.add_metric(labels, value)
    return metric


def _sent(streams: Mapping[str, Behind]) -> Iterator[Metric]:
    """Tell of streams: how far they are behind, and since when."""
    lag = GaugeMetricFamily("onearm_publish_lag_events", "Events that a stream does not have yet.", labels=("stream",))
    at = GaugeMetricFamily("onearm_publish_timestamp_seconds", "When events were sent last.", labels=("stream",))
    for stream, sent in streams.items():
        lag.add_metric((stream,), sent.lag)
        at.add_metric((stream,), sent.at)
    yield from (lag, at)


def _backup(at: float | None) -> Metric:
    metric = GaugeMetricFamily("onearm_backup_timestamp_seconds", "When `onearm backup` last made a copy.")
    if at is not None:
        metric.add_metric((), at)
    return metric


def of_service(service: Service) -> Iterator[Metric]:
    """Yield what the service measures of itself. Runs on the event loop, as what it reads changes there."""
    answered = CounterMetricFamily("onearm_requests", "Requests answered.", labels=("method", "route", "status"))
    for (route, status), count in service.requests.answered.items():
        answered.add_metric((*route, str(status)), count)
    yield answered
    seconds = HistogramMetricFamily(
        "onearm_request_seconds", "From a request to its answer.", labels=("method", "route")
    )
    for route, histogram in service.requests.seconds.items():
        seconds.add_metric(route, histogram.up_to(), histogram.sum)
    yield seconds
    writer = service.writer
    yield _histogram("onearm_commit_seconds", "A transaction of the log.", writer.seconds)
    yield _histogram("onearm_commit_events", "Events in a transaction.", writer.sizes)
    yield CounterMetricFamily("onearm_commits_failed", "Transactions that wrote nothing.", value=writer.failures)
    refused = CounterMetricFamily("onearm_connections_refused", "Refused before a request was whole.", labels=("code",))
    for code, count in service.requests.unread.items():
        refused.add_metric((code,), count)
    yield refused
    now = background.status()
    gauges = (
        ("onearm_commit_queue", "Requests whose transaction has not begun.", writer.waiting),
        ("onearm_commit_running_seconds", "The transaction at work, until now.", writer.running),
        (
            "onearm_event_loop_lag_seconds",
            "The latest that the event loop was in a minute.",
            service.lag.worst_ms / 1e3,
        ),
        ("onearm_experiments", "Experiments in the database.", service.known),
        ("onearm_chores", "Deletions, compactions and erasures that are not whole yet.", service.chores.left),
        ("onearm_experiments_unusable", "Experiments that cannot be opened.", service.failed),
        ("onearm_database_lost", "1 where the database's files were deleted or replaced.", service.lost() is not None),
        (
            "onearm_compiling",
            "Kernels that are compiled, or wait for it.",
            len(now.waiting) + (now.compiling is not None),
        ),
    )
    for name, says, value in gauges:
        yield GaugeMetricFamily(name, says, value=value)
    build = GaugeMetricFamily("onearm_build_info", "The version that answers.", labels=("version",))
    build.add_metric((metadata.version("onearm"),), 1)
    yield build


def of_node(nodes: Nodes) -> Iterator[Metric]:
    """Yield what a process is among those that serve one database. Runs on the event loop, too."""
    member = nodes.membership
    name = GaugeMetricFamily("onearm_node_info", "The node that answers.", labels=("node",))
    name.add_metric((member.node.name,), 1)
    yield name
    alive, shards = member.view.nodes, member.view.shards
    gauges = (
        ("onearm_nodes", "Nodes whose leases hold, as this one saw them last.", len(alive)),
        ("onearm_node_shards", "Shards that this node has.", len(member.holding.epochs)),
        ("onearm_node_shards_moving", "Of these, those that are given away or taken up.", len(member.holding.moving)),
        ("onearm_node_lease_seconds", "Until the lease of this node ends.", member.lease_left),
        ("onearm_shards_without_owner", "Shards that no node has.", sum(one.owner not in alive for one in shards)),
    )
    for gauge, says, value in gauges:
        yield GaugeMetricFamily(gauge, says, value=value)
    yield CounterMetricFamily("onearm_requests_passed_on", "Requests that other nodes were given.", value=nodes.passed)


def _histogram(name: str, says: str, of: Histogram) -> Metric:
    return HistogramMetricFamily(name, says, buckets=of.up_to(), sum_value=of.sum)
