#!/bin/sh
# Installs the programs that the system tests run against, where they are missing:
# SIPp, the phone baresip, the registrar Kamailio, the network namespaces of iproute2,
# and PostgreSQL.
#
# Only the programs are wanted: the tests start servers of their own, so Debian is told
# not to make a cluster of PostgreSQL, and to start no Kamailio, now or later. Ends with
# one line that gives the reason where a program is missing and cannot be installed.
set -eu
cd "$(dirname "$0")/.."
. deploy/packages.sh

missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v baresip >/dev/null 2>&1 || missing="$missing baresip-core"
PATH="$PATH:/usr/sbin:/sbin" command -v kamailio >/dev/null 2>&1 || missing="$missing kamailio"
PATH="$PATH:/usr/sbin:/sbin" command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 ||
    missing="$missing postgresql"
[ -n "$missing" ] || exit 0

can_install "the tests need more" "${missing# }"
echo "oneproxy: installing for the tests:$missing"
no_cluster=/etc/postgresql-common/createcluster.d/oneproxy-tests.conf
as_root mkdir -p "${no_cluster%/*}"
echo "create_main_cluster = false" | as_root tee "$no_cluster" >/dev/null
no_service=/usr/sbin/policy-rc.d
if [ -e "$no_service" ]; then
    # Somebody else says what is started here.
    no_service=""
else
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$no_service" >/dev/null
    as_root chmod +x "$no_service"
fi
trap 'as_root rm -f "$no_cluster" $no_service' EXIT
install_packages "$missing"
case "$missing" in *kamailio*) as_root systemctl disable kamailio >/dev/null 2>&1 || true ;; esac
