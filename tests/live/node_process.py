"""One node as a process of its own: `python tests/live/node_process.py FILE [BEGIN]`, what `libelli serve` does.

With LIBELLI_TEST_PROFILE=FILE in the environment the run is profiled, for `tests/live/measure_puts.py`.
With LIBELLI_TEST_FILE_SIZE_MAX=BYTES the operating system refuses larger files, which is a full disk to the node.
"""

import cProfile
import os
import resource
import signal
import sys
from pathlib import Path

from libelli.core.errors import LibelliError
from libelli.live.configuration import load_configuration
from libelli.live.process import serve


def main(file: str, begin: str | None = None) -> int:
    profile_path = os.environ.get("LIBELLI_TEST_PROFILE")
    if size_max := os.environ.get("LIBELLI_TEST_FILE_SIZE_MAX"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size_max), resource.RLIM_INFINITY))
    try:
        configuration = load_configuration(Path(file), environment={}, flags={"begin": begin})
        if profile_path is None:
            return serve(configuration)
        profile = cProfile.Profile()
        code = profile.runcall(serve, configuration)
        profile.dump_stats(profile_path)
        return code
    except LibelliError as error:
        sys.stderr.write(f"libelli: {error}\n")
        return 5


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
