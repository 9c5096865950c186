"""The official SDK, against a server that an operator might have started."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trophy import AsyncTrophyApi, TrophyApi, UpsertedUser
from trophy.core.api_error import ApiError
from trophy.environment import TrophyApiEnvironment
from trophy.errors import BadRequestError, NotFoundError, UnauthorizedError, UnprocessableEntityError

from tests.sdk.server import ServerProcess

CATALOG = Path(__file__).parents[2] / "examples" / "study.toml"
ADMIN_KEY = "sdktests.a-body-that-nobody-guesses"
