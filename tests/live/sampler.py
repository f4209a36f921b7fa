"""Where a process spends its processor time: a look at the main thread's stack each millisecond of it.

Unlike cProfile it does not make small functions dear: a sample is taken by a timer that counts processor time, in
whatever function runs then. C functions count for the Python function that calls them.
"""

import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

INTERVAL_S = 0.001


class Sampler:
    """Takes samples from `start` on; `write` puts a table into a file."""

    def __init__(self) -> None:
        self.own: Counter[CodeType] = Counter()
        self.within: Counter[CodeType] = Counter()
        self.samples = 0

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def _take(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is not None:
            self.own[frame.f_code] += 1
        seen = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.within.update(seen)

    def write(self, path: Path, *, rows: int = 30) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        lines = [f"{self.samples} samples\n  own  within\n"]
        lines += [self._row(code) for code, _ in self.own.most_common(rows)]
        lines += ["within:\n", *(self._row(code) for code, _ in self.within.most_common(rows))]
        path.write_text("".join(lines), encoding="utf-8")

    def _row(self, code: CodeType) -> str:
        own, within = (100 * counter[code] / max(1, self.samples) for counter in (self.own, self.within))
        place = "/".join(Path(code.co_filename).parts[-3:])
        return f"{own:5.1f}% {within:5.1f}%  {place}:{code.co_firstlineno} {code.co_qualname}\n"
