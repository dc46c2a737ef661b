/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conformance.h"

static _Thread_local sigjmp_buf fault;

static void
on_fault(int signal)
{
	siglongjmp(fault, signal);
}

__attribute__((constructor)) static void
catch_faults(void)
{
	/* SA_NODEFER: the handler is left by a jump that does not restore the signal mask. */
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int
touch(const volatile uint32_t *address, uint32_t *value)
{
	uint32_t read;
	int signal = sigsetjmp(fault, 0);

	if (signal)
		return signal;
	read = *address;
	if (value)
		*value = read;
	return 0;
}

bool
page_entry(pid_t pid, const volatile void *address, struct page_entry *entry)
{
	char text[80];
	int fd, length, write, large;
	ssize_t got;

	memset(entry, 0, sizeof(*entry));
	fd = open("/proc/pte_memtype", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;

	length = snprintf(text, sizeof(text), "%d %lx", pid, (unsigned long)address);
	CHECK(pwrite(fd, text, length, 0) == length);
	got = pread(fd, text, sizeof(text) - 1, 0);
	CHECK(got > 0);
	close(fd);
	text[got] = '\0';

	if (sscanf(text, "present=1 pfn=%lx large=%d write=%d %3s", &entry->pfn, &large, &write,
		   entry->type) == 4) {
		entry->present = true;
		entry->write = write;
		entry->huge = large;
	}
	return true;
}
