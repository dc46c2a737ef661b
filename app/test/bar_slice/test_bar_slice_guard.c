/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 *
 * The guard against SIGBUS, on mappings of a file that is cut off: a touch then faults just as a
 * touch of a revoked slice does. The handler is installed once in a process, so every story runs
 * in a child of its own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bar_slice_private.h"

#define PAGE 4096
#define PAGES 4

#define CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition); \
		_exit(1); \
	} \
} while (0)

struct slice {
	int fd;
	volatile uint8_t *at;
	atomic_int lost;
};

static atomic_int refuse_fixed; /* of the mmap() calls below */

void *__real_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset);

void *
__wrap_mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	if ((flags & MAP_FIXED) && atomic_load(&refuse_fixed)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(address, length, prot, flags, fd, offset);
}

static void
note_lost(void *arg)
{
	struct slice *slice = arg;

	atomic_fetch_add(&slice->lost, 1);
}

static void
map_slice(struct slice *slice)
{
	slice->fd = memfd_create("slice", MFD_CLOEXEC);
	CHECK(slice->fd >= 0);
	CHECK(ftruncate(slice->fd, PAGES * PAGE) == 0);
	slice->at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, slice->fd, 0);
	CHECK(slice->at != MAP_FAILED);
	atomic_store(&slice->lost, 0);
}

static void
guard_slice(struct slice *slice)
{
	map_slice(slice);
	CHECK(bar_slice_guard((void *)(uintptr_t)slice->at, PAGES * PAGE, note_lost, slice) == 0);
}

static void
revoke_slice(const struct slice *slice)
{
	CHECK(ftruncate(slice->fd, 0) == 0);
}

static void
release_slice(struct slice *slice)
{
	CHECK(bar_slice_unmap((void *)(uintptr_t)slice->at, PAGES * PAGE) == 0);
	CHECK(close(slice->fd) == 0);
}

/* Wait status of a child that runs the story. */
static int
run(void (*story)(void))
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* Sanitizers come with a handler of theirs. */
		signal(SIGBUS, SIG_DFL);
		story();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
assert_passes(void (*story)(void))
{
	int status = run(story);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
assert_killed(void (*story)(void))
{
	int status = run(story);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void
lost_story(void)
{
	struct slice slice, other;

	guard_slice(&slice);
	guard_slice(&other);
	slice.at[0] = 1;
	CHECK(atomic_load(&slice.lost) == 0);
	revoke_slice(&slice);
	errno = EXFULL;
	slice.at[5] = 7;
	CHECK(errno == EXFULL);
	CHECK(atomic_load(&slice.lost) == 1);
	/* The memory in its place is private, zeroed, and stands for every page. */
	CHECK(slice.at[0] == 0 && slice.at[5] == 7);
	slice.at[(PAGES - 1) * PAGE] = 9;
	CHECK(slice.at[(PAGES - 1) * PAGE] == 9);
	CHECK(lseek(slice.fd, 0, SEEK_END) == 0);
	CHECK(atomic_load(&slice.lost) == 1);
	/* The other slice is as it was. */
	other.at[0] = 3;
	CHECK(atomic_load(&other.lost) == 0);
	CHECK(pread(other.fd, &(uint8_t){ 0 }, 1, 0) == 1);
	release_slice(&slice);
	release_slice(&other);
}

static void
test_lost_once_and_goes_on(void **state)
{
	(void)state;
	assert_passes(lost_story);
}

static void
last_byte_story(void)
{
	struct slice slice;

	guard_slice(&slice);
	revoke_slice(&slice);
	slice.at[PAGES * PAGE - 1] = 1;
	CHECK(atomic_load(&slice.lost) == 1);
}

static void
no_call_story(void)
{
	struct slice slice;

	map_slice(&slice);
	CHECK(bar_slice_guard((void *)(uintptr_t)slice.at, PAGES * PAGE, NULL, NULL) == 0);
	revoke_slice(&slice);
	slice.at[0] = 1;
}

static void
private_story(void)
{
	struct slice slice;
	pid_t child;

	guard_slice(&slice);
	revoke_slice(&slice);
	slice.at[0] = 1;
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		slice.at[0] = 2;
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(slice.at[0] == 1);
}

static void
test_whole_range_is_guarded(void **state)
{
	(void)state;
	assert_passes(private_story);
	assert_passes(last_byte_story);
	assert_passes(no_call_story);
}

static void
other_address_story(void)
{
	struct slice guarded, bare;

	guard_slice(&guarded);
	map_slice(&bare);
	revoke_slice(&bare);
	bare.at[0] = 1;
}

static void
unmapped_story(void)
{
	struct slice slice, next;

	guard_slice(&slice);
	CHECK(bar_slice_unguard((void *)(uintptr_t)slice.at, PAGES * PAGE) == 0);
	next.fd = memfd_create("next", 0);
	CHECK(mmap((void *)(uintptr_t)slice.at, PAGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, next.fd, 0) == slice.at);
	slice.at[0] = 1;
}

static void
sent_story(void)
{
	struct slice slice;

	guard_slice(&slice);
	kill(getpid(), SIGBUS);
}

static void
ignored_fault_story(void)
{
	signal(SIGBUS, SIG_IGN);
	other_address_story();
}

static void
no_memory_story(void)
{
	struct slice slice;

	guard_slice(&slice);
	revoke_slice(&slice);
	atomic_store(&refuse_fixed, 1);
	slice.at[0] = 1;
}

static void
test_other_faults_kill_by_default(void **state)
{
	(void)state;
	assert_killed(other_address_story);
	assert_killed(unmapped_story);
	assert_killed(sent_story);
	assert_killed(ignored_fault_story);
	assert_killed(no_memory_story);
}

static void
ignored_signal_story(void)
{
	struct slice slice;

	signal(SIGBUS, SIG_IGN);
	guard_slice(&slice);
	kill(getpid(), SIGBUS);
	revoke_slice(&slice);
	slice.at[0] = 1;
	CHECK(atomic_load(&slice.lost) == 1);
}

/* Sent by a process with the address of the mapping in it: not a fault. */
static void
queued_signal_story(void)
{
	struct slice slice;
	siginfo_t info = { .si_signo = SIGBUS, .si_code = SI_QUEUE };

	signal(SIGBUS, SIG_IGN);
	guard_slice(&slice);
	info.si_addr = (void *)(uintptr_t)slice.at;
	CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info) == 0);
	CHECK(atomic_load(&slice.lost) == 0);
	slice.at[0] = 1;
	CHECK(pread(slice.fd, &info, 1, 0) == 1 && *(uint8_t *)&info == 1);
}

static sigjmp_buf previous_jump;
static volatile sig_atomic_t previous_calls;
static void *volatile previous_address;
static volatile sig_atomic_t usr1_was_blocked, usr2_was_blocked;

static void
previous_handler(int signo, siginfo_t *info, void *context)
{
	sigset_t mask;

	(void)context;
	CHECK(signo == SIGBUS);
	previous_calls++;
	previous_address = info->si_addr;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	usr1_was_blocked = sigismember(&mask, SIGUSR1);
	usr2_was_blocked = sigismember(&mask, SIGUSR2);
	siglongjmp(previous_jump, 1);
}

static void
set_previous(int flags)
{
	struct sigaction action = { .sa_sigaction = previous_handler };

	action.sa_flags = SA_SIGINFO | flags;
	sigaddset(&action.sa_mask, SIGUSR1);
	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

static void
previous_story(void)
{
	struct slice guarded, bare;
	volatile int i;

	set_previous(0);
	guard_slice(&guarded);
	map_slice(&bare);
	revoke_slice(&bare);
	for (i = 0; i < 3; i++) {
		if (sigsetjmp(previous_jump, 1) == 0) {
			bare.at[i * PAGE] = 1;
			_exit(3); /* it went on past the fault */
		}
		CHECK(previous_calls == i + 1);
		CHECK(previous_address == &bare.at[i * PAGE]);
		/* It runs with the mask it was installed with. */
		CHECK(usr1_was_blocked && !usr2_was_blocked);
	}
	/* The guard holds on. */
	revoke_slice(&guarded);
	guarded.at[0] = 1;
	CHECK(atomic_load(&guarded.lost) == 1 && previous_calls == 3);
}

static void
previous_once_story(void)
{
	struct slice guarded, bare;

	set_previous((int)SA_RESETHAND);
	guard_slice(&guarded);
	map_slice(&bare);
	revoke_slice(&bare);
	if (sigsetjmp(previous_jump, 1) == 0)
		bare.at[0] = 1;
	CHECK(previous_calls == 1);
	revoke_slice(&guarded);
	guarded.at[0] = 1;
	CHECK(atomic_load(&guarded.lost) == 1);
	bare.at[0] = 1;
}

static void
test_previous_handler_gets_the_rest(void **state)
{
	(void)state;
	assert_passes(ignored_signal_story);
	assert_passes(queued_signal_story);
	assert_passes(previous_story);
	assert_killed(previous_once_story);
}

static void
stranger(int signo)
{
	(void)signo;
	_exit(2);
}

/* What EAL's alloc_seg() does in another thread, the first guard falling in between. */
static void
restored_story(void)
{
	struct slice slice, second;
	struct sigaction saved, theirs = { .sa_handler = stranger };

	CHECK(sigaction(SIGBUS, &theirs, &saved) == 0);
	guard_slice(&slice);
	CHECK(sigaction(SIGBUS, &saved, NULL) == 0);
	guard_slice(&second);
	revoke_slice(&slice);
	slice.at[0] = 1;
	CHECK(atomic_load(&slice.lost) == 1);
}

static void
later_handler_story(void)
{
	struct slice slice;
	struct sigaction now, theirs = { .sa_handler = stranger };

	guard_slice(&slice);
	CHECK(sigaction(SIGBUS, &theirs, NULL) == 0);
	guard_slice(&slice);
	CHECK(sigaction(SIGBUS, NULL, &now) == 0);
	CHECK(now.sa_handler == stranger);
}

static void
test_handler_is_put_back(void **state)
{
	(void)state;
	assert_passes(restored_story);
	assert_passes(later_handler_story);
}

#define THREADS 16

static atomic_int stop_writing;

static void *
write_doorbell(void *arg)
{
	struct slice *slice = arg;
	uintptr_t writes = 0;

	while (!atomic_load(&stop_writing) || atomic_load(&slice->lost) == 0) {
		slice->at[writes % (PAGES * PAGE)] = (uint8_t)writes;
		writes++;
	}
	return NULL;
}

static void
threads_story(void)
{
	pthread_t threads[THREADS];
	struct slice slice;
	int i;

	guard_slice(&slice);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, write_doorbell, &slice) == 0);
	usleep(1000);
	revoke_slice(&slice);
	while (atomic_load(&slice.lost) == 0)
		usleep(100);
	usleep(1000);
	atomic_store(&stop_writing, 1);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(atomic_load(&slice.lost) == 1);
	release_slice(&slice);
}

#define ROUNDS 3000

static struct slice *_Atomic round_slice;
static atomic_int round_number, rounds_done;

static void *
touch_each_round(void *arg)
{
	int i;

	(void)arg;
	for (i = 1; i <= ROUNDS; i++) {
		while (atomic_load(&round_number) < i)
			sched_yield();
		atomic_load(&round_slice)->at[0] = 1;
		atomic_fetch_add(&rounds_done, 1);
	}
	return NULL;
}

/* One touch of each thread, as close together as can be, again and again. */
static void
rounds_story(void)
{
	enum { TOUCHERS = 3 };
	pthread_t threads[TOUCHERS];
	struct slice slice;
	int i;

	for (i = 0; i < TOUCHERS; i++)
		CHECK(pthread_create(&threads[i], NULL, touch_each_round, NULL) == 0);
	for (i = 1; i <= ROUNDS; i++) {
		guard_slice(&slice);
		revoke_slice(&slice);
		atomic_store(&round_slice, &slice);
		atomic_store(&round_number, i);
		while (atomic_load(&rounds_done) < i * TOUCHERS)
			sched_yield();
		CHECK(atomic_load(&slice.lost) == 1);
		release_slice(&slice);
	}
	for (i = 0; i < TOUCHERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static void
test_many_threads_fault_at_once(void **state)
{
	int i;

	(void)state;
	assert_passes(rounds_story);
	for (i = 0; i < 20; i++)
		assert_passes(threads_story);
}

static void *
churn(void *arg)
{
	struct slice slice;
	int i;

	(void)arg;
	for (i = 0; i < 2000; i++) {
		guard_slice(&slice);
		slice.at[0] = 1;
		if (i % 3 != 0) {
			revoke_slice(&slice);
			slice.at[PAGE] = 2;
			CHECK(atomic_load(&slice.lost) == 1);
			CHECK(slice.at[PAGE] == 2);
		} else {
			CHECK(atomic_load(&slice.lost) == 0);
		}
		release_slice(&slice);
	}
	return NULL;
}

static void
churn_story(void)
{
	pthread_t threads[THREADS / 2];
	int i;

	for (i = 0; i < THREADS / 2; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (i = 0; i < THREADS / 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static void
test_maps_and_unmaps_beside_faults(void **state)
{
	(void)state;
	assert_passes(churn_story);
}

static void
fork_story(void)
{
	struct slice slice;
	int status;
	pid_t child;

	guard_slice(&slice);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		struct slice own;

		revoke_slice(&slice);
		slice.at[0] = 1;
		CHECK(atomic_load(&slice.lost) == 1);
		guard_slice(&own);
		release_slice(&own);
		release_slice(&slice);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The child's loss is not the parent's, which finds out by itself. */
	CHECK(atomic_load(&slice.lost) == 0);
	slice.at[0] = 1;
	CHECK(atomic_load(&slice.lost) == 1);
	release_slice(&slice);
}

static void
fork_in_lost(void *arg)
{
	struct slice *slice = arg;
	int status;
	pid_t child;

	/*
	 * Not for imitation: it makes sure that the child begins with a replacement under way
	 * whose thread it does not have.
	 */
	if (atomic_fetch_add(&slice->lost, 1) != 0)
		return;
	child = fork();
	if (child == 0) {
		CHECK(bar_slice_unguard((void *)(uintptr_t)slice->at, PAGES * PAGE) == 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
fork_amid_story(void)
{
	struct slice slice;

	alarm(10);
	map_slice(&slice);
	CHECK(bar_slice_guard((void *)(uintptr_t)slice.at, PAGES * PAGE, fork_in_lost,
			      &slice) == 0);
	revoke_slice(&slice);
	slice.at[0] = 1;
	CHECK(atomic_load(&slice.lost) == 1);
}

static void
test_child_is_guarded(void **state)
{
	(void)state;
	assert_passes(fork_story);
	assert_passes(fork_amid_story);
}

static void
full_story(void)
{
	uintptr_t i;

	for (i = 1; i <= BAR_SLICE_MAX_MAPPINGS; i++)
		CHECK(bar_slice_guard((void *)(i * PAGE), PAGE, NULL, NULL) == 0);
	CHECK(bar_slice_guard((void *)(i * PAGE), PAGE, NULL, NULL) == -ENOSPC);
	CHECK(bar_slice_unguard((void *)(77 * PAGE), PAGE) == 0);
	CHECK(bar_slice_guard((void *)(i * PAGE), PAGE, NULL, NULL) == 0);
	CHECK(bar_slice_guard((void *)(i * PAGE), PAGE, NULL, NULL) == -ENOSPC);
}

static void
wrong_unmap_story(void)
{
	struct slice slice;
	uint8_t *at;

	guard_slice(&slice);
	at = (uint8_t *)(uintptr_t)slice.at;
	CHECK(bar_slice_unmap(at + PAGE, PAGES * PAGE) == -EINVAL);
	CHECK(bar_slice_unmap(at, PAGE) == -EINVAL);
	CHECK(bar_slice_unmap(at, PAGES * PAGE) == 0);
	CHECK(bar_slice_unmap(at, PAGES * PAGE) == -EINVAL);
}

static void
test_table_and_its_limits(void **state)
{
	(void)state;
	assert_passes(full_story);
	assert_passes(wrong_unmap_story);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_once_and_goes_on),
		cmocka_unit_test(test_whole_range_is_guarded),
		cmocka_unit_test(test_other_faults_kill_by_default),
		cmocka_unit_test(test_previous_handler_gets_the_rest),
		cmocka_unit_test(test_handler_is_put_back),
		cmocka_unit_test(test_many_threads_fault_at_once),
		cmocka_unit_test(test_maps_and_unmaps_beside_faults),
		cmocka_unit_test(test_child_is_guarded),
		cmocka_unit_test(test_table_and_its_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
