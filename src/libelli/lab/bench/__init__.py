"""The benchmark: a store and its rivals, on one machine, in one interleaved run.

::

    plan ──▶ runner ──▶ Target.measure(load) ──▶ generator processes ──▶ Driver ──▶ the store under test
               │                │                   (closed or open loop)
               ▼                ▼
            report ◀──── Measured: counts, latencies, CPU seconds, checked against the store's own count

`make bench` runs `python -m libelli.lab.bench`. A store takes part through two seams: a `Target` starts and
stops its servers, and a `Driver` sends commands to them from inside a generator process.
"""

from libelli.lab.bench.driver import Driver, Sink
from libelli.lab.bench.load import Closed, Load, Measured, Open, Operation
from libelli.lab.bench.target import BenchError, Target
from libelli.lab.bench.workload import Workload

__all__ = [
    "BenchError",
    "Closed",
    "Driver",
    "Load",
    "Measured",
    "Open",
    "Operation",
    "Sink",
    "Target",
    "Workload",
]
