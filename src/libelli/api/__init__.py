"""Doors of a node beside its native sessions, for programs in other languages."""
