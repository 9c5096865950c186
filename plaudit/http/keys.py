"""Admin keys: `prefix.body`, of which only the prefix stays readable."""

import hashlib
import hmac
import re
import secrets
import string

from plaudit.storage.catalog_store import AdminKey

PREFIX_LENGTH = 8
BODY_LENGTH_MIN = 16
_ALPHABET = string.ascii_letters + string.digits
_NOBODY = bytes(32)
_KEY = re.compile(r"[A-Za-z0-9_-]{8}\.[\x21-\x7e]{16,256}")


def make_key() -> str:
    """A new key of 256 random bits."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    return f"{prefix}.{secrets.token_urlsafe(32)}"


def is_key(text: str) -> bool:
    """True if the text has the form of a key: a prefix of 8 characters, a dot, and a body of at least 16."""
    return _KEY.fullmatch(text) is not None


def hash_key(key: str) -> AdminKey:
    """What is stored of a key. A plain SHA-256: there is nothing to guess in 256 random bits."""
    return AdminKey(key.partition(".")[0], hashlib.sha256(key.encode()).digest())


class KeyRing:
    """The admin keys that are valid."""

    def __init__(self, keys: list[AdminKey]) -> None:
        self._hashes = {key.prefix: key.hash for key in keys}

    def admits(self, presented: str) -> bool:
        """True for a valid key. The comparison takes the same time whatever was presented."""
        key = hash_key(presented)
        return hmac.compare_digest(self._hashes.get(key.prefix, _NOBODY), key.hash)
