"""The figures of a gateway in the form that Prometheus reads.

Counters come from `zscrape.gateway.counters`, everything else from what there is at the moment
of the look. With several gateways on one database each tells its own: sums are Prometheus's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeAlias

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

import zscrape
from zscrape.core.snapshots import Snapshot, WorkerStatus
from zscrape.gateway.counters import Counters, Histogram
from zscrape.gateway.state import GatewayState
from zscrape.machine import memory_percent

_HISTOGRAMS: Final = {
    "dispatch": (
        "zscrape_dispatch_latency_seconds",
        "From a task's acceptance to its first attempt's leave for a worker.",
    ),
    "prepare": (
        "zscrape_prepare_seconds",
        "Making an attempt's script and environment ready on its worker.",
    ),
    "fetch": ("zscrape_fetch_seconds", "Getting the script of an attempt, most often kept."),
    "environment": (
        "zscrape_environment_seconds",
        "Getting the environment of an attempt that needs one of its own.",
    ),
    "child": ("zscrape_child_seconds", "The script of an attempt itself."),
}
_Families: TypeAlias = Iterator[Metric]


class Collected(Struct, frozen=True):
    """What was collected, to be written in any of Prometheus's formats, in any thread."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """Return it, as a registry does."""
        return self.families

    def written(self, accept: str) -> tuple[bytes, str]:
        """Return it as bytes, in the format that a reader asks for, and the name of that."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self), content_type


def collect(state: GatewayState) -> Collected:
    """Look at a gateway; to be called in its loop."""
    state.counters.settle()
    state.counters.look(state.router.snapshot().workers)
    return Collected((*_founding(state), *_tasks(state.counters), *_now(state), *_process()))


def _founding(state: GatewayState) -> _Families:
    """Yield those whose names are the founding documents'."""
    counters = state.counters
    snapshot = state.router.snapshot()
    requests = CounterMetricFamily(
        "scraping_requests",
        "Tasks that have ended, by script, final state and client.",
        labels=("script_name", "status", "client_id"),
    )
    for series, count in counters.requests.items():
        requests.add_metric(series, count)
    yield requests
    durations = HistogramMetricFamily(
        "scraping_request_duration_seconds",
        "From a task's acceptance to its end.",
        labels=("script_name",),
    )
    for script, histogram in counters.durations.items():
        _fill(durations, (script,), histogram)
    yield durations
    yield _gauge("scraping_queue_length", "Tasks that wait.", snapshot.queued_count)
    active_count = sum(worker.status is WorkerStatus.LIVE for worker in snapshot.workers)
    yield _gauge("scraping_active_workers", "Workers that take work.", active_count)
    yield _gauge(
        "system_memory_usage_percent",
        "Memory in use on the gateway's machine.",
        memory_percent(),
    )
    yield _gauge(
        "system_cpu_usage_percent",
        "Processor in use on the gateway's machine since the last look.",
        state.processors.percent(),
    )
    yield from _workers(snapshot)


def _workers(snapshot: Snapshot) -> _Families:
    """Yield the slots, and how the workers are."""
    busy_count = max(0, snapshot.slot_count - snapshot.free_slot_count)
    slots = {"free": snapshot.free_slot_count, "busy": busy_count}
    yield _gauges("zscrape_slots", "Slots of workers that take work.", "state", slots)
    now = {"assigned": snapshot.assigned_count, "running": snapshot.running_count}
    yield _gauges("zscrape_attempts_in_flight", "Attempts at workers.", "state", now)
    yield _gauge(
        "zscrape_oldest_queued_seconds",
        "Age of the task that waits the longest; 0: none waits.",
        snapshot.oldest_queued_s,
    )
    statuses = {status.value: 0 for status in WorkerStatus}
    for worker in snapshot.workers:
        statuses[worker.status.value] += 1
    yield _gauges("zscrape_workers", "Workers by how they stand.", "status", statuses)
    yield _gauge(
        "zscrape_worker_silence_seconds",
        "Time since the last word of the worker that is silent the longest.",
        max((worker.last_heard_s for worker in snapshot.workers), default=0.0),
    )
    yield _count(
        "zscrape_heartbeats_missed",
        "Heartbeat intervals in which a worker was not heard.",
        snapshot.missed_beat_count,
    )


def _tasks(counters: Counters) -> _Families:
    """Yield what became of tasks and of workers."""
    yield _counts(
        "zscrape_attempts", "Attempts that have ended, by outcome.", "code", counters.attempts
    )
    for name, (metric, text) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(metric, text)
        _fill(family, (), getattr(counters, name))
        yield family
    yield _counts(
        "zscrape_scripts",
        "Scripts that attempts needed: kept ones are hits of the worker's cache.",
        "source",
        counters.scripts,
    )
    yield _counts(
        "zscrape_environments",
        "Environments that attempts needed: kept ones are hits of the cache.",
        "source",
        counters.environments,
    )
    yield _count("zscrape_script_cpu_seconds", "Processor time of scripts.", counters.cpu_s)
    yield _count(
        "zscrape_orphans_killed",
        "Processes that attempts left behind and workers have ended.",
        counters.leftover_count,
    )
    yield _count("zscrape_items", "Items of tasks that have ended.", counters.item_count)
    yield _counts(
        "zscrape_dead_letters",
        "Tasks that were given up, by reason.",
        "reason",
        counters.dead_letters,
    )
    yield _counts(
        "zscrape_workers_joined", "Workers that have dialled in.", "kind", counters.workers_joined
    )
    yield _counts(
        "zscrape_workers_lost",
        "Workers that have gone, by reason.",
        "reason",
        counters.workers_lost,
    )
    yield _count(
        "zscrape_workers_suspected",
        "Connections of workers that broke.",
        counters.workers_suspected_count,
    )
    yield _count(
        "zscrape_messages_ignored", "Messages that changed nothing.", counters.ignored_count
    )


def _now(state: GatewayState) -> _Families:
    """Yield what the other parts of the gateway tell."""
    yield _counts(
        "zscrape_schedule_occurrences",
        "Due moments of schedules, by what became of them.",
        "status",
        state.schedules.occurrence_counts,
    )
    waits = HistogramMetricFamily(
        "zscrape_site_budget_wait_seconds", "Waits of scripts for their turn at a site."
    )
    _fill(waits, (), state.sites.waits)
    yield waits
    yield _gauge(
        "zscrape_site_budget_waiting", "Tasks that wait for a site.", state.sites.waiting_count
    )
    yield _gauge("zscrape_locks_held", "Lock keys that are held.", len(state.router.locks()))
    yield _gauge("zscrape_event_streams", "Open event streams.", state.hub.stream_count)
    yield _count(
        "zscrape_link_garbage",
        "Frames on the link that were no message.",
        state.router.garbage_count,
    )
    well = {
        "router": not state.router.fault(),
        "store": not state.store.fault(),
        "catalogue": not state.catalogue.faults(),
    }
    yield _gauges("zscrape_component_up", "1: the part does its work.", "component", well)
    is_draining = state.is_draining or state.hub.is_closed
    yield _gauge("zscrape_draining", "1: the gateway is about to end.", is_draining)
    info = InfoMetricFamily("zscrape_gateway", "Which gateway this is.")
    info.add_metric((), {"version": zscrape.__version__, "gateway_id": state.gateway_id})
    yield info


def _process() -> _Families:
    """Yield the figures of the gateway's process, under their usual names."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    yield from registry.collect()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=float(value))


def _counts(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _fill(family: HistogramMetricFamily, labels: tuple[str, ...], found: Histogram) -> None:
    bounds = [*(str(bound) for bound in found.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(found.counts), strict=True))
    family.add_metric(labels, buckets, found.sum)
