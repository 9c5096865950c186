"""How a process that serves events is set up."""

import gc
import sys

SWITCH_INTERVAL_S = 0.0005
"""How long the loop's thread may keep the GIL from a commit that has come back from its fsync."""
GC_THRESHOLDS = (50_000, 20, 100)
"""Events make no cycles: collections would find nothing, and a full one stops everything for 60 ms."""


def tune() -> None:
    """Make pauses rare. Call it when what stays has been loaded: it is taken out of the collector's sight."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
