/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright(c) 2026 The dpdk-bar-lease authors */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

/* Of one case, for a kernel that checks each access, on an emulated processor. */
#define PATIENCE_S 180

enum outcome { PASSED, FAILED, SKIPPED };

static jmp_buf end_of_case;
static char reason[256];
/* Part of the lines of the cases to run. */
static const char *selected = "";

void
tap_skip(const char *why)
{
	snprintf(reason, sizeof(reason), "%s", why);
	longjmp(end_of_case, SKIPPED);
}

void
tap_fail(const char *file, int line, const char *format, ...)
{
	int length = snprintf(reason, sizeof(reason), "%s:%d: ", file, line);
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason + length, sizeof(reason) - length, format, ap);
	va_end(ap);
	longjmp(end_of_case, FAILED);
}

void
tap_check_errno(const char *file, int line, const char *call, long ret, int expected)
{
	int got = ret < 0 ? errno : 0;

	if (got != expected)
		tap_fail(file, line, "%s: %s, expected %s", call,
			 got ? strerror(got) : "success",
			 expected ? strerror(expected) : "success");
}

void
tap_diagnose(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	printf("# ");
	vprintf(format, ap);
	printf("\n");
	va_end(ap);
}

void
tap_bail_out(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	printf("Bail out! ");
	vprintf(format, ap);
	printf("\n");
	va_end(ap);
	exit(EXIT_FAILURE);
}

/* A case that hangs in the kernel would else be known only by the silence of the program. */
static void
on_alarm(int signal)
{
	static const char text[] = "Bail out! the case after the last one told about hangs\n";

	if (write(STDOUT_FILENO, text, sizeof(text) - 1))
		_exit(EXIT_FAILURE);
}

static enum outcome
run_case(const struct test_case *c)
{
	enum outcome outcome = setjmp(end_of_case);

	alarm(PATIENCE_S);
	if (outcome == PASSED)
		c->run(c->arg);
	alarm(0);
	return outcome;
}

void
tap_select(const char *part)
{
	selected = part;
}

static bool
applies(const struct subject *subject, const struct test_case *c)
{
	char line[256];

	snprintf(line, sizeof(line), "%s: %s", subject->name, c->rule);
	return (!c->form || c->form == form) && strstr(line, selected);
}

bool
tap_run(const struct subject *const *subjects, size_t nr_subjects)
{
	size_t number = 0, total = 0, failed = 0, skipped = 0;

	for (size_t i = 0; i < nr_subjects; i++)
		for (size_t j = 0; j < subjects[i]->nr_cases; j++)
			total += applies(subjects[i], &subjects[i]->cases[j]);
	signal(SIGALRM, on_alarm);
	printf("1..%zu\n", total);

	for (size_t i = 0; i < nr_subjects; i++) {
		for (size_t j = 0; j < subjects[i]->nr_cases; j++) {
			const struct test_case *c = &subjects[i]->cases[j];
			enum outcome outcome;

			if (!applies(subjects[i], c))
				continue;
			outcome = run_case(c);
			printf("%s %zu - %s: %s", outcome == FAILED ? "not ok" : "ok", ++number,
			       subjects[i]->name, c->rule);
			if (outcome == SKIPPED)
				printf(" # SKIP %s", reason);
			printf("\n");
			if (outcome == FAILED)
				tap_diagnose("%s", reason);
			failed += outcome == FAILED;
			skipped += outcome == SKIPPED;
		}
	}
	tap_diagnose("%zu passed, %zu failed, %zu skipped", total - failed - skipped, failed,
		     skipped);
	/* None at all proves nothing. */
	return failed == 0 && total > 0;
}
