"""Compares what replicas hold, a part at a time: a leader asks, everybody hashes the same keys at the same revision.

A hash at a revision needs no pause: versions do not change, so each replica may compute it when it has applied
that much. The parts follow each other through all keys and begin again, so every stored byte is compared in time.
"""

from typing import ClassVar

from msgspec import Struct

from libelli.core.ids import NodeId
from libelli.host.machine import Machine


class CompareKeys(Struct, frozen=True, array_like=True, tag=104):
    """Asks for the hash of up to `keys` keys from `start` on, at `revision`."""

    promises_durability: ClassVar[bool] = False

    number: int
    revision: int
    start: bytes
    keys: int


class KeysCompared(Struct, frozen=True, array_like=True, tag=105):
    """Answers `CompareKeys`; sent only by a replica that has that revision.

    It repeats the question: the number alone could be of the leader's last life, and answered late.
    """

    promises_durability: ClassVar[bool] = False

    number: int
    revision: int
    start: bytes
    keys: int
    digest: bytes


class Comparison:
    """The leader's side, for one group.

    Args:
        machine: what this replica holds.
        keys: how many keys a part has.
    """

    def __init__(self, machine: Machine, *, keys: int) -> None:
        self._machine = machine
        self._keys = keys
        self._number = 0
        self._start = b""
        self._digest = b""
        self._revision = 0
        self._from = b""
        self.compared_keys = 0

    def next(self) -> CompareKeys:
        """Hashes the next part and returns the question for the others."""
        self._number += 1
        self._revision, self._from = self._machine.store.revision, self._start
        self._digest, following, count = self._machine.store.digest(
            self._revision, start_key=self._start, keys_max=self._keys
        )
        self.compared_keys += count
        self._start = following or b""
        return CompareKeys(self._number, self._revision, self._from, self._keys)

    def answer(self, question: CompareKeys) -> KeysCompared | None:
        """Returns this replica's hash; None when it does not have that revision."""
        if not self._machine.store.compact_revision <= question.revision <= self._machine.store.revision:
            return None
        digest, _, _ = self._machine.store.digest(question.revision, start_key=question.start, keys_max=question.keys)
        return KeysCompared(question.number, question.revision, question.start, question.keys, digest)

    def why_differs(self, node: NodeId, answer: KeysCompared) -> str | None:
        """Returns what is wrong with a replica's answer, or None."""
        asked = (self._number, self._revision, self._from, self._keys)
        if (answer.number, answer.revision, answer.start, answer.keys) != asked or answer.digest == self._digest:
            return None
        return (
            f"node {node} holds other data than the leader at revision {self._revision}, in {self._keys} keys from "
            f"{self._from!r} on: save a snapshot, remove the member and add it again with an empty directory"
        )
