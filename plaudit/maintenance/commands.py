"""The commands of the command line that work on a data directory."""

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plaudit.control import Refused
from plaudit.maintenance.backup import back_up
from plaudit.maintenance.checks import Finding
from plaudit.maintenance.doctor import examine, private_copy
from plaudit.maintenance.export import Format, What, write_rows, writing
from plaudit.maintenance.progress import counter, progress_bar
from plaudit.maintenance.quarantine import quarantine
from plaudit.maintenance.readers import read_rows
from plaudit.maintenance.restore import restore
from plaudit.storage.errors import StorageError

app = typer.Typer()

Result = TypeVar("Result")
PLAIN_WIDTH = 240
"""Columns, where there is no terminal that says how many it has."""

DataArgument = Annotated[Path, typer.Argument(help="The data directory.")]
ScratchOption = Annotated[
    Path | None, typer.Option(help="Where to put the copy, which is removed in the end; beside DATA by default.")
]


@app.command("backup")
def backup_command(
    data: DataArgument,
    target: Annotated[Path, typer.Argument(help="Where to: a directory that is empty or does not exist yet.")],
) -> None:
    """Back up a data directory, whether a server runs on it or not. The backup is a complete data directory."""
    with progress_bar("Backing up", Console(stderr=True)) as report:
        note = _run(back_up(data.resolve(), target.resolve(), report))
    typer.echo(f"Backed up {len(note.shards)} shards to {target}.")


@app.command("restore")
def restore_command(
    backup: Annotated[Path, typer.Argument(help="A backup, made by `plaudit backup`.")],
    data: Annotated[Path, typer.Argument(help="The data directory to make; must be empty or not exist yet.")],
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Check the files that were copied.")] = True,
) -> None:
    """Restore a backup into a new data directory. The backup stays as it is."""
    with progress_bar("Restoring", Console(stderr=True)) as report:
        note = _run(restore(backup.resolve(), data.resolve(), report, verify=verify))
    typer.echo(f"Restored the backup of {note.completed} to {data}; start it with: plaudit serve --data {data}")


@app.command("doctor")
def doctor_command(
    data: DataArgument,
    scratch: ScratchOption = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--quarantine",
            metavar="SEQ",
            min=1,
            help="Set aside the logged record with command SEQ. No server may run.",
        ),
    ] = None,
    shard: Annotated[int | None, typer.Option(min=0, help="The shard of the record to set aside.")] = None,
) -> None:
    """Examine a data directory, whether a server runs on it or not, on a private copy.

    Exit code 0 if all is well, 1 if something is wrong, 2 if it could not be examined.
    """
    if (number is None) != (shard is None):
        raise typer.BadParameter("--quarantine and --shard go together")
    if number is not None and shard is not None:
        _set_aside(data.resolve(), shard, number)
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    findings = _run(_examine(data.resolve(), scratch and scratch.resolve()), code=2)
    console.print(_tabulate(findings))
    problems = sum(finding.problem is not None for finding in findings)
    console.print(f"{len(findings)} checks, {problems} problems.")
    if problems:
        raise typer.Exit(1)


def _set_aside(data: Path, shard: int, number: int) -> None:
    done = _run(quarantine(data, shard, number))
    users = ", ".join(repr(user) for _, user in done.users)
    typer.echo(f"Set aside commands {done.first} to {done.last} of shard {shard}, of the users {users}: {done.path}")


async def _examine(data: Path, scratch: Path | None) -> list[Finding]:
    with progress_bar("Copying", Console(stderr=True)) as report:
        async with private_copy(data, scratch, report) as copy:
            return [finding async for finding in examine(copy)]


def _tabulate(findings: list[Finding]) -> Table:
    table = Table("what", "where", "result", "detail", box=SIMPLE)
    for finding in findings:
        is_well = finding.problem is None
        result = Text("ok", "green") if is_well else Text("PROBLEM", "bold red")
        table.add_row(Text(finding.check), Text(finding.place), result, Text(finding.problem or finding.detail))
    return table


@app.command("export")
def export_command(
    data: DataArgument,
    what: Annotated[What, typer.Argument(help="What to export: users or events.")],
    format_: Annotated[Format, typer.Option("--format", help="JSON lines, or CSV with a header.")] = "jsonl",
    output: Annotated[
        Path | None, typer.Option(help="The file to write, which takes the place of one; standard output by default.")
    ] = None,
    scratch: ScratchOption = None,
) -> None:
    """Write every user or every event of a data directory, whether a server runs on it or not."""
    _run(_export(data.resolve(), what, format_, output, scratch and scratch.resolve()))


async def _export(data: Path, what: What, format_: Format, output: Path | None, scratch: Path | None) -> None:
    console = Console(stderr=True)
    with progress_bar("Copying", console) as report:
        async with private_copy(data, scratch, report) as copy:
            with writing(output) as file, counter(f"Exporting {what}", console) as count:
                await write_rows(read_rows(copy, what), what, format_, file, count)


def _run(work: Coroutine[None, None, Result], code: int = 1) -> Result:
    """Run to the end; what can ordinarily go wrong is one line and an exit code."""
    os.umask(0o077)
    try:
        return uvloop.run(work)
    except (StorageError, Refused, OSError) as error:
        _fail(str(error), code)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"plaudit: {message}", err=True)
    raise typer.Exit(code)
