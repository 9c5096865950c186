from pathlib import Path
from typing import Any

import pytest
import typer
from starlette.routing import Route
from typer.core import TyperOption

from plaudit.actors.router import Router
from plaudit.cli import app
from plaudit.gateway import ControlledServer
from plaudit.http.app import create_app
from plaudit.http.keys import KeyRing

ROOT = Path(__file__).parents[1]
_COMMAND: Any = typer.main.get_command(app)
OPTIONS = _COMMAND.commands["serve"].params
COMMANDS = sorted(_COMMAND.commands)
FLAGS = sorted(
    {
        name
        for command in _COMMAND.commands.values()
        for option in command.params
        if isinstance(option, TyperOption)
        for name in (*option.opts, *option.secondary_opts)
    }
)
ALL_ROUTES = create_app(Router([], 1), KeyRing([]), ControlledServer(ROOT), has_test_clock=True).routes
ROUTES = [route for route in ALL_ROUTES if isinstance(route, Route)]


@pytest.fixture(scope="module")
def docs() -> str:
    """Everything that a user can read."""
    return "\n".join(path.read_text("utf-8") for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(docs: str, name: str) -> None:
    assert f"plaudit {name}" in docs


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_is_documented(docs: str, name: str) -> None:
    assert f"`{name}" in docs


@pytest.mark.parametrize("name", [*(option.envvar for option in OPTIONS), "PLAUDIT_ADMIN_KEY"])
def test_every_variable_is_documented(docs: str, name: str) -> None:
    assert f"`{name}" in docs


@pytest.mark.parametrize("path", [route.path for route in ROUTES])
def test_every_route_is_documented(docs: str, path: str) -> None:
    assert f"{path}`" in docs


def test_all_routes_are_looked_for() -> None:
    assert len(ROUTES) == len(ALL_ROUTES) >= 5
