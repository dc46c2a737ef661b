/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The dpdk-bar-lease authors
 */
#ifndef BAR_LEASE_H
#define BAR_LEASE_H

/**
 * @file
 * Who holds which BAR slice.
 *
 * The lessor (the DPDK primary process, which owns the device) keeps a table of slices, one page
 * of a BAR each, and grants leases on them. A lessee (a secondary process) asks for slices and
 * gets a mapping of each, nothing else of the device. One slice has one holder.
 *
 * rte_mp serves only to find each other: its one request returns one end of a socket pair. Over
 * that channel the lessor learns from the kernel who the peer is (SCM_CREDENTIALS and a pidfd),
 * hands out DMABUF descriptors, and notices its end. End of file means: revoke now. A readable
 * pidfd means: the process is gone, what its slices drive may be reset.
 *
 * A slice goes FREE, LEASED, REVOKED (nobody can ring any more), RESETTING (its holder has ended or
 * let go of it; the lessor's user resets what the slice drives and takes its buffers back), FREE.
 * Where the reset fails, it stays QUARANTINED until bar_lessor_start(); where the kernel would not
 * revoke, until it does.
 *
 * Functions return 0 or a non-negative value on success and a negative errno on failure. Failures
 * are logged with object and cause under the log type "lib.bar_lease".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <bar_slice.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name of a lessor, with its terminating NUL; a PCI address fits. */
#define BAR_LEASE_NAME_SIZE 48

/** Most slices that one lessor can have. */
#define BAR_LEASE_MAX_SLICES 1024

/** Most lessees that one lessor serves at once; another one is refused with -EUSERS. */
#define BAR_LEASE_MAX_PEERS 128

/** The life of a slice. */
enum bar_lease_state {
	BAR_LEASE_FREE,
	BAR_LEASE_TAKEN,	/**< the lessor's own process uses it */
	BAR_LEASE_LEASED,
	BAR_LEASE_REVOKED,	/**< revoked; its holder is not known to have stopped */
	BAR_LEASE_RESETTING,	/**< its reset is under way, or due at the start */
	BAR_LEASE_QUARANTINED,	/**< the reset failed, or the revocation */
};

/** Name of a state, as telemetry and logs give it. Never NULL. */
const char *bar_lease_state_name(enum bar_lease_state state);

/* ---- The lessor ---- */

struct bar_lessor;

/** One page of a BAR that can be leased. */
struct bar_lessor_slice {
	unsigned int bar;		/**< VFIO region index, 0 to 5 */
	uint64_t offset;		/**< in the BAR; a multiple of the page size */
	char name[BAR_SLICE_NAME_SIZE];	/**< for /proc/PID/maps, logs and telemetry */
};

/** What has become of requests for a slice. */
struct bar_lease_counters {
	uint64_t requests;	/**< lessees asked, and waited for the answer */
	uint64_t refused;	/**< of these */
	uint64_t lost;		/**< leases that were revoked before they were given back */
};

struct bar_lessor_conf {
	/** What lessees ask for, unique in the process: the device's PCI address. Copied. */
	const char *name;
	/** VFIO device descriptor; must stay open until bar_lessor_destroy(). */
	int device_fd;
	/** What bar_slice_probe() found. Copied. */
	struct bar_slice_support support;
	/** Memory type of the lessees' mappings. */
	enum bar_slice_memattr memattr;
	/** Copied. */
	const struct bar_lessor_slice *slices;
	unsigned int nb_slices;
	/**
	 * Reset what slice number @p slice drives and take its buffers back. Called from the EAL
	 * interrupt thread, when the slice is revoked and its holder has ended or let go of it,
	 * and only between bar_lessor_start() and bar_lessor_stop(). Of the library it may call
	 * bar_lessor_query(), bar_lessor_hold(), bar_lessor_put() and bar_lessor_reset_done().
	 *
	 * @return 0: free for the next holder; -EINPROGRESS: RESETTING until
	 * bar_lessor_reset_done(), or called again at the next start; another negative errno:
	 * quarantined.
	 */
	int (*reset)(void *arg, unsigned int slice);
	/**
	 * A lessee calls: bar_lessee_call(). Called from the EAL interrupt thread, also while the
	 * lessor is stopped. @p code and @p value are whatever that process sent: check both. Of
	 * the library it may call bar_lessor_notify(). NULL: every call fails with -ENOTSUP.
	 *
	 * @return 0 or a negative errno, for the caller.
	 */
	int (*call)(void *arg, uint32_t code, int32_t value);
	/**
	 * Of each slice, for anybody to read, and written by the EAL interrupt thread, never back
	 * to 0; may be in shared memory, and must last until bar_lessor_destroy(). NULL: not
	 * counted.
	 */
	struct bar_lease_counters *counters;
	void *arg;
};

/** A snapshot of one slice. */
struct bar_lease_info {
	enum bar_lease_state state;
	pid_t pid;		/**< of the last holder; 0 for none yet */
	uid_t uid;		/**< of the last holder */
	bool ended;		/**< that process ended, while it had the lease */
	uint64_t granted;	/**< leases of this slice so far */
	uint64_t refused;	/**< requests for it refused so far */
	/* CLOCK_MONOTONIC in nanoseconds of the latest such event; 0 for none yet. */
	uint64_t granted_at;
	uint64_t revoked_at;
	uint64_t freed_at;	/**< reset done, free for the next holder */
};

/**
 * Set up the table and listen for lessees. Nothing is granted before bar_lessor_start().
 * Primary process only; not from the rte_mp or the interrupt thread.
 *
 * @return
 *   - -EINVAL: a wrong argument, or not the primary process;
 *   - -EEXIST: there is a lessor of this name;
 *   - -ENOTSUP: the kernel offers no revocable slices, or EAL runs without multi-process
 *     support (--in-memory, --no-shconf): logged, which;
 *   - -ENOMEM.
 */
int bar_lessor_create(const struct bar_lessor_conf *conf, struct bar_lessor **lessor);

/** Revoke everything, hang up on every lessee, and free the lessor. NULL does nothing. */
void bar_lessor_destroy(struct bar_lessor *lessor);

/**
 * Begin to grant leases. The caller has just reset what the slices drive, those apart that are
 * still REVOKED or RESETTING: their reset() is called once their holder has let go or ended, which
 * may be at once. Quarantined slices become free.
 */
void bar_lessor_start(struct bar_lessor *lessor);

/**
 * Revoke every lease and grant no more; lessees are told and asked to let go. Waits for their
 * answers, but at most @p timeout_ms milliseconds. No reset() is called for those that come in
 * time: their slices are free, and for the caller to reset. Slices of the others stay REVOKED, and
 * their holders may still be working with what they drive: leave it alone until reset() is called.
 * When they let go, the slice becomes RESETTING until bar_lessor_start().
 *
 * @return number of slices whose holder lives and has not let go.
 */
int bar_lessor_stop(struct bar_lessor *lessor, unsigned int timeout_ms);

/** Lessees attached, or about to be. Any thread. */
unsigned int bar_lessor_count_lessees(const struct bar_lessor *lessor);

/** State of a slice, without waiting. Any thread. */
enum bar_lease_state bar_lessor_state(const struct bar_lessor *lessor, unsigned int slice);

/**
 * Take a slice for the lessor's own process. Lock-free, from any thread.
 *
 * @return -EBUSY: another process has it or its reset is not done; -ENETDOWN: not started.
 */
int bar_lessor_take(struct bar_lessor *lessor, unsigned int slice);

/**
 * Keep a free slice from everybody, the lessor's own process included, until bar_lessor_put().
 * Like bar_lessor_take(), but also before bar_lessor_start().
 *
 * @return -EBUSY: somebody has it, or its reset is not done.
 */
int bar_lessor_hold(struct bar_lessor *lessor, unsigned int slice);

/** Give back what bar_lessor_take() or bar_lessor_hold() took. */
void bar_lessor_put(struct bar_lessor *lessor, unsigned int slice);

/**
 * What reset() began for a slice, and answered with -EINPROGRESS, is done: it is free for the next
 * holder. Interrupt thread only. While the lessor is stopped it does nothing: the start calls
 * reset() again.
 */
void bar_lessor_reset_done(struct bar_lessor *lessor, unsigned int slice);

/**
 * Tell every lessee: their notice() gets @p code and @p value. Any thread; waits for the interrupt
 * thread, not for them. A lessee that does not read what it is sent may miss it.
 */
void bar_lessor_notify(struct bar_lessor *lessor, uint32_t code, int32_t value);

/** Describe a slice; -EINVAL: no such slice. Any thread. */
int bar_lessor_query(struct bar_lessor *lessor, unsigned int slice, struct bar_lease_info *info);

/* ---- The lessee ---- */

struct bar_lessee;

struct bar_lessee_conf {
	/** Name of the lessor. Copied. */
	const char *name;
	/** Number of slices the caller expects; more than the lessor has is an error. */
	unsigned int nb_slices;
	/** Length of each mapping in bytes: the page size. */
	size_t length;
	/**
	 * A lease was granted and stands mapped, write-only by convention, at @p address. Called
	 * from the EAL interrupt thread.
	 */
	void (*granted)(void *arg, unsigned int slice, void *address);
	/**
	 * A lease has ended. The address stays valid memory, but what is written to it reaches
	 * nothing. Called from the interrupt thread, or in a thread that has just touched the
	 * revoked page, as a signal handler: only async-signal-safe calls. May be called twice.
	 */
	void (*lost)(void *arg, unsigned int slice);
	/**
	 * Whether some thread may still be working with what the slice drives, although lost() was
	 * called: then the revoked lease is not given back yet, and this is asked again, every
	 * millisecond. Called from the interrupt thread. NULL: never.
	 */
	bool (*busy)(void *arg, unsigned int slice);
	/** The lessor has hung up or died; every lease is lost already. Interrupt thread. */
	void (*hangup)(void *arg);
	/** The lessor's user says something: bar_lessor_notify(). Interrupt thread; may be NULL. */
	void (*notice)(void *arg, uint32_t code, int32_t value);
	void *arg;
};

/**
 * Find the lessor and open the channel to it. Not from the rte_mp thread.
 *
 * @return
 *   - -EINVAL: no slices, or more than BAR_LEASE_MAX_SLICES;
 *   - -ENOENT: the primary process has no lessor of this name;
 *   - -ETIMEDOUT: it does not answer;
 *   - -EPROTO: it speaks another version of the protocol;
 *   - -ERANGE: it has fewer slices than @p conf names;
 *   - -EUSERS: it serves BAR_LEASE_MAX_PEERS lessees already; -EACCES: it does not serve this
 *     user; -ENOMEM.
 */
int bar_lessee_create(const struct bar_lessee_conf *conf, struct bar_lessee **lessee);

/**
 * Let go of every lease and close the channel. No thread may be using a mapping, or what it
 * drives. NULL does nothing.
 */
void bar_lessee_destroy(struct bar_lessee *lessee);

/**
 * Ask for a slice unless that was done already. Lock-free and without waiting: the answer comes
 * through granted(). For the thread that works with the slice: it does not at this moment, so a
 * lease that it found lost is given back. After a refusal the request is held back until the
 * lessor says that the slice is free, or for a second, so that calling this in a loop costs nobody
 * anything.
 */
void bar_lessee_request(struct bar_lessee *lessee, unsigned int slice);

/**
 * Have the lessor's user do something, and wait for its answer, at most @p timeout_ms
 * milliseconds. Any thread but the interrupt thread; calls of several threads wait for each other.
 *
 * @return
 *   What the lessor's call() returned, or
 *   - -EDEADLK: called from the interrupt thread, which is the one that hears the answer;
 *   - -ENOTCONN: the lessor has hung up or died;
 *   - -ETIMEDOUT: no answer; the call may still be carried out;
 *   - -EAGAIN: the lessor has not read what was sent before.
 */
int bar_lessee_call(struct bar_lessee *lessee, uint32_t code, int32_t value,
		    unsigned int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* BAR_LEASE_H */
