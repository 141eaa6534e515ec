"""The embedded engine: one file, one process, no server."""
