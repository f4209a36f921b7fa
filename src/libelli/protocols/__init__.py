"""Protocols: one folder each, readable beside its paper."""
