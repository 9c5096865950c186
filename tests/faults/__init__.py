"""Faults below the real SQLite: writes, syncs and reads that fail, are cut short or kill, and bits that flip."""
