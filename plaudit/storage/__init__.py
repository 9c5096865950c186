"""The write-ahead log, the snapshots and the history: SQLite through aiosqlite, MessagePack inside.

Log first, project later: an event is durable once its log record is; everything in state.sqlite is a projection that
the checkpoint writes, and the log's tail above it is replayed. Errors are raised, never logged.
"""
