"""An event costs what it touches, not what is configured: `process` under catalogs of very different sizes, in turns.

Run as `python -m benchmarks.catalog_size`.
"""

import argparse
import gc
import time
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from plaudit.engine.amounts import UNIT
from plaudit.engine.catalog import Catalog
from plaudit.engine.commands import RecordEvent, UserFields
from plaudit.engine.compiled import CompiledCatalog
from plaudit.engine.compiling import compile_catalog
from plaudit.engine.document import (
    AchievementEntry,
    AttributeEntry,
    Document,
    MetricEntry,
    PointsEntry,
    TriggerEntry,
)
from plaudit.engine.process import process
from plaudit.engine.revision import revise
from plaudit.engine.user import User

METRIC = "lessons"
OTHERS = 100
"""Other metrics, over which what is on other metrics is spread."""
NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HOUR_MS = 3_600_000
EVENTS = 2000
"""Of one user, within some days; each turn begins anew."""


@dataclass(frozen=True)
class Case:
    """A catalog to compare with the first one."""

    name: str
    catalog: CompiledCatalog


def small_document() -> Document:
    """Five achievements and two points triggers that matter, streaks, and the filters of an attribute."""
    return Document(
        metrics=tuple(MetricEntry(key=key, name=key) for key in (METRIC, *(f"other-{n}" for n in range(OTHERS)))),
        attributes=(AttributeEntry(key="subject", name="Subject", type="event"),),
        achievements=tuple(
            AchievementEntry(key=f"at-{value}", name="A", metric=METRIC, metric_value=Decimal(value))
            for value in (1, 10, 100, 1000, 1500)
        ),
        points=(
            PointsEntry(
                key="xp",
                name="XP",
                triggers=(
                    TriggerEntry(key="each", points=1, metric=METRIC, metric_threshold=1),
                    TriggerEntry(key="tens", points=5, metric=METRIC, metric_threshold=10),
                ),
            ),
        ),
    )


def with_others(document: Document, count: int) -> Document:
    """`count` more achievements and `count` more triggers, all on other metrics."""
    achievements = tuple(
        AchievementEntry(
            key=f"other-{n}", name="A", metric=f"other-{n % OTHERS}", metric_value=Decimal(n // OTHERS + 1)
        )
        for n in range(count)
    )
    triggers = tuple(
        TriggerEntry(key=f"other-{n}", points=1, metric=f"other-{n % OTHERS}", metric_threshold=1) for n in range(count)
    )
    (system,) = document.points
    return replace(
        document,
        achievements=document.achievements + achievements,
        points=(replace(system, triggers=system.triggers + triggers),),
    )


def with_thresholds(document: Document, count: int) -> Document:
    """`count` more achievements on the metric of the events, above everything that they reach."""
    more = tuple(
        AchievementEntry(key=f"more-{n}", name="A", metric=METRIC, metric_value=Decimal(EVENTS + 1 + n))
        for n in range(count)
    )
    return replace(document, achievements=document.achievements + more)


def with_filters(document: Document, count: int) -> Document:
    """`count` more achievements on the metric, each with a filter that no event matches."""
    more = tuple(
        AchievementEntry(
            key=f"filtered-{n}",
            name="A",
            metric=METRIC,
            metric_value=Decimal(1),
            event_attributes={"subject": f"subject-{n}"},
        )
        for n in range(count)
    )
    return replace(document, achievements=document.achievements + more)


def measure(case: Case) -> float:
    """Microseconds for one event."""
    user: User | None = None
    attributes = {"subject": "none of them"}
    events = [
        RecordEvent("user", METRIC, UNIT, n.to_bytes(16, "big"), UserFields(tz="Europe/Paris"), attributes)
        for n in range(EVENTS)
    ]
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    for number, event in enumerate(events):
        user = process(user, event, case.catalog, NOW_MS + number * HOUR_MS // 20).user
    elapsed_s = time.perf_counter() - started
    gc.enable()
    return elapsed_s / EVENTS * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog_size", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    small = small_document()
    documents = {
        "5 achievements, 2 triggers": small,
        f"{args.count:,} more achievements and triggers on other metrics": with_others(small, args.count),
        f"{args.count:,} more thresholds on the same metric": with_thresholds(small, args.count),
        f"{args.count:,} more filters on the same metric": with_filters(small, args.count),
        "the first again": small,
    }
    cases = [Case(name, compile_catalog(revise(Catalog(), each, NOW_MS))) for name, each in documents.items()]
    rounds = [[measure(case) for case in cases] for _ in range(args.rounds)]
    table = Table(title=f"engine.process, {describe_machine()}")
    for heading in ("catalog", "us per event", "of the first"):
        table.add_column(heading, justify="left" if heading == "catalog" else "right")
    for number, case in enumerate(cases):
        ratios = [each[number] / each[0] for each in rounds]
        table.add_row(case.name, f"{median(each[number] for each in rounds):.1f}", f"{median(ratios):.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
