/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef FUZZ_CHANNEL_WATCH_H
#define FUZZ_CHANNEL_WATCH_H

/**
 * @file
 * In front of the library's sources: time, waiting and the kernel's word on who sent a message are
 * those of channel_eal.c. Sockets are real.
 */

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

int watch_clock(struct timespec *now);
uint64_t watch_cycles(void);
int watch_sem_wait(sem_t *sem);
int watch_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int watch_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int watch_socketpair(int domain, int type, int protocol, int ends[2]);
int watch_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
ssize_t watch_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t watch_sendmsg(int fd, const struct msghdr *msg, int flags);
long watch_syscall(long number, long first, ...);

#define clock_gettime(clock, now) watch_clock(now)
#define rte_get_tsc_cycles() watch_cycles()
#define sem_wait(sem) watch_sem_wait(sem)
#define pthread_cond_timedwait(cond, mutex, until) watch_cond_wait((cond), (mutex), (until))
#define poll(fds, count, timeout) watch_poll((fds), (count), (timeout))
#define socketpair(domain, type, protocol, ends) \
	watch_socketpair((domain), (type), (protocol), (ends))
#define setsockopt(fd, level, name, value, length) \
	watch_setsockopt((fd), (level), (name), (value), (length))
#define recvmsg(fd, msg, flags) watch_recvmsg((fd), (msg), (flags))
#define sendmsg(fd, msg, flags) watch_sendmsg((fd), (msg), (flags))
#define syscall(number, ...) watch_syscall((number), __VA_ARGS__)

#endif /* FUZZ_CHANNEL_WATCH_H */
