"""What is in a query string, and how to say what is wrong with it."""

from urllib.parse import parse_qsl

from plaudit.http.errors import Invalid

ECHO_LENGTH_MAX = 50
DIGITS_MAX = 10


class Parameters:
    """The parameters of a request. Raises Invalid, naming the parameter, for one that makes no sense."""

    def __init__(self, query_string: bytes) -> None:
        try:
            self._pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise Invalid("query: expected UTF-8, percent-encoded") from None

    def text(self, name: str) -> str | None:
        """A parameter as it is (the last one, if it is repeated); None if there is none."""
        return next((value for key, value in reversed(self._pairs) if key == name), None)

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        text = self.text(name)
        if text is None:
            raise Invalid(f"{name}: missing")
        return text

    def flag(self, name: str) -> bool:
        """`true` or `false`; false if there is none."""
        text = self.text(name)
        if text is not None and text not in {"true", "false"}:
            raise Invalid(f"{name}: expected true or false, got {text[:ECHO_LENGTH_MAX]!r}")
        return text == "true"

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text(name)
        if text is None:
            return default
        digits = text.removeprefix("-") if least < 0 else text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX and least <= int(text) <= most):
            raise Invalid(f"{name}: expected a whole number from {least} to {most}, got {text[:ECHO_LENGTH_MAX]!r}")
        return int(text)

    def listed(self, name: str, most: int) -> list[str]:
        """The values of a list: repeated, separated by commas, or both."""
        values = self.parts(name)
        if not 1 <= len(values) <= most:
            raise Invalid(f"{name}: expected 1 to {most} values, got {len(values)}")
        return values

    def parts(self, name: str) -> list[str]:
        """The values of a list of any length, as they come."""
        return [part for key, value in self._pairs if key == name for part in value.split(",") if part]
