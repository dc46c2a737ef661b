# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
#
# `lab test`: the style check, the unit tests and, for every kernel and kind of machine, one boot
# that runs the scenarios.

scenarios=$top/devtools/guest/scenarios
scenario_timeout=180
slowness=1
style_summary='sources follow the house rules'
dkms_summary='DKMS installs the kernel driver and removes it without a trace'
passed=0 failed=0 skipped=0
failures=()

test_main() {
	local selected=() of_kernel names
	if [[ ${1-} == --list ]]; then
		list_tests
		return
	fi
	check_names "$@"
	selected=("$@")
	summary_due=yes
	start_lab
	set_up
	if is_selected style; then
		run_host_test style "$style_summary" bookworm /src/devtools/check-style
	fi
	if is_selected unit; then run_units; fi
	for of_kernel in ${kernel:-"${kernels[@]}"}; do
		if is_selected dkms; then
			run_host_test "dkms-$of_kernel" "$dkms_summary" "${root_of_kernel[$of_kernel]}" \
				/src/devtools/lab.d/in-root/dkms "$(kernel_release "$of_kernel")"
		fi
	done
	for of_kernel in ${kernel:-"${kernels[@]}"}; do
		for machine in "${machines[@]}"; do
			mapfile -t names < <(scenarios_for "$of_kernel" "$machine")
			run_scenarios "$of_kernel" "$machine" "${names[@]}"
		done
	done
	print_summary
	((failed == 0))
}

# `lab long`: what takes too long for `lab test`.
long_main() {
	local names
	mapfile -t names < <(scenario_names long)
	stress=${stress:-3600} summary_due=yes
	start_lab
	set_up
	run_scenarios "${kernel:-6.12}" "$machine" "${names[@]}"
	print_summary
	((failed == 0))
}

# `lab chaos`: the test of that name, with more deaths, whose last line is what came of it.
chaos_main() {
	local deaths=${1:-1000} of_kernel=${kernel:-6.12} log
	[[ $deaths =~ ^[1-9][0-9]*$ ]] || die "chaos '$deaths' is not a number of deaths"
	stress=$((deaths * 5))
	start_lab
	set_up
	run_scenarios "$of_kernel" "$machine" "chaos@$deaths"
	log=$lab_dir/log/$(place_of "$of_kernel" "$machine")-chaos@$deaths.log
	sed -n 's/^# \([0-9]* deaths: .*\)/\1/p' "$log"
	((failed == 0))
}

print_summary() {
	summary_due=
	((${#failures[@]} == 0)) || printf '# failed: %s\n' "${failures[@]}"
	echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
}

# A set-up that fails is a failed test; an interrupted one is none.
summary_after_failure() {
	[[ ${summary_due-} == yes && $1 == 1 ]] || return 0
	failed=$((failed + 1))
	print_summary
}

list_tests() {
	local name
	echo "style - $style_summary"
	echo "dkms - $dkms_summary"
	echo "unit - every unit test of the build"
	for name in $(scenario_names test); do
		echo "$name - $(scenario_summary "$name")"
	done
}

# scenario_names COMMAND: a header line `# command: NAME` takes a scenario from `test`.
scenario_names() {
	local file
	for file in "$scenarios"/*.py; do
		file=$(basename "$file" .py)
		[[ $(scenario_setting "$file" command test) != "$1" ]] || echo "$file"
	done
}

# A scenario NAME@ARGUMENT is NAME.py, run with the argument.
scenario_file() { echo "$scenarios/${1%@*}.py"; }

scenario_summary() {
	sed -n 's/^"""\(.*\)$/\1/p' "$(scenario_file "$1")" | sed '1q' | sed 's/"""$//'
}

# scenario_setting NAME KEY DEFAULT: the value of a header line `# KEY: value`.
scenario_setting() {
	local value
	value=$(sed -n "s/^# $2: *//p;/^import\|^from/q" "$(scenario_file "$1")")
	echo "${value:-$3}"
}

# The seconds until a scenario has failed.
scenario_patience() {
	echo $(($(scenario_setting "$1" timeout $scenario_timeout) * slowness + ${stress:-0}))
}

check_names() {
	local name
	for name; do
		[[ " style unit dkms " == *" $name "* || -e $scenarios/$name.py ]] ||
			die "no test is called $name (see devtools/lab test --list)"
	done
}

is_selected() { ((${#selected[@]} == 0)) || [[ " ${selected[*]} " == *" $1 "* ]]; }

scenarios_for() {
	local name
	for name in $(scenario_names test); do
		is_selected "$name" || continue
		[[ " $(scenario_setting "$name" machine default) " == *" $2 "* ]] || continue
		[[ " $(scenario_setting "$name" kernels "${kernels[*]}") " == *" $1 "* ]] || continue
		echo "$name"
	done
}

# verdict ok|failed|skipped WHERE NAME SECONDS SUMMARY LOG: one line, and what explains it.
verdict() {
	case $1 in
	ok)
		passed=$((passed + 1))
		echo "ok $2 $3 ($4 s) - $5"
		grep '^# ' "$6" || true
		;;
	skipped)
		skipped=$((skipped + 1))
		echo "skip $2 $3 ($4 s) - $5: $(sed -n 's/^skip: //p' "$6" | tail -n 1)"
		;;
	*)
		failed=$((failed + 1))
		failures+=("$2 $3: $(grep -m 1 '^FAILED' "$6" ||
			grep -m 1 -E '^[A-Za-z.]+(Error|Exception|Expired):' "$6" || tail -n 1 "$6")")
		echo "not ok $2 $3 ($4 s) - $5"
		tail -n 200 "$6" | sed 's/^/    /'
		;;
	esac
}

# run_host_test NAME SUMMARY ROOT CMD...: a test that needs no guest, run in a root.
run_host_test() {
	local name=$1 summary=$2 began=$SECONDS log=$lab_dir/log/$1.log result=ok
	contained in_root "${@:3}" >"$log" 2>&1 &
	wait $! || result=failed
	verdict "$result" host "$name" $((SECONDS - began)) "$summary" "$log"
}

# in-root/unit-tests prints `@end NAME VERDICT SECONDS` after what each test printed.
run_units() {
	local line log=$lab_dir/log/unit.log all=$lab_dir/log/units.log result name seconds
	say 'running the unit tests'
	contained in_root bookworm /src/devtools/lab.d/in-root/unit-tests >"$all" 2>&1 &
	if ! wait $!; then
		verdict failed host unit 0 'the unit tests run' "$all"
		return
	fi
	: >"$log"
	while IFS= read -r line; do
		if [[ $line == '@end '* ]]; then
			read -r _ result seconds name <<<"$line"
			verdict "$result" host "unit/$name" "$seconds" 'unit test' "$log"
			: >"$log"
		else
			printf '%s\n' "$line" >>"$log"
		fi
	done <"$all"
}

# place_of KERNEL MACHINE: how verdicts and logs call it.
place_of() { [[ $2 == default ]] && echo "$1" || echo "$1-$2"; }

# run_scenarios KERNEL MACHINE NAME...: boots again for what is left when a guest dies.
run_scenarios() {
	local of_kernel=$1 machine=$2 retried=
	shift 2
	while (($#)); do
		local todo=("$@") done_count=0
		run_batch
		shift "$done_count"
	done
}

# Runs $todo in one guest; leaves in done_count how many of them have their verdict.
run_batch() {
	local name arguments=() line words current='' log='' out boot_began=$SECONDS
	local patience=300 guest where
	where=$(place_of "$of_kernel" "$machine")
	for name in "${todo[@]}"; do
		arguments+=("$name:$(scenario_patience "$name")")
	done
	new_run
	mkfifo "$run/output"
	boot "$of_kernel" "$machine" run \
		"STRESS_S=$stress exec \$GUEST/run-scenarios ${arguments[*]}" >"$run/output" &
	guest=$!
	exec {out}<"$run/output"
	while IFS= read -r -t "$patience" -u "$out" line; do
		case $line in
		@begin\ *)
			current=${line#@begin }
			log=$lab_dir/log/$where-$current.log
			patience=$(($(scenario_patience "$current") + 60))
			boot_began=$SECONDS
			: >"$log"
			;;
		@end\ *)
			read -ra words <<<"$line"
			verdict "${words[2]}" "$where" "$current" "${words[3]}" \
				"$(scenario_summary "$current")" "$log"
			done_count=$((done_count + 1))
			current='' patience=120
			;;
		*) [[ -z $log ]] || printf '%s\n' "$line" >>"$log" ;;
		esac
	done
	exec {out}<&-
	if ((done_count < ${#todo[@]})); then
		lost_guest
	fi
	kill -KILL "$guest" 2>/dev/null || true
	wait "$guest" 2>/dev/null || true
	end_run
}

# The guest or QEMU died, or neither speaks any more: the test that ran has failed, except that a
# known fault of QEMU 10.0 under emulation gets one more try.
lost_guest() {
	if [[ -z $current ]]; then
		current=${todo[done_count]}
		log=$lab_dir/log/$where-$current.log
		: >"$log"
	fi
	if [[ -z $retried ]] && grep -qs iotlb_to_section "$run/qemu.stderr"; then
		retried=yes
		echo "# $where $current: QEMU died of its iotlb_to_section fault; trying once more"
		return
	fi
	if [[ $current == mutant@* ]] &&
		grep -m 1 -E 'Kernel panic|BUG:|Oops|general protection' "$run/console.log" >"$log.why"; then
		sed 's/^/# the broken driver ended the kernel: /' "$log.why" >"$log"
		verdict ok "$where" "$current" $((SECONDS - boot_began)) \
			"$(scenario_summary "$current")" "$log"
		done_count=$((done_count + 1))
		return
	fi
	{
		echo 'the guest was lost; the end of its console and of what QEMU said:'
		! kill -0 "$guest" 2>/dev/null || wake_guest
		tail -n 150 "$run/console.log"
		tail -n 20 "$run/qemu.stderr"
		echo "the guest was lost at $(grep -aoE 'RIP: [^ ]+|^.*task:[^ ]+ +state:D' \
			"$run/console.log" | sed 's/^\[[^]]*\] *//; s/ \+/ /g' | sort -u | paste -sd ';')"
	} >>"$log" 2>&1
	verdict failed "$where" "$current" $((SECONDS - boot_began)) \
		"$(scenario_summary "$current")" "$log"
	done_count=$((done_count + 1))
}
