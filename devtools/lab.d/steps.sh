# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# Cached set-up steps that run contained, with progress, and leave nothing when interrupted.

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
	printf 'lab: error: %s\n' "$*" >&2
	exit 1
}

# Use as `contained FUNCTION ARG... &`: the function gets mount and PID namespaces of its own
# that the kernel takes down with this shell, however it dies.
contained() {
	local own=()
	[[ $1 != --net ]] || { own=(--net) && shift; }
	exec setpriv --pdeathsig KILL \
		unshare "${own[@]}" --mount --pid --fork --kill-child --mount-proc \
		bash "$top/devtools/lab" --inside "$@"
}

start_lab() {
	((EUID == 0)) || die 'needs root: it makes namespaces, taps and chroots'
	mkdir -p "$lab_dir"/{stamps,log,roots,images}
	trap stop_lab EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	remove_stale_runs
}

stop_lab() {
	local status=$? pid
	trap '' INT TERM HUP
	[[ -z ${saved_tty-} ]] || stty "$saved_tty" </dev/tty || true
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	[[ -z ${run-} ]] || rm -rf "$run"
	summary_after_failure "$status"
}

lock_lab() {
	exec {lab_lock}>"$lab_dir/lock"
	flock -n "$lab_lock" && return
	say 'waiting for another lab that is setting up in the same folder'
	flock "$lab_lock"
}

unlock_lab() { exec {lab_lock}>&-; }

declare -A step_of=()

# start_step NAME INPUTS FUNCTION: the step is redone when INPUTS, a text, differs from last time.
start_step() {
	local stamp=$lab_dir/stamps/$1
	[[ ! -e $stamp || $(<"$stamp") != "$2" ]] || return 0
	rm -f "$stamp"
	contained finish_step "$@" >"$lab_dir/log/$1.log" 2>&1 &
	step_of[$!]=$1
}

finish_step() {
	"$3"
	printf '%s\n' "$2" >"$lab_dir/stamps/$1"
}

# Waits for every started step; speaks up after 5 s and then every 10 s.
wait_steps() {
	local began=$SECONDS last=-5 pid name
	while ((${#step_of[@]})); do
		for pid in "${!step_of[@]}"; do
			kill -0 "$pid" 2>/dev/null && continue
			name=${step_of[$pid]}
			unset "step_of[$pid]"
			wait "$pid" || step_failed "$name"
			((SECONDS - began < 5)) || say "$name: done ($((SECONDS - began)) s)"
		done
		if ((SECONDS - began - last >= 10 && ${#step_of[@]})); then
			last=$((SECONDS - began))
			say "working on: ${step_of[*]} ($last s)"
		fi
		((${#step_of[@]} == 0)) || sleep 0.2
	done
}

step_failed() {
	tail -n 30 "$lab_dir/log/$1.log" >&2
	die "$1 failed; the whole log is $lab_dir/log/$1.log"
}

remove_stale_runs() {
	local old
	for old in "$lab_dir"/run.*; do
		[[ ! -e $old/lock ]] || flock -n "$old/lock" rm -rf "$old" || true
	done
}

clean_lab() {
	remove_stale_runs
	lock_lab
	! compgen -G "$lab_dir/run.*" >/dev/null || die 'a guest is still running from this folder'
	rm -rf --one-file-system "$lab_dir"
}
