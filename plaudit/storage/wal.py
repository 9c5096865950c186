"""Damage in -wal files, which SQLite does not report: it takes the frames up to the first that is not right.

The format (https://www.sqlite.org/walformat.html): a header of 32 bytes, and frames, each a header of 24 bytes and a
page. A frame counts if it has the salts of the header, if its checksum continues that of the frame before it, and if it
is a commit or a commit follows. When a file is used again from its start, its salts change: frames of older generations
may follow those that count. A kill leaves frames after the last commit, or a part of one.

So a frame that is not right may be the end, or may be damage with commits behind it. Which one depends on what is known
of how the file was written, `Trust`. It has to be found out before SQLite opens the file: on closing, SQLite copies the
frames that it took into the main file, and deletes the rest with them.
"""

import os
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from plaudit.storage.errors import Corrupt

Trust = Literal["appended", "written", "synced", "unknown"]
"""What is known of how a -wal file came to be as it is:

`appended`: in this boot of the machine, so that every write is there, and never used again from its start, nor with
    pages that are written before their commit (`cache_spill`): frames that are there in full are right.
`written`: in this boot. A kill can come between the two writes of a frame, so the last one may be wrong, and so may
    those of a transaction without a commit: a frame that is wrong is damage if a commit follows.
`synced`: perhaps in another boot, so that any page of the last transaction may be missing; but each commit was on the
    disk before the next transaction began: a frame that is wrong is damage if a commit and one more frame follow.
`unknown`: anything may be missing. Nothing is damage.
"""

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_MAGIC = 0x377F0682
_BLOCK_FRAMES = 256
_Sums = tuple[int, int]


class Frame(NamedTuple):
    """What matters of a frame."""

    is_right: bool
    """SQLite takes it, if it takes the one before."""
    is_current: bool
    """It has the salts of the header."""
    is_commit: bool


class Wal(NamedTuple):
    """What a -wal file holds. Half a frame at its end is not among its frames."""

    path: Path
    size: int
    frame_bytes: int
    """0 if the header is not right."""
    frames: list[Frame]

    @property
    def right(self) -> int:
        """The number of frames before the first that is not right."""
        return next((n for n, frame in enumerate(self.frames) if not frame.is_right), len(self.frames))

    @property
    def kept_bytes(self) -> int:
        """Where what SQLite takes ends: after the last commit that only right frames precede."""
        kept = max((n for n, frame in enumerate(self.frames[: self.right], 1) if frame.is_commit), default=0)
        return HEADER_BYTES + kept * self.frame_bytes if kept else 0


def read_wal(path: Path) -> Wal:
    """Read and verify a -wal file; one that is missing is empty. About 20 us a frame: 0.2 s for 40 MB.

    The checksum of a frame needs only the one stored in the frame before it, so many frames are summed at once, as
    lanes of one large integer: five times as fast as one after the other.
    """
    if not path.exists():
        return Wal(path, 0, 0, [])
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return Wal(path, size, 0, [])
        magic, _, page_bytes, _, salt_1, salt_2, *sums = struct.unpack(">8I", header)
        is_swapped = magic == _MAGIC + 1
        before = (sums[0], sums[1])
        if magic & ~1 != _MAGIC or _sum_lanes(header[:-8], range(3), [(0, 0)], is_swapped) != [before]:
            return Wal(path, size, 0, [])
        frame_bytes = FRAME_HEADER_BYTES + page_bytes
        frames: list[Frame] = []
        while block := file.read(frame_bytes * _BLOCK_FRAMES):
            count = len(block) // frame_bytes
            found, before = _verify(block[: count * frame_bytes], frame_bytes, (salt_1, salt_2), before, is_swapped)
            frames += found
    return Wal(path, size, frame_bytes, frames)


def find_damage(wal: Wal, trust: Trust) -> str | None:
    """What of the file cannot have been written like this; None if all is well, or if nobody can know."""
    if trust == "unknown" or wal.size <= HEADER_BYTES:
        return None
    if not wal.frame_bytes:
        return "its header is damaged"
    wrong = wal.right
    commits = [n for n in range(wrong, len(wal.frames)) if wal.frames[n].is_current and wal.frames[n].is_commit]
    if trust == "appended":
        is_damage = wrong < len(wal.frames)
    elif trust == "written":
        is_damage = bool(commits) and commits[-1] > wrong
    else:
        is_damage = bool(commits) and any(frame.is_current for frame in wal.frames[commits[0] + 1 :])
    return f"frame {wrong + 1} of {len(wal.frames)} is damaged" if is_damage else None


def inspect_wal(path: Path, trust: Trust) -> Wal:
    """What the -wal file of the database at `path` holds. SQLite must not have it open. Raises Corrupt."""
    wal = read_wal(path.with_name(f"{path.name}-wal"))
    if wal.size > HEADER_BYTES and not (path.exists() and path.stat().st_size):
        raise Corrupt(f"{wal.path}: has content, and {path.name} has none")  # SQLite would delete it
    damage = find_damage(wal, trust)
    if damage is not None:
        raise Corrupt(f"{wal.path}: {damage}")
    return wal


def cut_wal(wal: Wal) -> None:
    """Remove what SQLite has not taken, so that a later commit does not end in the middle of it, as damage would look.

    For the holder of SQLite's exclusive lock, before its first write.
    """
    if wal.size > wal.kept_bytes and wal.path.stat().st_size == wal.size:
        os.truncate(wal.path, wal.kept_bytes)


def _verify(
    block: bytes, frame_bytes: int, salts: tuple[int, int], before: _Sums, is_swapped: bool
) -> tuple[list[Frame], _Sums]:
    """The frames of a block, and the sums stored in the last one."""
    if not block:
        return [], before
    headers = [struct.unpack_from(">6I", block, start) for start in range(0, len(block), frame_bytes)]
    stored = [(header[4], header[5]) for header in headers]
    columns = (0, *range(FRAME_HEADER_BYTES // 8, frame_bytes // 8))
    expected = _sum_lanes(block, columns, [before, *stored[:-1]], is_swapped)
    frames = []
    for (page, pages, salt_1, salt_2, *_), found, wanted in zip(headers, stored, expected, strict=True):
        is_current = (salt_1, salt_2) == salts
        frames.append(Frame(is_current and page != 0 and found == wanted, is_current, pages != 0))
    return frames, stored[-1]


def _sum_lanes(block: bytes, columns: Iterable[int], before: list[_Sums], is_swapped: bool) -> list[_Sums]:
    """What the checksums of equally long parts of a block are, each continuing the one in `before`.

    A part is made of pairs (a, b) of 32-bit words, of which those in `columns` are summed: s0 += a + s1; s1 += b + s0.
    A part's sums are a lane of 64 bits.
    """
    if is_swapped:
        words = array("I", block)
        words.byteswap()
        block = words.tobytes()
    lanes = len(before)
    pairs = memoryview(block).cast("Q")
    width = len(pairs) // lanes
    low = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * lanes, "little")
    s0, s1 = (int.from_bytes(struct.pack(f"<{lanes}Q", *sums), "little") for sums in zip(*before, strict=True))
    for column in columns:
        pair = int.from_bytes(pairs[column::width].tobytes(), "little")
        s0 = s0 + s1 + (pair & low) & low
        s1 = s1 + s0 + (pair >> 32 & low) & low
    unpacked = (struct.unpack(f"<{lanes}Q", sums.to_bytes(8 * lanes, "little")) for sums in (s0, s1))
    return list(zip(*unpacked, strict=True))
