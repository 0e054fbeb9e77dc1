#!/bin/sh
# Installs the programs that the system tests run against, where they are missing:
# SIPp, the phone baresip, the network namespaces of iproute2, and PostgreSQL.
#
# Of PostgreSQL only the programs are wanted: the tests start a cluster of their own,
# so Debian is told not to make one. Ends with one line that gives the reason where
# a program is missing and cannot be installed.
set -eu

missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v baresip >/dev/null 2>&1 || missing="$missing baresip-core"
PATH="$PATH:/usr/sbin:/sbin" command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 ||
    missing="$missing postgresql"
[ -n "$missing" ] || exit 0

stop() {
    echo "oneproxy: $1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

command -v apt-get >/dev/null 2>&1 || stop "the tests need$missing, and there is no apt-get here to install them"
as_root true 2>/dev/null || stop "the tests need$missing; install them with: sudo apt-get install$missing"

echo "oneproxy: installing for the tests:$missing"
no_cluster=/etc/postgresql-common/createcluster.d/oneproxy-tests.conf
as_root mkdir -p "${no_cluster%/*}"
echo "create_main_cluster = false" | as_root tee "$no_cluster" >/dev/null
trap 'as_root rm -f "$no_cluster"' EXIT
as_root apt-get update -qq || stop "apt-get update failed"
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    stop "apt-get could not install$missing"
