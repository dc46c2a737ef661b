# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Checks of the lease library taken away one by one, and the attack that then gets through.

An attack is named by a part of its line in the suite's output, or it is what becomes of the
primary; `|` stands between two of which one will do. `old` must stand exactly once in the file. An
empty attack: all must still be refused, because nothing is broken or because a second check holds
what the first let through.
"""

from collections import namedtuple

Mutation = namedtuple("Mutation", "name attack file old new", defaults=("false",))

HELLO = """\
	if (peer->process != NULL || ancillary->fd >= 0)
		return -EPROTO;
	peer->pid ="""
GREETED = "if (peer->process == NULL || ancillary->fd >= 0)"
CLAIM = "if (ret == 0 && !slot_claim(slot, BAR_LEASE_LEASED)"

MUTATIONS = [
    # What the others are compared with.
    Mutation("none", "", "lessor.c", "check_conf(conf);", "check_conf(conf);"),

    # The form of a message
    Mutation("length", "channel: a truncated message", "lease_channel.c",
             "(size_t)length != sizeof(*message)"),
    Mutation("truncated", "channel: an oversized message", "lease_channel.c",
             "(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0"),
    Mutation("version", "channel: version 0", "lease_channel.c",
             "message->version != LEASE_PROTOCOL_VERSION"),
    Mutation("type", "channel: type 0", "lessor_peer.c",
             "default:\n\t\treturn -EPROTO;", "default:\n\t\treturn 0;"),
    Mutation("slice", "the primary ended", "lessor_peer.c",
             "message->slice >= lessor->nb_slots"),
    Mutation("descriptor", "channel: a descriptor", "lessor_peer.c",
             GREETED, "if (peer->process == NULL)"),
    # The one that is kept is one too many as well.
    Mutation("descriptors", "", "lease_channel.c", "nb_fds > 1"),

    # Its order
    Mutation("before-hello", "channel: a request before HELLO", "lessor_peer.c",
             GREETED, "if (ancillary->fd >= 0)"),
    Mutation("hello-twice", "channel: HELLO twice|the primary ended", "lessor_peer.c",
             HELLO, HELLO.replace("peer->process != NULL || ", "")),
    Mutation("hello-descriptor", "channel: HELLO with a descriptor", "lessor_peer.c",
             HELLO, HELLO.replace(" || ancillary->fd >= 0", "")),

    # Whose a slice is
    Mutation("held", "channel: another's slice", "lessor_slice.c",
             CLAIM, CLAIM + " && slot_state(slot) == BAR_LEASE_QUARANTINED"),
    Mutation("policy", "channel: a slice that no rule allows", "lease_policy.c",
             "return rule->deny ? NULL : rule;", "return rule;"),
    Mutation("release-holder", "channel: the release of another's slice", "lessor_slice.c",
             "slot->holder != peer || ", ""),
    Mutation("release-lease", "channel: the release of another lease", "lessor_slice.c",
             " || lease != lease_number(slot)", ""),

    # How much of it
    Mutation("calls", "channel: a thousand calls", "lessor_peer.c",
             "!budget_spend(&call_budget, &peer->call_budget, 1)"),
    # The limit on messages ends it as well, only later.
    Mutation("unread", "", "lessor_peer.c",
             "else if (type != LEASE_AVAILABLE && type != LEASE_NOTICE)", "else if (false)"),
    Mutation("silence", "channel: silence", "lessor_control.c",
             "peer->process == NULL && peer->hello_by <= now"),
    Mutation("many-silent", "channel: a hundred silent channels", "lessor_peer.c",
             "count <= BAR_LEASE_MAX_SILENT", "true"),
    # The limit for all processes holds then, at the cost of the other users.
    Mutation("many-of-user", "", "lessor_peer.c",
             "return count < max ? 0 : -EUSERS;", "return count < UINT32_MAX ? 0 : -EUSERS;"),

    # What is given, and taken back
    Mutation("one-page", "page: map two pages of one", "lessor_slice.c",
             "(uint64_t)page, slot->slice.name", "2 * (uint64_t)page, slot->slice.name"),
    Mutation("revoke", "keep: a mapping", "lessor_slice.c",
             "ret = bar_slice_revoke(lessor->device_fd, &lessor->support, slot->dmabuf);",
             "ret = 0;"),
]
