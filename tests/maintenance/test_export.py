import csv
import io
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from plaudit.maintenance.export import ExportedEvent, ExportedUser
from tests.maintenance.conftest import USERS, Backups
from tests.maintenance.operating import contents, plaudit
from tests.processes import command, environment


def lines(exported: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert exported.returncode == 0, exported.stderr
    assert exported.stderr == ""
    return [json.loads(line) for line in exported.stdout.splitlines()]


def test_every_user_is_exported_with_what_only_the_log_has(backups: Backups) -> None:
    before = contents(backups.backup)
    users = {user["id"]: user for user in lines(plaudit("export", backups.backup, "users"))}
    assert sorted(users) == [f"user-{n}" for n in range(USERS)]
    user = users["user-0"]
    assert user["tz"] == "Europe/Paris"
    assert user["totals"] == {"lessons": 2}
    assert user["streak"] == 1
    assert user["created"] == user["updated"]
    assert [completion["key"] for completion in user["achievements"]] == ["first-lesson"]
    assert set(user) == {field.encode_name for field in fields(ExportedUser)}
    assert contents(backups.backup) == before


def test_every_event_is_exported_in_its_order(backups: Backups) -> None:
    events = lines(plaudit("export", backups.data, "events"))
    assert Counter(event["userId"] for event in events) == {f"user-{n}": 2 for n in range(USERS)}
    for n in range(USERS):
        mine = [event for event in events if event["userId"] == f"user-{n}"]
        assert [(event["value"], event["total"]) for event in mine] == [(2, 2), (1, 3)]
        assert mine[0]["at"] < mine[1]["at"]
        assert mine[0]["achievements"] == ["first-lesson"]
    assert events[0]["metric"] == "lessons"
    assert set(events[0]) == {field.encode_name for field in fields(ExportedEvent)}


def test_csv_has_the_same_in_cells(backups: Backups, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    exported = plaudit("export", backups.data, "users", "--format", "csv", "--output", file)
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout == ""
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8"), newline="")))
    expected = lines(plaudit("export", backups.data, "users"))
    assert [row["id"] for row in rows] == [user["id"] for user in expected]
    for row, user in zip(rows, expected, strict=True):
        for name, value in user.items():
            assert row[name] == ("" if value is None else value if isinstance(value, str) else row[name])
            if not isinstance(value, str | None):
                assert json.loads(row[name]) == value


def test_a_file_is_there_whole_or_not_at_all(backups: Backups, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("what was there", "utf-8")
    assert plaudit("export", tmp_path / "nothing", "users", "--output", file).returncode == 1
    assert file.read_text("utf-8") == "what was there"
    assert plaudit("export", backups.data, "users", "--output", file).returncode == 0
    assert len(file.read_text("utf-8").splitlines()) == USERS
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


def test_a_reader_who_has_enough_ends_it_in_a_line(backups: Backups) -> None:
    exporting = subprocess.Popen(
        command("export", str(backups.data), "events"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment({}),
        text=True,
    )
    assert exporting.stdout is not None
    exporting.stdout.close()
    exporting.stdout = None
    _, errors = exporting.communicate(timeout=60)
    assert errors == "plaudit: [Errno 32] Broken pipe\n"
    assert exporting.returncode == 1


@pytest.mark.parametrize("arguments", [("boards",), ("users", "--format", "xml")])
def test_what_is_not_exported_is_refused(backups: Backups, arguments: tuple[str, ...]) -> None:
    assert plaudit("export", backups.data, *arguments).returncode == 2
