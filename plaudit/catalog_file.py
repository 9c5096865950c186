"""The catalog file: TOML, checked as a whole before anything changes."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec

from plaudit.engine.document import Document
from plaudit.engine.problems import find_problems

_TABLE = re.compile(r"\.(?P<name>\w+)(?:\[(?P<position>\d+)\])?")


class CatalogFileError(Exception):
    """The file cannot be the catalog. One line per problem: file, table, key, and what was expected."""


def load_document(path: Path) -> Document:
    """The document in a file. Raises CatalogFileError, with all that is wrong."""
    try:
        content = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        document = msgspec.convert(content, Document)
    except OSError as error:
        raise CatalogFileError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CatalogFileError(f"{path}: expected UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogFileError(f"{path}: expected TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise CatalogFileError(f"{path}: {_explain(str(error))}") from None
    except (ValueError, ArithmeticError, RecursionError) as error:  # numbers and tables beyond all limits
        raise CatalogFileError(f"{path}: expected TOML of a sensible size: {error}") from None
    problems = find_problems(document)
    if problems:
        raise CatalogFileError("\n".join(f"{path}: {problem}" for problem in problems))
    return document


def _explain(message: str) -> str:
    """`Expected str, got int - at $.points[0].triggers[1].key`, as a reader of the file would say it."""
    complaint, _, path = message.replace("`", "").partition(" - at ")
    places, prefix = [], ""
    for match in _TABLE.finditer(path):
        prefix = f"{prefix}.{match['name']}" if prefix else match["name"]
        if match["position"] is not None:
            places.append(f"[[{prefix}]] number {int(match['position']) + 1}")
        else:
            places.append(f"[{prefix}]" if match.end() < len(path) else match["name"])
    return f"{' '.join(places) or 'the file'}: {complaint[:1].lower()}{complaint[1:]}"
