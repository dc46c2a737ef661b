#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""Takes away checks of what a device or a process says, and asks that replaying the corpus notices.

Those are left out without which a queue stands still or goes on where it should not, but nothing
is harmed: unit tests hold them.

mutations.py SDK-HEADERS [NAME...]
"""

import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "devtools"))
from mutate import broken, chosen

DRIVER = "drivers/net/virtio_lease/virtio_lease_"
LEASE = "lib/bar_lease/bar_"
TIMEOUT = 60

Mutation = collections.namedtuple("Mutation", "name program file old new")


def rings(name, file, old, new="false"):
    return Mutation(name, "rings", DRIVER + file, old, new)


def vectors(name, file, old, new="false"):
    return Mutation(name, "rings_avx2", DRIVER + file, old, new)


def config(name, file, old, new="false"):
    return Mutation(name, "config", DRIVER + file, old, new)


def channel(name, file, old, new="false"):
    return Mutation(name, "channel", LEASE + file, old, new)


MUTATIONS = [
    rings("rx-split-used-idx", "split_rx.h", "unlikely(n > vlease_rxq_posted(q))"),
    rings("rx-split-id", "split_rx.h", "unlikely(id > mask)"),
    rings("rx-split-outstanding", "split_rx.h", "unlikely(word & VLEASE_SLOT_IDLE)"),
    rings("rx-packed-id", "packed_rx.h", "unlikely(id > mask)"),
    rings("rx-packed-outstanding", "packed_rx.h", "unlikely(word & VLEASE_SLOT_IDLE)"),
    rings("rx-packed-posted", "packed_rx.h", "n = RTE_MIN(n, vlease_rxq_posted(q));", ";"),
    rings("rx-length", "rx.h", "len - least <= fresh.buf_len - least", "true"),
    rings("rx-merged-length", "rx.h", "unlikely(len == 0 || len > q->buf_len)"),
    rings("rx-num-buffers", "rx.h", "num == 0 || at + num > burst->used || "
          "!rx_len_ok(fresh, len)"),
    rings("tx-id", "tx.h", "unlikely(id > mask)"),
    rings("tx-outstanding", "tx.h",
          "unlikely(word & (VLEASE_SLOT_IDLE | VLEASE_SLOT_INNER))"),
    rings("tx-chain-id", "tx.h", "unlikely(id > q->mask)"),
    rings("tx-chain-outstanding", "tx.h",
          "unlikely((word & (VLEASE_SLOT_IDLE | VLEASE_SLOT_INNER)) != VLEASE_SLOT_INNER)"),
    rings("tx-packed-batch", "packed_tx.c",
          "id > q->mask || n > vlease_txq_pending(q) || q->slots[id] & VLEASE_SLOT_MORE"),
    rings("reclaim-forged-id", "reclaim.c", "|| has_posted_free_id(o, q->slots, c->size)", ""),
    vectors("rx-fours-length-and-id", "rx_avx2.h", "unlikely(_mm256_movemask_epi8(fields) != -1)"),
    vectors("rx-post-fours-cache", "rx_avx2.h",
            "cache == NULL || cache->len < n || q->buf_offset == 0",
            "cache == NULL || q->buf_offset == 0"),
    config("capabilities-endless", "pci.c", "found++ == MAX_CAPABILITIES"),
    config("structure-beyond-bar", "pci.c", "(uint64_t)offset + size > info->size"),
    config("structure-too-small", "pci.c", "size < least"),
    config("structure-unaligned", "pci.c", "offset % alignment(cap) != 0"),
    config("config-changes", "pci.c", "reads < MAX_CONFIG_READS", "true"),
    config("queue-too-large", "pci.c", "size <= VLEASE_MAX_QUEUE_SIZE", "true"),
    config("doorbell-beyond-bar", "pci.c",
           "within + pci->doorbell_size > pci->notify_length"),
    channel("message-length", "lease_channel.c", "(size_t)length != sizeof(*message)"),
    channel("message-version", "lease_channel.c", "message->version != LEASE_PROTOCOL_VERSION"),
    channel("message-refused-open", "lease_channel.c",
            "lease_ancillary_close(ancillary);\n\t\treturn -EPROTO;", "return -EPROTO;"),
    channel("message-surplus-open", "lease_channel.c", "close(fd);", ";"),
    channel("hello-twice", "lessor_peer.c",
            "peer->process != NULL || ancillary->fd >= 0)\n\t\treturn -EPROTO;\n\tpeer->pid",
            "ancillary->fd >= 0)\n\t\treturn -EPROTO;\n\tpeer->pid"),
    channel("hello-nobody", "lessor_peer.c",
            "peer->pid == 0 ? -ESRCH : check_user(peer)", "check_user(peer)"),
    channel("hello-descriptor", "lessor_peer.c", "peer->process != NULL || ancillary->fd >= 0",
            "peer->process != NULL"),
    channel("before-hello", "lessor_peer.c", "peer->process == NULL || ancillary", "ancillary"),
    channel("descriptor", "lessor_peer.c", "peer->process == NULL || ancillary->fd >= 0",
            "peer->process == NULL"),
    channel("slice-too-high", "lessor_peer.c", "message->slice >= lessor->nb_slots"),
    channel("type-unknown", "lessor_peer.c", "default:\n\t\treturn -EPROTO;",
            "default:\n\t\treturn 0;"),
    channel("turn-endless", "lessor_peer.c", "i < MESSAGES_PER_TURN && ret == 0", "ret == 0"),
    channel("end-revoke", "lessor_peer.c",
            "peer_revoke_all(peer);\n\tlease_watch_remove(peer->channel);",
            "lease_watch_remove(peer->channel);"),
    channel("grant-held", "lessor_slice.c", "!slot_claim(slot, BAR_LEASE_LEASED)",
            "!slot_claim(slot, BAR_LEASE_LEASED) && slot_state(slot) != BAR_LEASE_LEASED"),
    channel("reset-unrevoked", "lessor_slice.c", "!slice_is_revoked(lessor, slot)"),
    channel("reset-failed", "lessor_slice.c",
            "if (ret != 0) {\n\t\tLEASE_LOG(ERR, \"%s: %s: cannot be reset",
            "if (false) {\n\t\tLEASE_LOG(ERR, \"%s: %s: cannot be reset"),
    channel("rendezvous-error", "lessee.c", "reply.error < 0 ? reply.error : -EPROTO",
            "reply.error"),
    channel("granted-unasked", "lessee.c", "want_state(want) != WANT_ASKED || dmabuf < 0",
            "dmabuf < 0"),
    channel("granted-nothing", "lessee.c", "want_state(want) != WANT_ASKED || dmabuf < 0",
            "want_state(want) != WANT_ASKED"),
    channel("granted-too-high", "lessee.c", "!all && message->slice >= lessee->nb_wants"),
    channel("answer-positive", "lessee.c", "RTE_MIN(message->value, 0)", "message->value"),
]


def noticed(tree, build, mutation):
    """None, or why not."""
    program = f"app/fuzz/fuzz_{mutation.program}"
    corpus = (TOP / "app/fuzz/corpus").glob(f"{mutation.program.partition('_')[0]}*.hex")
    try:
        with broken(tree / mutation.file, mutation.old, mutation.new):
            subprocess.run(["ninja", "-C", build, program], check=True, stdout=subprocess.DEVNULL)
            result = subprocess.run([build / program, *corpus], timeout=TIMEOUT,
                                    capture_output=True)
    except subprocess.TimeoutExpired:
        return None
    except ValueError as error:
        return error
    return "not noticed" if result.returncode == 0 else None


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    mutations, missed = chosen(MUTATIONS, sys.argv[2:]), 0
    with tempfile.TemporaryDirectory() as temporary:
        tree, build = pathlib.Path(temporary, "tree"), pathlib.Path(temporary, "build")
        shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns(".git", ".lab", "build*"))
        subprocess.run(["meson", "setup", f"-Dsdk_headers={sys.argv[1]}", build, tree],
                       check=True, stdout=subprocess.DEVNULL)
        for mutation in mutations:
            wrong = noticed(tree, build, mutation)
            missed += wrong is not None
            print(f"{mutation.name}: {wrong or 'noticed'}", flush=True)
    sys.exit(missed != 0)


main()
