"""As much load as a server takes from so many connections: by wrk, or by a Python client where there is no wrk.

Run as `python -m benchmarks.load --port 8000` against a server that is up.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from benchmarks.client import ANSWER_TIMEOUT_S, Client, measure_at_rate, measure_idle
from benchmarks.target import HOST, PATH, Load, Target, event_body

# A request is formatted once per user and kept. wrk calls no Lua per response (that would cost it a third of its
# speed), so it counts statuses from 400 up; that the very first answer is a 201 is for the caller to check.
_SCRIPT = """
local users, before, after = %(users)d, %(before)s, %(after)s
local headers, requests = %(headers)s, {}
math.randomseed(%(seed)d)

request = function()
    local user = math.random(users) - 1
    local text = requests[user]
    if text == nil then
        text = wrk.format("POST", "%(path)s", headers, before .. user .. after)
        requests[user] = text
    end
    return text
end

done = function(summary, latency, _)
    local e = summary.errors
    io.write(string.format("\\nload: requests_per_s=%%.3f p50_us=%%d p90_us=%%d p99_us=%%d errors=%%d\\n",
        summary.requests * 1e6 / summary.duration,
        latency:percentile(50), latency:percentile(90), latency:percentile(99),
        e.connect + e.read + e.write + e.timeout + e.status))
end
"""

_REPORT = re.compile(
    r"^load: requests_per_s=([\d.]+) p50_us=(\d+) p90_us=(\d+) p99_us=(\d+) errors=(\d+)$", re.MULTILINE
)


class LoadGenerator(Protocol):
    """Keeps every connection busy with one request at a time. Its `name` is for the report."""

    name: str

    def run(self, target: Target, connections: int, seconds: float) -> Load:
        """Events of random users for `seconds`."""
        ...


class Wrk:
    """wrk, on one thread. It corrects its percentiles for the requests that a stall kept it from sending."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._runs = 0
        banner = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout
        self.name = " ".join(banner.split()[:2]) or "wrk"

    def run(self, target: Target, connections: int, seconds: float) -> Load:
        """Takes `seconds`, rounded to whole ones, since wrk knows no others."""
        self._runs += 1
        whole_s = max(1, round(seconds))
        with tempfile.TemporaryDirectory(prefix="plaudit-wrk-") as directory:
            script = Path(directory, "events.lua")
            script.write_text(wrk_script(target, self._runs))
            command = [self._program, "-t1", f"-c{connections}", f"-d{whole_s}s", f"--timeout={ANSWER_TIMEOUT_S:.0f}s"]
            output = subprocess.run(
                [*command, "-s", str(script), f"http://{HOST}:{target.port}{PATH}"],
                capture_output=True,
                text=True,
                check=True,
                timeout=whole_s + 3 * ANSWER_TIMEOUT_S,
            ).stdout
        return parse_report(output)


def wrk_script(target: Target, seed: int) -> str:
    """The Lua of a run: equal seeds draw equal users."""
    before, after = event_body("user-\0").split("\\u0000")
    headers = ", ".join(f'["{name}"] = "{value}"' for name, value in target.headers.items())
    return _SCRIPT % {
        "users": target.users,
        "before": json.dumps(before),
        "after": json.dumps(after),
        "headers": f"{{{headers}}}",
        "path": PATH,
        "seed": seed,
    }


def parse_report(output: str) -> Load:
    """The load that the script's `done` wrote. Raises ValueError if it wrote none."""
    report = _REPORT.search(output)
    if report is None:
        raise ValueError(f"expected a line that starts with 'load:' from wrk, got {output!r}")
    rate, p50_us, p90_us, p99_us, errors = report.groups()
    return Load(float(rate), int(p50_us) / 1000, int(p90_us) / 1000, int(p99_us) / 1000, int(errors))


def find_generator() -> LoadGenerator:
    """wrk if it is installed, else the Python client, which takes more of the machine from the server."""
    program = shutil.which("wrk")
    return Wrk(program) if program else Client()


def main() -> None:
    """Print what one server takes: at full load from each generator, from one connection, and at half of its peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--users", type=int, default=10_000)
    args = parser.parse_args()
    target = Target(args.port, args.users)
    generator = find_generator()
    peak = generator.run(target, args.connections, args.seconds)
    print(f"{generator.name}: {peak}")
    if not isinstance(generator, Client):
        print(f"{Client.name}: {Client().run(target, args.connections, args.seconds)}")
    print(f"one connection: {measure_idle(target, args.seconds)}")
    rate = peak.requests_per_s / 2
    print(f"{rate:,.0f}/s: {measure_at_rate(target, args.connections, args.seconds, rate)}")


if __name__ == "__main__":
    main()
