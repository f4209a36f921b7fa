"""Majorities: what most voters agree on.

Any two majorities of the same voters share one of them; all of Raft's safety rests on it (§3.6.3).
"""

from collections.abc import Sequence

from libelli.core.ids import NodeId


def majority(voters: int) -> int:
    """Returns how many of `voters` are more than half."""
    return voters // 2 + 1


def agreed(values: Sequence[int]) -> int:
    """Returns the largest value that a majority has reached, given one value a voter.

    ::

        S1 ████████████ 12
        S2 █████████ 9          sorted: 12 9 7; a majority of 3 is 2: they agree on 9
        S3 ███████ 7

    It serves for match indexes (what is committed), rounds (which reads are confirmed) and ticks (when a
    majority was last heard). Without voters nothing is agreed on: 0.
    """
    if not values:
        return 0
    return sorted(values)[(len(values) - 1) // 2]


class Ballot:
    """One election's votes, or one pre-election's.

    Args:
        voters: whose votes count.
    """

    __slots__ = ("_votes", "voters")

    def __init__(self, voters: Sequence[NodeId]) -> None:
        self.voters = tuple(voters)
        self._votes: dict[NodeId, bool] = {}

    def cast(self, voter: NodeId, *, granted: bool) -> None:
        """Counts a vote; a second one of the same voter, or a stranger's, counts nothing."""
        if voter in self.voters:
            self._votes.setdefault(voter, granted)

    @property
    def is_won(self) -> bool:
        """Whether a majority granted."""
        return sum(self._votes.values()) >= majority(len(self.voters))

    @property
    def is_lost(self) -> bool:
        """Whether so many denied that no majority is left."""
        denied = len(self._votes) - sum(self._votes.values())
        return denied > len(self.voters) - majority(len(self.voters))
