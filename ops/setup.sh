#!/usr/bin/env bash
# Makes this machine ready to build, test and demonstrate Meridian: checks the
# tools that a person brings, installs what is missing from Debian's packages.
# Running it again changes nothing. Exit status: 0 ready, 3 something is missing
# that could not be installed; what to run is then the last line.
#
# PostgreSQL is installed for its programs alone: Meridian starts private
# servers from them. The distribution's own cluster is neither created nor
# started.
set -euo pipefail

fail() {
	printf 'setup: %s\n' "$@" >&2
	exit 3
}

# program PATH...: is one of these an executable?
found() {
	local path
	for path in "$@"; do
		if [[ $path == /* ]]; then
			[[ -x $path ]] && return 0
		elif command -v "$path" >/dev/null 2>&1; then
			return 0
		fi
	done
	return 1
}

for tool in go gcc git; do
	found "$tool" || fail "$tool was not found in PATH." \
		"Install it: Go 1.26 or newer from https://go.dev/dl/, gcc and git by: apt-get install -y gcc libc6-dev git"
done

shopt -s nullglob
missing=()
found /usr/lib/postgresql/*/bin/initdb initdb || missing+=(postgresql)
found radclient || missing+=(freeradius-utils)
found ip /usr/sbin/ip /sbin/ip || missing+=(iproute2)
found nft /usr/sbin/nft /sbin/nft || missing+=(nftables)
# promtool is one program of a package whose server is not wanted here.
want_promtool=
found promtool || want_promtool=1
((${#missing[@]})) || [[ $want_promtool ]] || exit 0

wanted="${missing[*]}${want_promtool:+ promtool}"
command_line="ops/setup.sh"
found apt-get || fail "missing: $wanted; this is not a Debian system." \
	"Install what provides initdb and postgres, radclient, ip, nft and promtool by hand."

as_root=()
if ((EUID != 0)); then
	found sudo || fail "missing: $wanted; installing them needs root." "Run as root: $command_line"
	if [[ -t 0 ]]; then
		as_root=(sudo)
	else
		sudo -n true 2>/dev/null || fail "missing: $wanted; sudo asks for a password and there is no terminal." \
			"Run: sudo $command_line"
		as_root=(sudo -n)
	fi
fi
root() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@"; }
install() { root apt-get install -y -q -o DPkg::Lock::Timeout=120 --no-install-recommends "$@"; }

echo "setup: installing $wanted"
root apt-get update -qq || echo "setup: the package lists could not be refreshed, trying with the old ones" >&2
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
	# Before the server's package, which would create and start a cluster.
	install postgresql-common || fail "could not install postgresql-common." "Run as root: $command_line"
	root mkdir -p /etc/postgresql-common/createcluster.d
	root sh -c 'echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/meridian.conf'
fi
if ((${#missing[@]})); then
	install "${missing[@]}" || fail "could not install ${missing[*]}." "Run as root: $command_line"
fi
if [[ $want_promtool ]]; then
	# The package would start a server: only its checker is taken out of it.
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(cd "$tmp" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) ||
		fail "could not get promtool out of Debian's package prometheus." "Run: $command_line"
	root install -m 0755 "$tmp/usr/bin/promtool" /usr/local/bin/promtool
fi
echo "setup: done"
