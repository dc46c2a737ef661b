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

/*
 * What one peer can cause. An honest lessee stays far below, with any number of slices: answers to
 * what it is told, that a slice is free or revoked, are not counted.
 */

/** Most lessees that one lessor serves at once; another one is refused with -EUSERS. */
#define BAR_LEASE_MAX_PEERS 128

/** Of these, processes of one user, unless a rule says otherwise or it is root or the lessor's. */
#define BAR_LEASE_MAX_PEERS_PER_USER 32

/** Channels of one user that have said nothing yet; for one more, the oldest is hung up on. */
#define BAR_LEASE_MAX_SILENT 16

/** Time for the first message, in milliseconds; then it is hung up on. */
#define BAR_LEASE_HELLO_MS 2000

/** Messages of a peer: so many a second beyond so many at once; then it is hung up on. */
#define BAR_LEASE_MESSAGES_PER_SECOND 8192
#define BAR_LEASE_MESSAGE_BURST 32768

/** A lease that is granted counts as so many messages: it ends with a reset. */
#define BAR_LEASE_GRANT_COST 16

/** Calls of a peer; others are answered with -EAGAIN. */
#define BAR_LEASE_CALLS_PER_SECOND 16
#define BAR_LEASE_CALL_BURST 64

/** Lines in the log about one user's processes, and refusals among the events. */
#define BAR_LEASE_LINES_PER_SECOND 4
#define BAR_LEASE_LINE_BURST 32

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

/* ---- Who may lease what ---- */

/** In a rule: every user, every group, no last slice, no limit. */
#define BAR_LEASE_ANY UINT32_MAX

/** Most rules of a policy. */
#define BAR_LEASE_MAX_RULES 32

/** Size of the text that says what is wrong with a rule. */
#define BAR_LEASE_ERROR_SIZE 96

/**
 * One rule of a policy. For a process and a slice, the first rule that names both counts; without
 * one the slice is refused. User and group are the process' real ones, without the groups that it
 * is in besides.
 */
struct bar_lease_rule {
	uint32_t uid;
	uint32_t gid;
	uint32_t first, last;	/**< slices */
	uint32_t max_slices;	/**< that processes of a user may hold at once, all together */
	uint32_t max_peers;	/**< processes of a user; ANY: as the limits above say */
	bool deny;
};

/**
 * Read rules from text, such as "uid=1000:slices=0-5:max=4;gid=100:peers=2;uid=*:deny". Rules are
 * separated by semicolons, their parts by colons; a part that is missing stands for ANY:
 * uid=NUMBER|*, gid=NUMBER|*, slices=FIRST-LAST|NUMBER|*, max=NUMBER|*, peers=NUMBER|*, deny.
 * The = may be left out, as where rules are the value of a device argument: "uid1000:max4;deny".
 *
 * @param rules
 *   room for BAR_LEASE_MAX_RULES
 * @return
 *   Number of rules, or -EINVAL with position and cause in @p error.
 */
int bar_lease_parse_rules(const char *text, struct bar_lease_rule *rules,
			  char error[BAR_LEASE_ERROR_SIZE]);

/** Write a rule as text, at most @p size bytes; returns the length, like snprintf(). */
int bar_lease_format_rule(const struct bar_lease_rule *rule, char *text, size_t size);

/* ---- What happens ---- */

enum bar_lease_event_type {
	BAR_LEASE_EVENT_ATTACHED,	/**< a process is served */
	BAR_LEASE_EVENT_REFUSED,	/**< a slice, or without one the process itself; error */
	BAR_LEASE_EVENT_GRANTED,
	BAR_LEASE_EVENT_REVOKED,	/**< error: the kernel would not */
	BAR_LEASE_EVENT_RELEASED,	/**< its holder has let go of it */
	BAR_LEASE_EVENT_FREED,		/**< reset, for the next holder */
	BAR_LEASE_EVENT_QUARANTINED,	/**< error */
	BAR_LEASE_EVENT_HUNG_UP,	/**< the channel ended; error: why the lessor ended it */
	BAR_LEASE_EVENT_ENDED,		/**< a process that held slices has */
	BAR_LEASE_EVENT_DRAINED,	/**< bar_lessor_drain() */
	BAR_LEASE_EVENT_FENCED,		/**< killed; error: could not be */
	BAR_LEASE_EVENT_POLICY,		/**< there is a new one */
};

/** Name of an event, as telemetry gives it. Never NULL. */
const char *bar_lease_event_name(enum bar_lease_event_type type);

struct bar_lease_event {
	uint64_t number;	/**< from 1, one after the other */
	uint64_t time;		/**< CLOCK_MONOTONIC in nanoseconds */
	enum bar_lease_event_type type;
	int slice;		/**< -1: about none */
	pid_t pid;		/**< 0: about none */
	uid_t uid;
	int error;		/**< a positive errno, or 0 */
};

/** So many of the latest events are kept. */
#define BAR_LEASE_KEPT_EVENTS 256

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
	 * bar_lessor_query(), bar_lessor_hold(), bar_lessor_put(), bar_lessor_reset_done() and
	 * bar_lessor_offer().
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
	 * Whether a process may have a slice, of those that are free and that the policy lets it
	 * have. Called from the EAL interrupt thread; of the library it may call
	 * bar_lessor_query(). NULL: it may.
	 *
	 * @return 0, or the process in the way: the request is refused with EBUSY, and its sender
	 * is told which. When that one is out of the way: bar_lessor_offer().
	 */
	pid_t (*admit)(void *arg, unsigned int slice, pid_t pid);
	/**
	 * Process @p pid has ended, which held a slice, or let go of it when it was revoked and
	 * was its latest holder. Called from the EAL interrupt thread, after the reset() of all
	 * that this process held, and also while the lessor is stopped; may call what reset() may.
	 * NULL: nobody wants to know.
	 */
	void (*ended)(void *arg, unsigned int slice, pid_t pid);
	/**
	 * Of each slice, for anybody to read, with atomic loads, and written by the EAL interrupt
	 * thread, never back to 0; may be in shared memory, and must last until
	 * bar_lessor_destroy(). NULL: not counted.
	 */
	struct bar_lease_counters *counters;
	/** Who may lease what, NULL: everybody everything. Copied. */
	const struct bar_lease_rule *policy;
	unsigned int nb_rules;
	/**
	 * A socket to be found by, besides EAL's: for processes of other users and in containers.
	 * It is made anew; one that somebody listens on is left alone. NULL: none. Copied.
	 */
	const char *socket_path;
	/** Mode of the socket: who may write to it may connect. 0: the owner alone, 0600. */
	mode_t socket_mode;
	/**
	 * Kill a process that has not let go of a revoked slice after so many milliseconds, see
	 * BAR_LEASE_FENCE. 0: never.
	 */
	unsigned int fence_ms;
	/**
	 * Something has happened. Called from the EAL interrupt thread; must not call the library.
	 * NULL: nobody wants to know.
	 */
	void (*event)(void *arg, const struct bar_lease_event *event);
	/** How often a slice was rung, for telemetry. Interrupt thread. NULL: nobody knows. */
	uint64_t (*doorbells)(void *arg, unsigned int slice);
	void *arg;
};

/** A snapshot of one slice. */
struct bar_lease_info {
	enum bar_lease_state state;
	pid_t pid;		/**< of the last holder; 0 for none yet */
	uid_t uid;		/**< of the last holder */
	bool ended;		/**< its latest holder ended, or let go of it and ended then */
	pid_t former;		/**< who let go when it was revoked, and is not gone; or 0 */
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
 *   - -EADDRINUSE: somebody listens on the socket, or something else is there; other errors of
 *     socket(2) and bind(2): logged;
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
 * If the slice is free, tell every lessee: who was refused it asks again at once, instead of after
 * a second. Interrupt thread only.
 */
void bar_lessor_offer(struct bar_lessor *lessor, unsigned int slice);

/**
 * Tell every lessee: their notice() gets @p code and @p value. Any thread; waits for the interrupt
 * thread, not for them. A lessee that does not read what it is sent may miss it.
 */
void bar_lessor_notify(struct bar_lessor *lessor, uint32_t code, int32_t value);

/** Describe a slice; -EINVAL: no such slice. Any thread. */
int bar_lessor_query(struct bar_lessor *lessor, unsigned int slice, struct bar_lease_info *info);

/* ---- The operator; all of it from any thread, done by the interrupt thread ---- */

/**
 * Revoke a lease now. Its holder is told; the slice is reset when it has let go of it, and anybody
 * may ask for it again, the same holder too.
 *
 * @return
 *   - -EINVAL: no such slice;
 *   - -ENOENT: it is not leased;
 *   - -EALREADY: it is revoked, its holder has not let go yet;
 *   - -EIO: the kernel would not: logged.
 */
int bar_lessor_revoke(struct bar_lessor *lessor, unsigned int slice);

/**
 * For bar_lessor_drain(): kill the process if it has not let go of everything in time. A revoke
 * takes the doorbell away, but a process that is stopped (SIGSTOP) or hangs may later go on in the
 * middle of a burst and write to rings that are in shared memory. So its slices are not handed on
 * while it lives, and to end it is the only safe way to get at them.
 */
#define BAR_LEASE_FENCE 0x1

/**
 * Revoke all that a process holds, and refuse it whatever it asks for on its present channels, with
 * -ESHUTDOWN. To keep it from coming back is up to the policy.
 *
 * @param grace_ms
 *   with BAR_LEASE_FENCE: how long it has
 * @return
 *   Number of slices that it holds, all revoked, or
 *   - -ESRCH: no such process is attached;
 *   - -EDEADLK: BAR_LEASE_FENCE for the lessor's own process.
 */
int bar_lessor_drain(struct bar_lessor *lessor, pid_t pid, unsigned int flags,
		     unsigned int grace_ms);

/**
 * Change who may lease what. What is leased stays so, and who is attached stays attached.
 *
 * @param policy
 *   copied; NULL: everybody may lease everything
 * @return -EINVAL: more than BAR_LEASE_MAX_RULES.
 */
int bar_lessor_set_policy(struct bar_lessor *lessor, const struct bar_lease_rule *policy,
			  unsigned int nb_rules);

/** Copy the policy to @p rules, with room for BAR_LEASE_MAX_RULES; returns how many there are. */
int bar_lessor_get_policy(struct bar_lessor *lessor, struct bar_lease_rule *rules);

/** A process that is served. */
struct bar_lease_peer {
	pid_t pid;		/**< 0: it has not said anything yet */
	uid_t uid;
	gid_t gid;
	uint64_t since;		/**< CLOCK_MONOTONIC in nanoseconds */
	unsigned int slices;	/**< held, revoked ones included */
	uint64_t messages;	/**< received */
	uint64_t refused;	/**< of its requests */
	bool connected;		/**< false: its channel has ended, and it has not let go yet */
	bool drained;
};

/** Describe up to @p max of the processes that are served; returns how many there are. */
int bar_lessor_peers(struct bar_lessor *lessor, struct bar_lease_peer *peers, unsigned int max);

/**
 * Copy up to @p max of the events that are kept, of those with a number above @p since the oldest;
 * returns how many were copied.
 */
int bar_lessor_events(struct bar_lessor *lessor, uint64_t since, struct bar_lease_event *events,
		      unsigned int max);

/* ---- The lessee ---- */

struct bar_lessee;

struct bar_lessee_conf {
	/** Name of the lessor. Copied. */
	const char *name;
	/** Where it listens: instead of EAL's channel, connect there. NULL: by EAL's channel. */
	const char *socket_path;
	/**
	 * Instead of both, a channel that is connected already, say by who has started this
	 * process: the library closes it. 0: none.
	 */
	int channel_fd;
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
	 * nothing. Called from the interrupt thread, in any case before the slice is granted anew
	 * or refused and before hangup(); and possibly earlier, in a thread that has just touched
	 * the revoked page, as a signal handler: only async-signal-safe calls.
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
 *   - -EUSERS: it serves as many lessees as it may, of all or of this user;
 *   - -EACCES: it does not serve this user, or the socket's mode keeps it out;
 *   - -ESRCH: it cannot see this process, which is in another namespace of processes;
 *   - -ECONNREFUSED: nobody listens on the socket; other errors of connect(2);
 *   - -ENOMEM.
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
 *   - -EAGAIN: the lessor has not read what was sent before, or there were too many calls.
 */
int bar_lessee_call(struct bar_lessee *lessee, uint32_t code, int32_t value,
		    unsigned int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* BAR_LEASE_H */
