"""The state that commands change, pure over a small `Engine` of ordered tables."""
