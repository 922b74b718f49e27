/* SPDX-License-Identifier: MIT */
/*
 * The arena: a file mapped at a fixed address. Pages are readable at all times and writable only by
 * leave of a strategy. Functions return 0 or an error; those marked [signal] are safe in a signal
 * handler (mmap and mprotect are bare system calls on Linux).
 *
 * No page is read ahead of its use (MADV_RANDOM). Read-ahead fills the page cache with large
 * folios, which ext4 writes back whole when a byte of one was stored to, and walks through for each
 * small write: a commit of 64 pages with undo-fsync took four times as long, publishing them nine
 * times. The price is that a file that is in no cache is read page by page.
 *
 * The mapping is never inherited by a forked child (MADV_DONTFORK): a store of the child would
 * reach the file past every lock, and the mapping would keep the parent's flock alive after its
 * death.
 */
#ifndef TMF_ARENA_H
#define TMF_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tmf_arena {
    int fd;
    unsigned char *base;
    _Atomic size_t size; /* mapped bytes, a multiple of the page */
    bool is_private;     /* stores reach copies and never the file */
    bool detached;       /* what is stored is lost: see tmf_arena_detach() */
};

/* Rounds up to whole pages; 0 where that overflows. */
size_t tmf_page_round(size_t size);

/*
 * Maps `size` bytes of `fd` shared: at `address`, or where we choose from `hint` (any number) if it
 * is NULL. TMF_EWRONGADDRESS: something else is there.
 */
int tmf_arena_map(struct tmf_arena *arena, int fd, void *address, size_t size, uint64_t hint,
                  bool writable);
void tmf_arena_unmap(struct tmf_arena *arena);

/* Maps what the file has grown by, behind what is mapped already. TMF_EWRONGADDRESS: no room. */
int tmf_arena_extend(struct tmf_arena *arena, size_t size);

/* [signal] Changes what may be done with the pages of [offset, offset + size). */
int tmf_arena_protect(struct tmf_arena *arena, size_t offset, size_t size, bool writable);

/*
 * [signal] Lays a private, writable copy over the file: stores go on but reach nothing any more.
 * One mapping replaces however many there were, so vm.max_map_count cannot stand in the way.
 */
int tmf_arena_detach(struct tmf_arena *arena);

/* [signal] Puts memory in place of a page of the private copy that the file cannot provide. */
int tmf_arena_substitute(struct tmf_arena *arena, uint64_t page);

/* [signal] The same for a page that the file does provide and that must not be stored to; `copy` is
 * room for a page. */
int tmf_arena_copy(struct tmf_arena *arena, uint64_t page, unsigned char *copy);

/* Maps the file again, read-only, shared or as is_private says, dropping what was stored. */
int tmf_arena_attach(struct tmf_arena *arena);

#endif
