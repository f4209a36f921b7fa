"""A replica's state from what it finds at its start (§3.8).

::

    log     start ───── entries ───── last        the usual case: goes on with both
    store         ───── applied

    log     start ── last                         the store is ahead: it got a snapshot, or applied entries that
    store            ──────── applied             others had made durable. The log begins anew after `applied`
"""

from libelli.core.entries import EntryKind, LogStart, Recovered
from libelli.core.errors import InvariantError
from libelli.core.ids import Index
from libelli.core.members import decode_configuration
from libelli.protocols.raft.log import Log
from libelli.protocols.raft.membership import Configurations
from libelli.protocols.raft.options import Options


def recover_log(recovered: Recovered, options: Options) -> tuple[Log, Configurations, LogStart | None]:
    """Returns the log, its configurations, and its new start if the store is ahead of it.

    Raises:
        InvariantError: the store lacks entries that the log has forgotten.
    """
    start = recovered.start
    applied = recovered.applied
    if applied < start.index:
        raise InvariantError(
            f"the store holds entries up to {applied}, the log begins after {start.index}: what lies between is "
            f"lost here; remove this member and add a fresh one"
        )
    log = Log(start_index=start.index, start_term=start.term, memory_bytes=options.memory_bytes)
    log.append(recovered.entries)
    if not log.matches(index=applied, term=recovered.applied_term):
        restart = LogStart(applied, recovered.applied_term, recovered.applied_configuration)
        log.reset(start_index=applied, start_term=recovered.applied_term)
        return log, Configurations(index=applied, configuration=restart.configuration), restart
    configurations = Configurations(index=start.index, configuration=start.configuration)
    for index, entry in enumerate(recovered.entries, start=start.index + 1):
        if entry.kind is EntryKind.CONFIGURATION:
            configurations.append(index=Index(index), configuration=decode_configuration(entry.data))
    log.evict(log.last_index)
    return log, configurations, None
