"""The `libelli` command."""
