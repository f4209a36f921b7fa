"""The simulated world: virtual time, a network, disks and processes that run the real nodes and clients.

::

    World ─┬─ Kernel                virtual time
           ├─ Network               streams between hosts
           ├─ Process ─┬─ Node      the real one, as in `live`
           │           └─ SimulatedDisk under the real log; checkpoints in memory
           ├─ SimulatedClient       around the real Dialogue
           └─ History, Trace        what judges and people read
"""

from libelli.sim.client import SimulatedClient, Watching
from libelli.sim.clock import Clock
from libelli.sim.disk import DiskTimes, KeepAll, KeepNone, RandomTear, SimulatedDisk, Tear
from libelli.sim.history import History, Operation, Outcome
from libelli.sim.kernel import MS, SECOND, Alarm, Kernel
from libelli.sim.network import End, Link, Network
from libelli.sim.process import Process, ProcessOptions
from libelli.sim.trace import Trace
from libelli.sim.world import World, member_of

__all__ = [
    "MS",
    "SECOND",
    "Alarm",
    "Clock",
    "DiskTimes",
    "End",
    "History",
    "KeepAll",
    "KeepNone",
    "Kernel",
    "Link",
    "Network",
    "Operation",
    "Outcome",
    "Process",
    "ProcessOptions",
    "RandomTear",
    "SimulatedClient",
    "SimulatedDisk",
    "Tear",
    "Trace",
    "Watching",
    "World",
    "member_of",
]
