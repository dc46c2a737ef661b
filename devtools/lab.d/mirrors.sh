# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# Where packages come from: the Debian mirror that this machine's apt already uses.

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

apt_targets() {
	apt-get indextargets --format '$(CODENAME)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
		sort -u
}

# mirror_of CODENAME: the URI from which this machine takes main of that release.
mirror_of() {
	local codename component uri
	while IFS='|' read -r codename component uri; do
		[[ $codename != "$1" || $component != main ]] || { echo "$uri" && return; }
	done < <(apt_targets)
	return 1
}

find_mirrors() {
	mirror_of bookworm >/dev/null || apt-get update -qq
	debian_mirror=$(mirror_of bookworm) ||
		die "no apt source of this machine carries bookworm main (see apt-get indextargets)"
	security_mirror=$(mirror_of bookworm-security) || security_mirror=${debian_mirror%/}-security
}

source_line() {
	local options="signed-by=$archive_keyring"
	[[ -e $archive_keyring ]] || options=''
	! grep -qsiE '^[^#]*trusted(=|: *)yes' /etc/apt/sources.list /etc/apt/sources.list.d/* ||
		options+=' trusted=yes'
	printf 'deb %s%s %s main\n' "${options:+[$options] }" "$1" "$2"
}

sources_of() {
	local suite
	for suite in $1 $1-updates $1-backports; do
		source_line "$debian_mirror" "$suite"
	done
	[[ $1 != bookworm ]] || source_line "$security_mirror" bookworm-security
}

# The machine's own download settings: proxies, time-outs, validity checks.
apt_settings() {
	apt-config dump |
		grep -E '^Acquire::(Allow|Check|Force|Retries|Proxy|http|https|ftp)' || true
	echo 'APT::Install-Recommends "false";'
}

# open_index NAME [SOURCES]: a package index beside the machine's own, for looking up names, of what
# the function SOURCES prints for NAME: prints its configuration file.
open_index() {
	local dir=$lab_dir/apt/$1
	rm -rf "$dir"
	mkdir -p "$dir"/{lists,cache/archives}/partial
	"${2:-sources_of}" "$1" >"$dir/sources.list"
	apt_settings >"$dir/apt.conf"
	cat >>"$dir/apt.conf" <<-CONF
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State::Lists "$dir/lists";
		Dir::State::Status "/dev/null";
		Dir::Cache "$dir/cache";
		APT::Sandbox::User "root";
	CONF
	# A suite that the mirror lacks is an error to apt; the others are there all the same.
	APT_CONFIG=$dir/apt.conf apt-get update >&2 || true
	echo "$dir/apt.conf"
}

# Only the sources whose suite the mirror really has.
usable_sources() {
	local codename component uri
	APT_CONFIG=$1 apt_targets | while IFS='|' read -r codename component uri; do
		source_line "$uri" "$codename"
	done
}

# newest_kernel CONFIG 6.12: the release, such as 6.12.117+deb12-cloud-amd64, of the newest
# cloud kernel of that series that has headers too.
newest_kernel() {
	local release
	for release in $(APT_CONFIG=$1 apt-cache pkgnames "linux-headers-$2." |
		sed -n 's/^linux-headers-\(.*-cloud-amd64\)$/\1/p' | sort -rV); do
		[[ -z $(APT_CONFIG=$1 apt-cache madison "linux-image-$release") ]] ||
			{ echo "$release" && return; }
	done
	say "no suite of the mirror has a Linux $2 cloud kernel with headers"
	return 1
}
