#!/usr/bin/env bash
# Puts Debian's etcd into .venv/bin, for make bench only.
# The package is unpacked and not installed: installing it would start an etcd service on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if PATH="$PWD/.venv/bin:$PATH" command -v etcd >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "bench: needs the program etcd in PATH (Debian has it in the package etcd-server)" >&2
    exit 1
fi
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
if [ "$(id -u)" -eq 0 ]; then
    chown _apt "$unpacked"  # apt downloads as this user of its own
    apt-get update -qq
fi
if ! (cd "$unpacked" && apt-get download -qq etcd-server && dpkg -x etcd-server_*.deb .); then
    echo "bench: could not fetch etcd-server; run 'apt-get update' as root, then make bench again" >&2
    exit 1
fi
install -m 755 "$unpacked/usr/bin/etcd" .venv/bin/etcd
