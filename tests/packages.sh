#!/bin/sh
# Installs what building and the laboratory need, and says what. Installing starts nothing: servers
# come without their units running (policy-rc.d answers 101 while apt-get works, unless the machine
# has a policy of its own), and MariaDB comes as mariadb-server-core, which has no service at all.
# usage: packages.sh [MORE-PACKAGE...]
set -eu

build='gcc make pkg-config git libglib2.0-dev libjansson-dev libmariadb-dev libldap-dev libssh-dev
libcurl4-openssl-dev libxml2-dev libyaml-dev libedit-dev libssl-dev zlib1g-dev'
tests='libcmocka-dev libmicrohttpd-dev perl mariadb-server-core mariadb-client slapd ldap-utils
memcached openssh-server openssh-client postfix openssl python3 python3-pymysql python3-ldap
python3-yaml mandoc tmux'

missing=
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is no Debian or Ubuntu. Please install, by whatever names your system has for them:"
    echo "$build $tests $*" | fmt -w 90
    echo "and then run: make all"
    exit 1
fi
for package in $build $tests "$@"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = 'install ok installed' ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "Installing with apt-get:$missing"

policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made_policy=yes
fi
trap '[ -z "$made_policy" ] || $as_root rm -f "$policy"' EXIT

log=$(mktemp)
if ! { $as_root apt-get update -q &&
       $as_root env DEBIAN_FRONTEND=noninteractive \
           apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "apt-get failed; its whole output is in $log" >&2
    exit 1
fi
rm -f "$log"
