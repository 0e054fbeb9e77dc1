#!/bin/sh
# Makes the virtual environment .venv and installs OneProxy into it, editable.
#
#   deploy/make-venv.sh [EXTRA]     EXTRA "dev" adds what tests and lint need
#
# Python is taken from $PYTHON. Without it, from the distribution: its Python is compiled
# with profile feedback and handles a message in two thirds of the time that one built
# by hand takes; where it is too old or not there, what `python3` is. Debian keeps the module that makes virtual
# environments in a package of its own; where it is missing it is installed if that
# is allowed here. Ends with one line that gives the reason where it cannot go on.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh
recent='import sys; sys.exit(sys.version_info < (3, 11))'
python=${PYTHON:-/usr/bin/python3}
[ -n "${PYTHON:-}" ] || "$python" -c "$recent" 2>/dev/null || python=python3
extra=${1:-}

command -v "$python" >/dev/null 2>&1 || stop "$python is not there; on Debian: apt-get install python3"
"$python" -c "$recent" ||
    stop "$("$python" --version) is too old, Python 3.11 or later is needed; name one with: make PYTHON=..."

if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        can_install "$python has no ensurepip module" python3-venv
        echo "oneproxy: installing the Debian package python3-venv, which makes virtual environments"
        install_packages python3-venv
        "$python" -c 'import ensurepip, venv' 2>/dev/null || stop "$python still has no ensurepip module"
    fi
    echo "oneproxy: making .venv"
    "$python" -m venv --clear .venv || stop "could not make .venv"
fi

echo "oneproxy: installing into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extra:+[$extra]}" ||
    stop "pip could not install OneProxy (its reason stands above)"
