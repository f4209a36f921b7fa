"""One node as a process of its own: `python tests/live/node_process.py FILE [BEGIN]`, what `libelli serve` does.

With LIBELLI_TEST_PROFILE=FILE in the environment it writes there where its time went, for `tests/live/measure_puts.py`.
"""

import os
import sys
from pathlib import Path

from libelli.cli.exits import exit_code_of
from libelli.core.errors import LibelliError
from libelli.live.configuration import load_configuration
from libelli.live.process import serve
from tests.live.sampler import Sampler


def main(file: str, begin: str | None = None) -> int:
    profile_path = os.environ.get("LIBELLI_TEST_PROFILE")
    try:
        configuration = load_configuration(Path(file), environment={}, flags={"begin": begin})
        if profile_path is None:
            return serve(configuration)
        sampler = Sampler()
        sampler.start()
        code = serve(configuration)
        sampler.write(Path(profile_path))
        return code
    except LibelliError as error:
        sys.stderr.write(f"libelli: {error}\n")
        return int(exit_code_of(error))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
