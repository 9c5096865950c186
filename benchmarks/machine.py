"""What the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("ray", "uvicorn", "starlette", "uvloop", "httptools", "msgspec")


def describe_machine() -> str:
    """The processors and the versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return f"{os.cpu_count()} CPUs ({_processor()}), Python {platform.python_version()}, {versions}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe_filesystem(path: Path) -> str:
    """The type of the filesystem of `path`; a tmpfs has no durability to pay for, so its figures say nothing."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(point), kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    kind = max(holding)[1]
    return f"{kind}: not durable, choose another --directory" if kind in {"tmpfs", "ramfs"} else kind


def resident_bytes(pid: int | str) -> tuple[int, int]:
    """(USS, PSS) of a process: the memory that is its own, and that plus its part of what it shares."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kilobytes = line.split()[:2]
        sizes[name] = int(kilobytes) * 1024
    return sizes["Private_Clean:"] + sizes["Private_Dirty:"], sizes["Pss:"]
