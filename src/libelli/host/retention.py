"""When history is compacted by itself: the leader proposes it, so that all replicas forget alike."""

from collections import deque

SAMPLE_MS = 10_000
SAMPLES_MAX = 1_000
PROPOSE_AGAIN_MS = 5_000
"""After this long a compaction that was proposed and is not applied counts as lost."""


class Retention:
    """Decides up to which revision history may be forgotten.

    Args:
        retain_revisions: keep this many revisions (0: all).
        retain_ms: keep history this long (0: for ever).
    """

    def __init__(self, *, retain_revisions: int, retain_ms: int) -> None:
        self._retain_revisions = retain_revisions
        self._retain_ms = retain_ms
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES_MAX)
        self._proposed, self._proposed_ms = 0, 0

    def forget(self) -> None:
        """Drops what was seen of time: another node led meanwhile."""
        self._samples.clear()
        self._proposed, self._proposed_ms = 0, 0

    def due(self, now_ms: int, *, revision: int, compact_revision: int) -> int | None:
        """Returns the revision to compact at now, or None.

        A compaction comes at a tenth of the retained revisions at the earliest, so that one is worth its entry.
        """
        if not self._samples or now_ms - self._samples[-1][0] >= max(SAMPLE_MS, self._retain_ms // SAMPLES_MAX):
            self._samples.append((now_ms, revision))
        wanted = 0
        if self._retain_revisions and revision - compact_revision > self._retain_revisions * 11 // 10:
            wanted = revision - self._retain_revisions
        if self._retain_ms:
            while len(self._samples) > 1 and self._samples[1][0] <= now_ms - self._retain_ms:
                self._samples.popleft()
            sampled_ms, sampled_revision = self._samples[0]
            if sampled_ms <= now_ms - self._retain_ms:
                wanted = max(wanted, sampled_revision)
        is_under_way = compact_revision < self._proposed and now_ms - self._proposed_ms < PROPOSE_AGAIN_MS
        if is_under_way or not compact_revision < wanted <= revision:
            return None
        self._proposed, self._proposed_ms = wanted, now_ms
        return wanted
