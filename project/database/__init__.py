"""Database access: engines, queries, writes, time-outs and failures."""
