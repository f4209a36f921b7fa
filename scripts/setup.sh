#!/usr/bin/env bash
# Makes .venv from requirements.lock and installs this checkout into it, editable.
# Safe to run again: an environment that fits is kept, one with too old a Python is made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13}; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer, found none; install python3.11 or name one: make setup PYTHON=/path/to/python"
}

# Debian packs venv apart from python3.11, so a fresh machine can lack it.
need_venv() {
    local python=$1 package
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "$python cannot make virtual environments; install the package $package as root, then run make again"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"
}

if ! [ -x .venv/bin/python ] || ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    need_venv "$python"
    "$python" -m venv --clear .venv
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1
# Wheels only, so that no compiler is needed; pysyncobj ships pure Python source and no wheel.
# The pip of Debian 12 warns about these options; their newer meaning is the one we want (-W ignore).
.venv/bin/python -W ignore -m pip install --quiet --use-pep517 --require-hashes --only-binary :all: --no-binary pysyncobj -r requirements.lock
# The build backend is in the lock, so no second, unpinned environment is made for it.
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .

# Tests of power cuts record system calls; without strace they are skipped and name it.
if ! command -v strace >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace; } ||
        printf 'setup: strace could not be installed; tests of power cuts will be skipped\n' >&2
fi
