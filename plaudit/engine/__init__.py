"""The rules: pure functions over plain data.

Nothing here reads a clock, draws a random number, opens a file or awaits. Time, ids and the catalog are arguments.
"""
