"""How far a copy is, at the terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from plaudit.control import Progress as Copied
from plaudit.control import Report


@contextlib.contextmanager
def progress_bar(title: str, console: Console) -> Iterator[Report]:
    """A bar of bytes over all shards, which goes when the block ends. Nothing where there is no terminal."""
    shards: dict[int, Copied] = {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(title, total=None)

    def report(copied: Copied) -> None:
        shards[copied.shard] = copied
        total = sum(shard.total for shard in shards.values())
        bar.update(task, completed=sum(shard.bytes for shard in shards.values()), total=total)

    with bar:
        yield report


@contextlib.contextmanager
def counter(title: str, console: Console) -> Iterator[Callable[[], None]]:
    """Shows how often it was called. Nothing where there is no terminal."""
    bar = Progress(
        TextColumn("{task.description}: {task.completed}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(title, total=None)
    with bar:
        yield lambda: bar.advance(task)
