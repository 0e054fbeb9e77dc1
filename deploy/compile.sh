#!/bin/sh
# Compiles what every message passes (deploy/compile.py), after make-venv.sh: installs mypy and,
# where they are missing, a C compiler and Python's headers. Ends with one line that gives the
# reason where it cannot.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh

missing=""
command -v cc >/dev/null 2>&1 || missing="gcc libc6-dev"
.venv/bin/python -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    missing="$missing${missing:+ }python3-dev"
if [ -n "$missing" ]; then
    can_install "compiling needs a C compiler and the headers of Python" "$missing"
    echo "oneproxy: installing for compiling: $missing"
    install_packages "$missing"
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[compile]' ||
    stop "pip could not install mypy (its reason stands above)"
exec .venv/bin/python deploy/compile.py
