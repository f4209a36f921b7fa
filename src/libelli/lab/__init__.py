"""Workloads, experiments, statistics, figures: what turns a claim into a number that anyone can measure again."""

from libelli.lab.histogram import Histogram

__all__ = ["Histogram"]
