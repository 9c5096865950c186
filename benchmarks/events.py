"""Single events over HTTP, durable: Plaudit on each runtime beside a bare Starlette route, interleaved.

The bare route is measured twice in each round: how far the ratio of the second is from 1 is what the machine's noise
does to all ratios (a tenth is ordinary on a virtual machine with 3 rounds; more rounds help, longer ones do not).
Run as `python -m benchmarks.events`. Exits with 1 if any response was not 2xx.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.client import Sender, measure_at_rate, measure_idle
from benchmarks.load import LoadGenerator, find_generator
from benchmarks.machine import describe_filesystem, describe_machine
from benchmarks.servers import (
    PLAUDIT_ENVIRONMENT,
    ROOT,
    ServerError,
    bare_command,
    free_port,
    plaudit_command,
    serve,
)
from benchmarks.target import Load, Target

RUNTIMES = ("ray", "inline")
WARM_UP_S = 3.0
SETTLE_S = 2.5  # the checkpoint of what Plaudit was sent last, every 2 s, is not to run while another is measured
SAMPLED_EVENTS = 200  # whose responses say how long the bare route's is

console = Console()


@dataclass
class Contender:
    """A server that is up, and what its rounds gave."""

    name: str
    target: Target
    settle_s: float = 0.0
    """How long it has work of its own after the last answer."""
    peak: list[Load] = field(default_factory=list)
    half: list[Load] = field(default_factory=list)
    """At half of its own peak: where latency is promised."""
    idle: list[Load] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Of all rounds."""
        return sum(load.errors for load in (*self.peak, *self.half, *self.idle))


def start_contenders(options: argparse.Namespace, generator: LoadGenerator, stack: ExitStack) -> list[Contender]:
    """All servers, warm; the bare one first, with responses as long as Plaudit's are."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plaudit-bench-", dir=options.directory)))
    plaudits = [_start_plaudit(runtime, directory, options, stack) for runtime in options.runtimes]
    for contender in plaudits:
        generator.run(contender.target, options.connections, WARM_UP_S)
        time.sleep(contender.settle_s)
    size = round(fmean(_response_size(contender) for contender in plaudits))
    bare = Contender("bare", Target(free_port(), options.users))
    stack.enter_context(serve(bare_command(bare.target.port, size), bare.target.port, directory / "bare.log"))
    generator.run(bare.target, options.connections, WARM_UP_S)
    console.print(f"responses of {size} bytes")
    return [bare, *plaudits, Contender("bare again", bare.target)]


def _start_plaudit(runtime: str, directory: Path, options: argparse.Namespace, stack: ExitStack) -> Contender:
    port = free_port()
    command = plaudit_command(port, directory / runtime, runtime, options.shards, options.catalog)
    stack.enter_context(serve(command, port, directory / f"{runtime}.log", PLAUDIT_ENVIRONMENT))
    contender = Contender(runtime, Target(port, options.users), SETTLE_S)
    _response_size(contender, events=1)
    return contender


def _response_size(contender: Contender, events: int = SAMPLED_EVENTS) -> float:
    """The mean length of the answers to events of random users. Raises ServerError if one is not a 201."""
    sender = Sender(contender.target)
    try:
        answers = [sender.send(random.randrange(contender.target.users)) for _ in range(events)]
    finally:
        sender.close()
    for answer in answers:
        if answer.status != 201:
            raise ServerError(f"{contender.name}: expected 201, got {answer.status} {answer.body[:500]!r}")
    return fmean(len(answer.body) for answer in answers)


def measure(contenders: Sequence[Contender], options: argparse.Namespace, generator: LoadGenerator) -> None:
    """Every round of every stage, the contenders taking turns, so that what disturbs the machine meets them all."""

    def half(contender: Contender) -> Load:
        rate = median(load.requests_per_s for load in contender.peak) / 2
        return measure_at_rate(contender.target, options.connections, options.seconds, rate)

    stages: list[tuple[str, Callable[[Contender], Load], Callable[[Contender], list[Load]]]] = [
        ("peak", lambda c: generator.run(c.target, options.connections, options.seconds), lambda c: c.peak),
        ("half of peak", half, lambda c: c.half),
        ("one connection", lambda c: measure_idle(c.target, options.seconds), lambda c: c.idle),
    ]
    for stage, run, results in stages:
        for number in range(1, options.rounds + 1):
            for contender in contenders:
                load = run(contender)
                time.sleep(contender.settle_s)
                results(contender).append(load)
                console.print(
                    f"{stage} {number}/{options.rounds} {contender.name}: {load.requests_per_s:,.0f}/s, "
                    f"p50 {load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms, {load.errors} errors"
                )


def report(contenders: Sequence[Contender], connections: int) -> Table:
    """Medians of the rounds; the ratios are of each round to the bare route's in the same round."""
    table = Table(title="Single events, durable: medians of the rounds")
    table.add_column("")
    for contender in contenders:
        table.add_column(contender.name, justify="right")
    columns = [_column(contender, contenders[0]) for contender in contenders]
    labels = ["events/s", "of bare", "of bare, lowest-highest"]
    for stage in (f"{connections} connections", "half of its peak", "one connection"):
        labels += [f"{stage}, p50 ms", f"{stage}, p99 ms"]
    for label, *cells in zip((*labels, "errors"), *columns, strict=True):
        table.add_row(label, *cells)
    return table


def _column(contender: Contender, bare: Contender) -> list[str]:
    peaks = [load.requests_per_s for load in contender.peak]
    ratios = [peak / load.requests_per_s for peak, load in zip(peaks, bare.peak, strict=True)]
    column = [f"{median(peaks):,.0f}", f"{median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"]
    for loads in (contender.peak, contender.half, contender.idle):
        column += [f"{median(load.p50_ms for load in loads):.2f}", f"{median(load.p99_ms for load in loads):.2f}"]
    return [*column, str(contender.errors)]


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--runtimes", type=_runtimes, default=list(RUNTIMES), help="some of ray,inline")
    parser.add_argument("--catalog", type=Path, default=ROOT / "examples" / "study.toml")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where data goes meanwhile")
    return parser.parse_args(arguments)


def _runtimes(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(RUNTIMES):
        raise argparse.ArgumentTypeError(f"expected some of {','.join(RUNTIMES)}, got {text!r}")
    return names


def _terminate(*_: Any) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    """The exit status. Servers and data are gone when it returns, also after Ctrl-C and SIGTERM."""
    options = parse_options()
    signal.signal(signal.SIGTERM, _terminate)
    generator = find_generator()
    console.print(describe_machine(), highlight=False)
    console.print(f"load from {generator.name}, data on {describe_filesystem(options.directory)}", highlight=False)
    try:
        with ExitStack() as stack:
            contenders = start_contenders(options, generator, stack)
            measure(contenders, options, generator)
    except KeyboardInterrupt:
        console.print("interrupted")
        return 128 + signal.SIGINT
    except (ServerError, OSError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(report(contenders, options.connections))
    return 1 if any(contender.errors for contender in contenders) else 0


if __name__ == "__main__":
    sys.exit(main())
