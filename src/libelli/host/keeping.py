"""The housekeeping of a group: leases that end, history that is compacted, replicas that are compared.

What changes the store goes through the log, proposed by the leader; only the removal of what was compacted is
each replica's own business, since no answer shows it.
"""

from typing import TYPE_CHECKING

from libelli.core.ids import NodeId
from libelli.host.comparison import CompareKeys, Comparison, KeysCompared
from libelli.host.leases import LeaseClock
from libelli.host.retention import Retention
from libelli.host.world import Trace
from libelli.stores.mvcc.commands import Command, Compact, LeaseRevoke

if TYPE_CHECKING:
    from libelli.host.group import Group

TEND_MS = 100
"""How often a group looks after itself."""
QUESTIONS_MAX = 16
"""Questions of a leader that wait until this replica has applied as much."""


class Keeping:
    """A group's housekeeping."""

    def __init__(self, group: "Group") -> None:
        options = group.options
        self._group = group
        self._leases = LeaseClock()
        self._retention = Retention(retain_revisions=options.retain_revisions, retain_ms=options.retain_ms)
        self._comparison = Comparison(group.machine, keys=options.comparison_keys)
        self._next_ms = 0
        self._compared_ms = 0
        self._questions: list[tuple[NodeId, CompareKeys]] = []
        self._is_leading = False
        self._has_scrubs = True
        self.differences: dict[NodeId, str] = {}
        """What was found wrong with other replicas, while this one leads."""

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def compared_keys(self) -> int:
        """Keys that were compared since the start."""
        return self._comparison.compared_keys

    @property
    def has_scrubs(self) -> bool:
        """Whether compacted versions wait to be removed."""
        return self._has_scrubs

    def begin(self, now_ms: int) -> None:
        """This replica leads from now on."""
        self._is_leading = True
        timing = self._group.options.timing
        self._leases.begin(now_ms, self._group.machine.store.leases(), grace_ms=4 * timing.heartbeat_ms)
        self._retention.forget()
        self._compared_ms = now_ms
        self.differences = {}

    def end(self) -> None:
        """This replica leads no more."""
        self._is_leading = False
        self._leases = LeaseClock()
        self.differences = {}

    def restart(self) -> None:
        """The store's contents are a snapshot now."""
        self._questions = []
        self._has_scrubs = True

    def renew(self, now_ms: int, lease: int) -> int:
        """Gives a lease its whole time again; returns it in seconds, 0 when there is no such lease."""
        return self._leases.renew(now_ms, lease)

    def remaining_ms(self, now_ms: int, lease: int) -> int:
        """Returns what is left of a lease."""
        return self._leases.remaining_ms(now_ms, lease)

    def after_apply(self, now_ms: int) -> None:
        """Looks at what was just applied."""
        store = self._group.machine.store
        for lease, ttl_s in store.take_lease_changes():
            if ttl_s and self._is_leading:
                self._leases.granted(now_ms, lease, ttl_s)
            else:
                self._leases.revoked(lease)
        self._has_scrubs = self._has_scrubs or store.has_scrubs
        if self._questions:
            self._answer_questions()

    def tend(self, now_ms: int) -> None:
        """Does what is due; called at every step, cheap when nothing is."""
        if self._has_scrubs and not self._group.is_being_replaced:
            self._has_scrubs = self._group.machine.store.scrub(self._group.options.scrub_steps)
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + TEND_MS
        group = self._group
        group.installation.tend(now_ms)
        if group.source.close_idle(now_ms):
            group.checkpoint(now_ms)  # what the log kept for them may go
        group.watches.report_progress(now_ms)
        if self._is_leading:
            self._lead(now_ms)

    def next_ms(self, now_ms: int) -> int:
        """Returns when to call `tend` again."""
        return now_ms + 1 if self._has_scrubs and not self._group.is_being_replaced else self._next_ms

    def _lead(self, now_ms: int) -> None:
        group = self._group
        store = group.machine.store
        retry_ms = 10 * group.options.timing.heartbeat_ms
        commands: list[Command] = [LeaseRevoke(lease) for lease in self._leases.expired(now_ms, retry_ms=retry_ms)]
        revision = self._retention.due(now_ms, revision=store.revision, compact_revision=store.compact_revision)
        if revision is not None:
            commands.append(Compact(revision))
        if commands:
            group.propose_own(commands, now_ms)
        interval_ms = group.options.comparison_interval_ms
        if interval_ms and now_ms - self._compared_ms >= interval_ms and store.revision > 1:
            self._compared_ms = now_ms
            self._compare()

    def _compare(self) -> None:
        group = self._group
        question = self._comparison.next()
        nodes = group.replica.configuration.nodes
        self.differences = {node: why for node, why in self.differences.items() if node in nodes}
        for node in nodes:
            if node != group.node:
                group.outbox.send_peer(node, group.group_id, question)

    def take_question(self, source: NodeId, question: CompareKeys) -> None:
        """Takes a leader's question; it waits until this replica has applied as much."""
        self._questions = [*self._questions, (source, question)][-QUESTIONS_MAX:]
        self._answer_questions()

    def take_answer(self, source: NodeId, answer: KeysCompared) -> None:
        """Takes a replica's answer."""
        why = self._comparison.why_differs(source, answer)
        if why is not None and self._is_leading:
            self.differences[source] = why
            self._group.outbox.add(Trace("replicas.differ", self._group.group_id, {"node": source, "why": why}))

    def _answer_questions(self) -> None:
        group = self._group
        if group.is_being_replaced:
            return
        waiting, self._questions = self._questions, []
        for source, question in waiting:
            if question.revision > group.machine.store.revision:
                self._questions.append((source, question))
            elif (answer := self._comparison.answer(question)) is not None:
                group.outbox.send_peer(source, group.group_id, answer)
