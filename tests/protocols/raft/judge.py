"""Judges a cluster after each step by the properties that Raft guarantees at all times (figure 3.2)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from libelli.core import Commit, Effect, Entries, Entry, NodeId, Persist
from libelli.protocols.raft.quorum import majority
from libelli.protocols.raft.state import Role

if TYPE_CHECKING:
    from tests.protocols.raft.world import Node


class Judge:
    """Remembers what ever was true in the cluster."""

    def __init__(self) -> None:
        self.leaders: dict[int, NodeId] = {}
        """Who led a term."""
        self.entries: dict[tuple[int, int], tuple[int, Entry]] = {}
        """By index and term: the term of the entry before, and the entry."""
        self.committed: dict[int, int] = {}
        """By index: the term of the entry that was ever committed there."""
        self.applied: dict[int, Entry] = {}
        self._commits: dict[NodeId, int] = {}

    def look(self, node: "Node", effects: list[Effect], nodes: "Mapping[NodeId, Node]") -> None:
        self.log_matching(node, effects)
        self.commitment(node, nodes)
        self.election_safety(node)
        self.state_machine_safety(effects)

    def election_safety(self, node: "Node") -> None:
        """At most one leader can be elected in a given term; it has all that was ever committed before."""
        state = node.up._state
        if state.role is not Role.LEADER or self.leaders.get(state.term) == node.node:
            return
        assert state.term not in self.leaders, f"two leaders in term {state.term}"
        self.leaders[state.term] = node.node
        # Leader Completeness.
        for index, term in self.committed.items():
            if index > state.log.start_index:
                has = state.log.term_at(index)
                assert has == term, f"leader {node.node} of term {state.term} lacks entry {index} of term {term}"

    def log_matching(self, node: "Node", effects: list[Effect]) -> None:
        """Two logs with an entry of the same index and term are the same in all entries up to there."""
        log = node.up._state.log
        for effect in effects:
            if not isinstance(effect, Persist):
                continue
            for record in effect.records:
                if isinstance(record, Entries):
                    previous = log.term_at(record.first_index - 1)
                    for index, entry in enumerate(record.entries, start=record.first_index):
                        seen = self.entries.setdefault((index, entry.term), (previous, entry))
                        assert seen == (previous, entry), f"entry {index} of term {entry.term} differs"
                        previous = entry.term

    def commitment(self, node: "Node", nodes: "Mapping[NodeId, Node]") -> None:
        """What was committed once stays; a leader commits only what a majority of its voters has on disk."""
        state = node.up._state
        log, before = state.log, self._commits.get(node.node, 0)
        for index in range(max(before, log.start_index) + 1, state.commit + 1):
            term = log.term_at(index)
            assert self.committed.setdefault(index, term) == term, f"entry {index} was committed with another term"
            if state.leading is not None:
                holders = [v for v in state.voters if holds_durably(nodes[v], index, term)]
                assert len(holders) >= majority(len(state.voters)), f"entry {index} is committed on {holders} only"
        self._commits[node.node] = state.commit

    def state_machine_safety(self, effects: list[Effect]) -> None:
        """No two servers apply different entries for the same index."""
        for effect in effects:
            if isinstance(effect, Commit):
                for index, entry in enumerate(effect.entries, start=effect.first_index):
                    assert self.applied.setdefault(index, entry) == entry, f"entry {index} is applied differently"


def holds_durably(node: "Node", index: int, term: int) -> bool:
    """Whether an entry would survive a crash of this node now."""
    if node.disk.term_at(index) == term or index < node.disk.start.index:
        return True
    return index <= node.store.checkpoint
