"""What a Python program imports to use a cluster.

::

    from libelli.client import Client, prefix_range

    with Client(endpoints=["127.0.0.1:7401"], certificates=".libelli/certificates/bundles/admin.pem") as client:
        client.put("jobs/1", "paint the fence")
        item = client.get("jobs/1")                            # item.value == b"paint the fence"
        for item in client.range(*prefix_range("jobs/")): ...  # pages, all at one revision
        with client.pipeline() as pipeline:                    # many at once; leaving it waits for all
            for number in range(100_000):
                pipeline.put(f"jobs/{number}", b"…")
        with client.watch(*prefix_range("jobs/")) as watch:    # reconnects; no gap, nothing twice
            for event in watch: ...

`AsyncClient` has the same calls as coroutines. A call that fails raises a `CallError`: `DidNotHappen` (and its
kinds) or `MayHaveHappened`. What is safe to repeat was repeated already, until the call's time was over.

The pure `Dialogue` is what both run: it finds leaders, keeps sessions and decides what may be sent again.
"""

from libelli.client.aio import AsyncClient
from libelli.client.blocking import Client
from libelli.client.blocking_watch import Watch
from libelli.client.dialogue import Dialogue
from libelli.client.gatherings import Outcome
from libelli.client.keys import EVERYTHING, Data, prefix_range
from libelli.client.options import DialogueOptions
from libelli.client.outcomes import Compacted
from libelli.client.pipelines import AsyncPipeline, Pipeline
from libelli.client.trust import Certificates
from libelli.client.watching import AsyncWatch
from libelli.core.errors import CallError, DidNotHappen, MayHaveHappened
from libelli.stores.mvcc.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    KeyValue,
    Put,
    Range,
    Transaction,
)

__all__ = [
    "EVERYTHING",
    "AsyncClient",
    "AsyncPipeline",
    "AsyncWatch",
    "CallError",
    "Certificates",
    "Client",
    "Compacted",
    "Compare",
    "CompareResult",
    "CompareTarget",
    "Data",
    "DeleteRange",
    "Dialogue",
    "DialogueOptions",
    "DidNotHappen",
    "KeyValue",
    "MayHaveHappened",
    "Outcome",
    "Pipeline",
    "Put",
    "Range",
    "Transaction",
    "Watch",
    "prefix_range",
]
