"""The command line."""

import json
import logging
import os
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from plaudit import __version__
from plaudit.actors.residents import DEFAULT_USERS_MAX
from plaudit.actors.user_shard import Durability, Opened
from plaudit.catalog_file import CatalogFileError, load_document
from plaudit.config import (
    DEFAULT_DATA,
    DEFAULT_HOST,
    DEFAULT_PORT,
    DEFAULT_TIMER_WINDOW_S,
    TIMER_WINDOW_MAX_S,
    RuntimeName,
    Settings,
)
from plaudit.control import AppliedCatalog, ApplyCatalog, NoServer, Refused, ask
from plaudit.engine.errors import Rejected
from plaudit.http.keys import is_key
from plaudit.maintenance import commands
from plaudit.server import ServerFailed, serve
from plaudit.storage.directory import SHARDS_MAX
from plaudit.storage.errors import StorageError

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

app.add_typer(commands.app)


@app.callback()
def about() -> None:
    """Plaudit: a self-hosted gamification engine."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command("serve")
def serve_command(
    data: Annotated[
        Path, typer.Option(envvar="PLAUDIT_DATA", help="The data directory; made if missing.")
    ] = DEFAULT_DATA,
    host: Annotated[str, typer.Option(envvar="PLAUDIT_HOST", help="The address to serve on.")] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(envvar="PLAUDIT_PORT", min=0, max=65535, help="The port to serve on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    runtime: Annotated[
        RuntimeName, typer.Option(envvar="PLAUDIT_RUNTIME", help="Where shards run: Ray processes, or this one.")
    ] = "ray",
    shards: Annotated[
        int | None,
        typer.Option(
            envvar="PLAUDIT_SHARDS", min=1, max=SHARDS_MAX, help="User shards, fixed when the data directory is made."
        ),
    ] = None,
    leaderboard_shards: Annotated[
        int | None,
        typer.Option(
            envvar="PLAUDIT_LEADERBOARD_SHARDS",
            min=1,
            max=SHARDS_MAX,
            help="Leaderboard shards, fixed when the data directory is made.",
        ),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(envvar="PLAUDIT_CATALOG", help="A catalog file (TOML) to apply on start.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(envvar="PLAUDIT_RAY_ADDRESS", help="An existing Ray cluster instead of a local one.")
    ] = None,
    workers: Annotated[int, typer.Option(envvar="PLAUDIT_WORKERS", min=1, max=64, help="HTTP gateway processes.")] = 1,
    durability: Annotated[
        Durability,
        typer.Option(envvar="PLAUDIT_DURABILITY", help="What an answered event survives: a power cut, or the process."),
    ] = "commit",
    users_in_memory: Annotated[
        int,
        typer.Option(
            envvar="PLAUDIT_USERS_IN_MEMORY", min=1, help="Users that each shard keeps in memory, about 2 KB each."
        ),
    ] = DEFAULT_USERS_MAX,
    timer_window: Annotated[
        int,
        typer.Option(
            envvar="PLAUDIT_TIMER_WINDOW",
            min=0,
            max=TIMER_WINDOW_MAX_S,
            help="Seconds over which the users of one midnight are spread.",
        ),
    ] = DEFAULT_TIMER_WINDOW_S,
    test_clock: Annotated[
        bool,
        typer.Option("--test-clock", envvar="PLAUDIT_TEST_CLOCK", help="Time stands still until the API moves it."),
    ] = False,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C. Every flag can also be set as PLAUDIT_* in the environment."""
    console = Console(highlight=False, soft_wrap=True)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    admin_key = os.environ.get("PLAUDIT_ADMIN_KEY") or None  # not a flag: the process list would show it
    if admin_key is not None and not is_key(admin_key):
        _fail(
            "PLAUDIT_ADMIN_KEY: expected a prefix of 8 letters or digits, a dot, and a body of at least 16 characters"
        )
    settings = Settings(
        data=data,
        host=host,
        port=port,
        runtime=runtime,
        shards=shards,
        leaderboard_shards=leaderboard_shards,
        catalog=catalog,
        ray_address=ray_address,
        workers=workers,
        durability=durability,
        users_in_memory=users_in_memory,
        timer_window=timer_window,
        test_clock=test_clock,
        admin_key=admin_key,
    )
    reporter = ConsoleReporter(console)
    try:
        document = load_document(catalog) if catalog is not None else None
        uvloop.run(serve(settings, document, reporter))
    except (CatalogFileError, StorageError, ServerFailed, OSError) as error:
        reporter.end()
        _fail(str(error))
    console.print("Stopped; everything is saved.")


@app.command("apply")
def apply_command(
    file: Annotated[Path, typer.Argument(help="A catalog file (TOML).")],
    data: Annotated[
        Path, typer.Option(envvar="PLAUDIT_DATA", help="The data directory of the running server.")
    ] = DEFAULT_DATA,
) -> None:
    """Make a file the catalog of a running server. Returns when no event meets the old one any more."""
    try:
        document = load_document(file)
        applied = uvloop.run(ask(data.resolve(), ApplyCatalog(document), AppliedCatalog))
    except NoServer:
        _fail(f"{data}: no server runs on it; start one with: plaudit serve --data {data} --catalog {file}")
    except (CatalogFileError, Rejected, Refused) as error:
        _fail(str(error))
    if not applied.changes:
        typer.echo(f"Nothing has changed: catalog version {applied.version} is in force.")
        return
    typer.echo(f"Catalog version {applied.version} is in force:")
    for change in applied.changes:
        typer.echo(f"  {change.kind}: {change.added} added, {change.changed} changed, {change.archived} archived")


def _fail(message: str) -> NoReturn:
    typer.echo(f"plaudit: {message}", err=True)
    raise typer.Exit(1)


class ConsoleReporter:
    """Tells the operator at the terminal (`Reporter`)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._opened: list[Opened] = []
        self._total = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def step(self, text: str) -> None:
        """See `Reporter`."""
        self._console.print(text, "...")

    def shards_opening(self, total: int) -> None:
        """See `Reporter`."""
        self._total = total
        self._progress.start()
        self._task = self._progress.add_task("Restoring shards", total=total)

    def shard_opened(self, opened: Opened) -> None:
        """See `Reporter`."""
        assert self._task is not None
        self._progress.advance(self._task)
        self._opened.append(opened)
        if len(self._opened) == self._total:
            self.end()
            replayed = sum(opened.replayed for opened in self._opened)
            self._console.print(f"Shards open: {len(self._opened)}; commands replayed from their logs: {replayed}.")

    def ready(self, url: str, new_key: str | None, metric: str | None) -> None:
        """See `Reporter`."""
        self._console.print(
            f"Plaudit {__version__} serves {url}; ready in {time.monotonic() - self._started:.1f} s.", markup=False
        )
        if metric is None:
            self._console.print("The catalog has no metrics yet: give one with --catalog FILE.")
        if new_key is not None:
            self._console.print(f"\nThe admin key, shown this once: {new_key}\n", markup=False)
        if new_key is not None and metric is not None:
            body = json.dumps({"user": {"id": "user-123", "tz": "Europe/Paris"}, "value": 1})
            self._console.print(
                f"Try:\n\ncurl -X POST {url}/v1/metrics/{metric}/event \\\n"
                f"  -H 'X-API-KEY: {new_key}' -H 'Content-Type: application/json' \\\n"
                f"  -d '{body}'\n",
                markup=False,
            )

    def trouble(self, text: str) -> None:
        """See `Reporter`."""
        typer.echo(f"plaudit: {text}", err=True)

    def end(self) -> None:
        """Put the progress bar away, if there is one."""
        if self._progress.live.is_started:
            self._progress.stop()


def main() -> None:
    """The entry point of the `plaudit` command."""
    app()


if __name__ == "__main__":
    main()
