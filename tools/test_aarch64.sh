#!/bin/sh
# Compares results of src_c built for aarch64 and run by qemu, and of the same driver built for this machine, bit for bit with
# the installed package. Needs Debian's gcc-aarch64-linux-gnu and qemu-user-static; --install installs them.
#
#     tools/test_aarch64.sh [--install] [arguments of tests/c/compare.py, --quick for example]
set -eu
cd "$(dirname "$0")/.."

packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
if [ "${1:-}" = --install ]; then
    shift
    command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64-static >/dev/null ||
        { apt-get update -qq && apt-get install -y -qq $packages >/dev/null; }
fi

run=
for name in qemu-aarch64-static qemu-aarch64; do
    command -v "$name" >/dev/null && run=$name && break
done
if ! command -v aarch64-linux-gnu-gcc >/dev/null || [ -z "$run" ]; then
    echo "test_aarch64: missing tools; on Debian and Ubuntu: apt-get install $packages" >&2
    exit 1
fi

python=${PYTHON:-}
[ -n "$python" ] || { [ -x .venv/bin/python ] && python=.venv/bin/python; } || python=python3

"$python" tests/c/compare.py --cc "${CC:-cc}" "$@"
"$python" tests/c/compare.py --cc aarch64-linux-gnu-gcc --run "$run" "$@"
