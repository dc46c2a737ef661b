/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The primary, as a process, and as DPDK's.
 */
#include <dirent.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "hostile.h"

static int
attach(const void *arg)
{
	return got(ptrace(PTRACE_ATTACH, victim.primary, NULL, NULL));
}

static int
seize(const void *arg)
{
	return got(ptrace(PTRACE_SEIZE, victim.primary, NULL, NULL));
}

static int
read_memory(const void *arg)
{
	char data[8];
	struct iovec local = { data, sizeof(data) }, remote = { (void *)0x400000, sizeof(data) };

	return got(process_vm_readv(victim.primary, &local, 1, &remote, 1, 0));
}

static int
write_memory(const void *arg)
{
	char data[8] = "";
	struct iovec local = { data, sizeof(data) }, remote = { (void *)0x400000, sizeof(data) };

	return got(process_vm_writev(victim.primary, &local, 1, &remote, 1, 0));
}

static int
pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, victim.primary, 0);

	if (fd < 0)
		cannot_begin("pidfd_open");
	return fd;
}

static int
take_descriptor(const void *arg)
{
	return got(syscall(SYS_pidfd_getfd, pidfd(), 3, 0));
}

static int
kill_by_pidfd(const void *arg)
{
	return got(syscall(SYS_pidfd_send_signal, pidfd(), SIGTERM, NULL, 0));
}

static int
advise_memory(const void *arg)
{
	struct iovec range = { (void *)0x400000, victim.page };

	return got(syscall(SYS_process_madvise, pidfd(), &range, 1, 20 /* MADV_COLD */, 0));
}

static int
stop(const void *arg)
{
	return got(kill(victim.primary, SIGSTOP));
}

static int
compare(const void *arg)
{
	return got(syscall(SYS_kcmp, getpid(), victim.primary, KCMP_FILES, 0, 0));
}

static int
limit(const void *arg)
{
	const struct rlimit none = { 0, 0 };

	return got(prlimit(victim.primary, RLIMIT_NOFILE, &none, NULL));
}

static int
slow_down(const void *arg)
{
	return got(setpriority(PRIO_PROCESS, (id_t)victim.primary, 19));
}

static int
pin(const void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return got(sched_setaffinity(victim.primary, sizeof(set), &set));
}

static int
schedule(const void *arg)
{
	const struct sched_param param = { 0 };

	return got(sched_setscheduler(victim.primary, SCHED_IDLE, &param));
}

static int
migrate(const void *arg)
{
	unsigned long from = 1, to = 1;
	long ret = syscall(SYS_migrate_pages, victim.primary, 8 * sizeof(from), &from, &to);

	return ret < 0 && errno == ENOSYS ? NOT_HERE : got(ret);
}

static int
profile(const void *arg)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .exclude_kernel = 1,
	};

	return got(syscall(SYS_perf_event_open, &attr, victim.primary, -1, -1, 0));
}

static int
open_of_primary(const void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", victim.primary, (const char *)arg);
	return got(open(path, O_RDONLY));
}

static int
write_primary_mem(const void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", victim.primary);
	return got(open(path, O_RDWR));
}

static int
open_path(const void *arg)
{
	int fd = open(arg, O_RDWR);

	return got(fd);
}

static int
make_file(const void *arg)
{
	return got(open(arg, O_RDWR | O_CREAT, 0600));
}

static int
connect_to(int type, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return got(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int
speak_to_eal(const void *arg)
{
	return connect_to(SOCK_DGRAM, "/var/run/dpdk/lab/mp_socket");
}

static int
speak_to_telemetry(const void *arg)
{
	return connect_to(SOCK_SEQPACKET, "/var/run/dpdk/lab/dpdk_telemetry.v2");
}

/** Its last words, on standard error. */
static void
run_secondary(const char *runtime, char *said, size_t size)
{
	size_t length = 0;
	ssize_t count;
	int pair[2];
	pid_t pid;

	if (pipe(pair) != 0)
		cannot_begin("pipe");
	pid = fork();
	if (pid == 0) {
		dup2(pair[1], STDERR_FILENO);
		dup2(pair[1], STDOUT_FILENO);
		if (runtime != NULL)
			setenv("XDG_RUNTIME_DIR", runtime, 1);
		execlp("dpdk-testpmd", "dpdk-testpmd", "--proc-type=secondary",
		       "--file-prefix=lab", "--lcores=9@0", "-a", victim.bdf, NULL);
		_exit(1);
	}
	close(pair[1]);
	while (length < size - 1 &&
	       (count = read(pair[0], said + length, size - 1 - length)) > 0)
		length += (size_t)count;
	said[length] = '\0';
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int
be_secondary(const void *arg)
{
	char said[4096];

	run_secondary(arg, said, sizeof(said));
	if (strstr(said, "ermission denied") != NULL)
		return EACCES;
	if (strstr(said, "No such file") != NULL || strstr(said, "not running") != NULL ||
	    strstr(said, "Cannot init config") != NULL || strstr(said, "annot open") != NULL)
		return ENOENT;
	fprintf(stderr, "# it said: %.600s\n", said);
	return WORKED;
}

static const struct attack attacks[] = {
	{ "ptrace() attach", attach, EPERM, 0, NULL, NULL },
	{ "ptrace() seize", seize, EPERM, 0, NULL, NULL },
	{ "process_vm_readv()", read_memory, EPERM, 0, NULL, NULL },
	{ "process_vm_writev()", write_memory, EPERM, 0, NULL, NULL },
	{ "pidfd_getfd()", take_descriptor, EPERM, 0, NULL, NULL },
	{ "pidfd_send_signal()", kill_by_pidfd, EPERM, 0, NULL, NULL },
	{ "process_madvise()", advise_memory, EACCES, EPERM, NULL, NULL },
	{ "kill()", stop, EPERM, 0, NULL, NULL },
	{ "kcmp()", compare, EPERM, 0, NULL, NULL },
	{ "prlimit()", limit, EPERM, 0, NULL, NULL },
	{ "setpriority()", slow_down, EPERM, EACCES, NULL, NULL },
	{ "sched_setaffinity()", pin, EPERM, 0, NULL, NULL },
	{ "sched_setscheduler()", schedule, EPERM, 0, NULL, NULL },
	{ "migrate_pages()", migrate, EPERM, 0, NULL, NULL },
	{ "perf_event_open()", profile, EACCES, EPERM, NULL, NULL },
	{ "/proc/PID/mem, to read", open_of_primary, EACCES, 0, "mem", NULL },
	{ "/proc/PID/mem, to write", write_primary_mem, EACCES, 0, NULL, NULL },
	{ "/proc/PID/fd", open_of_primary, EACCES, 0, "fd", NULL },
	{ "/proc/PID/fd/3", open_of_primary, EACCES, 0, "fd/3", NULL },
	{ "/proc/PID/map_files", open_of_primary, EACCES, EPERM, "map_files", NULL },
	{ "/proc/PID/maps", open_of_primary, EACCES, 0, "maps", NULL },
	{ "/proc/PID/pagemap", open_of_primary, EACCES, 0, "pagemap", NULL },
	{ "/proc/PID/environ", open_of_primary, EACCES, 0, "environ", NULL },
	{ "its hugepages", open_path, EACCES, 0, "/dev/hugepages/labmap_0", NULL },
	{ "a file among its hugepages", make_file, EACCES, 0, "/dev/hugepages/labmap_99", NULL },
	{ "EAL's configuration", open_path, EACCES, 0, "/var/run/dpdk/lab/config", NULL },
	{ "EAL's channel", speak_to_eal, EACCES, 0, NULL, NULL },
	{ "telemetry", speak_to_telemetry, EACCES, 0, NULL, NULL },
	{ "be a secondary of EAL", be_secondary, EACCES, 0, "/var/run", NULL },
	{ "be a secondary of EAL, by one's own folder", be_secondary, ENOENT, EACCES, NULL,
	  NULL },
};

const struct attack_group primary_group = { GROUP("primary", attacks), .channel = false };
