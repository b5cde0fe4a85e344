# Sourced: installs Debian packages, saying so first.

# Says what is about to happen, or exits if it cannot: announce_install WHAT PACKAGE
announce_install() {
    sudo=
    by_hand="As root, run: apt-get update && apt-get install -y $2"
    if ! command -v apt-get >/dev/null; then
        echo "$1 is missing, and there is no apt-get here: install it with this system's package manager." >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        if ! command -v sudo >/dev/null; then
            echo "$1 is missing, and there is no sudo to install it with. $by_hand" >&2
            exit 1
        fi
    fi
    echo "$1 is missing: installing the package $2${sudo:+ (with sudo)}." >&2
    if ! $sudo true; then
        echo "That needs root's rights. $by_hand" >&2
        exit 1
    fi
}

# Installs what was announced: apt_install PACKAGE
apt_install() {
    if ! { $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"; } >&2; then
        echo "The package $1 could not be installed. $by_hand" >&2
        exit 1
    fi
}
