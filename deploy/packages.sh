# For the other scripts: installing Debian's packages. Source it.

stop() {
    echo "oneproxy: $1" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# can_install WHAT PACKAGES: ends with the reason where they cannot be installed from here.
can_install() {
    command -v apt-get >/dev/null 2>&1 || stop "$1, and there is no apt-get here to install it: $2"
    as_root true 2>/dev/null || stop "$1; install it with: sudo apt-get install $2"
}

# install_packages PACKAGES: from Debian, with what they cannot do without.
install_packages() {
    as_root apt-get update -qq || stop "apt-get update failed"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >/dev/null ||
        stop "apt-get could not install $1"
}
