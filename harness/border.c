/* SPDX-License-Identifier: MIT */
/*
 * Stores where pages meet: 8 bytes at every offset of two adjacent pages, unaligned ones, ones that
 * begin in a page and end in the next, and stores made by the kernel on our behalf, as read(2)
 * does.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alloc/point.h"
#include "harness/random.h"
#include "harness/workload.h"

#define PAGE         ((size_t)4096)
#define AREA_SIZE    (3 * PAGE)
#define SWEEP_END    (2 * PAGE - 7) /* offsets an 8-byte store in two pages may have */
#define SWEEP_STORES 12             /* of a transaction, at neighbouring offsets */
#define READ_MAX     3000           /* bytes stored by the kernel at once */

enum { DRAW_READ_SIZE, DRAW_READ_AT, DRAW_STORE };
enum { PATTERN_INIT, PATTERN_READ };
/* Operations: what the kernel stores, the sweep, and three more. */
enum {
    MAKES_READ,
    MAKES_SWEEP,
    MAKES_WORD = MAKES_SWEEP + SWEEP_STORES,
    MAKES_HALF,
    MAKES_BYTE,
    MAKES
};

/* A single machine store each, at any address. */
typedef uint64_t __attribute__((aligned(1), may_alias)) uint64_anywhere;
typedef uint32_t __attribute__((aligned(1), may_alias)) uint32_anywhere;

struct border_root {
    struct workload_root root;
    unsigned char *area; /* AREA_SIZE bytes, page aligned */
};

struct border_model {
    unsigned char area[AREA_SIZE];
};

/* The part of the area that the kernel stores to in transaction k. */
struct extent {
    size_t at, size;
};
static struct extent decide_read(uint64_t seed, uint64_t k)
{
    size_t size = (size_t)random_below(seed, k, DRAW_READ_SIZE, READ_MAX) + 1;
    return (struct extent){(size_t)random_below(seed, k, DRAW_READ_AT, AREA_SIZE - size + 1), size};
}

/* The stores of the processor; the sweep passes every offset again and again as k grows. */
static void store(unsigned char *area, uint64_t seed, uint64_t k)
{
    for (uint64_t n = 0; n < SWEEP_STORES; n++) {
        size_t at = (size_t)((k * SWEEP_STORES + n) % SWEEP_END);
        if (workload_makes(k, MAKES_SWEEP + n))
            *(volatile uint64_anywhere *)(area + at) = random_bits(seed, k, DRAW_STORE + n);
    }
    uint64_t word = random_bits(seed, k, DRAW_STORE + SWEEP_STORES);
    if (workload_makes(k, MAKES_WORD))
        *(volatile uint64_anywhere *)(area + PAGE - 7 + k % 7) = word;
    if (workload_makes(k, MAKES_HALF))
        *(volatile uint32_anywhere *)(area + 2 * PAGE - 3 + k % 3) = (uint32_t)(word >> 7);
    if (workload_makes(k, MAKES_BYTE))
        area[random_below(seed, k, DRAW_STORE + SWEEP_STORES + 1, AREA_SIZE)] ^= 0xff;
}

static int border_init(tmf_writer *writer, void *root_object, uint64_t seed)
{
    struct border_root *root = root_object;
    root->area = tmf_alloc_aligned(writer, PAGE, AREA_SIZE);
    if (!root->area)
        return errno;
    fill_pattern(root->area, AREA_SIZE, seed, 0, PATTERN_INIT);
    return 0;
}

/* What was written to a pipe is read into the arena; a pipe holds more than READ_MAX. */
static int read_through_pipe(unsigned char *to, const unsigned char *bytes, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0)
        return errno;
    int error = 0;
    if (write(ends[1], bytes, size) != (ssize_t)size)
        error = EIO;
    else if (read(ends[0], to, size) != (ssize_t)size)
        error = errno ? errno : EIO;
    close(ends[0]);
    close(ends[1]);
    return error;
}

/* The kernel's store. */
static int store_by_read(struct workload_writer *writer, const struct border_root *root,
                         uint64_t seed, uint64_t k)
{
    struct extent extent = decide_read(seed, k);
    unsigned char bytes[READ_MAX];
    fill_pattern(bytes, extent.size, seed, k, PATTERN_READ);
    int error = tmf_touch(writer->writer, root->area + extent.at, extent.size);
    return error ? error : read_through_pipe(root->area + extent.at, bytes, extent.size);
}

static unsigned border_operations(uint64_t seed, uint64_t k)
{
    (void)seed, (void)k;
    return MAKES;
}

static int border_apply(struct workload_writer *writer, void *root_object, uint64_t seed,
                        uint64_t k)
{
    struct border_root *root = root_object;
    int error = workload_makes(k, MAKES_READ) ? store_by_read(writer, root, seed, k) : 0;
    TMF_POINT("workload/border/after-read");
    if (error)
        return error;
    store(workload_declare(writer, root->area, AREA_SIZE), seed, k);
    return 0;
}

static void border_model_init(void *model, uint64_t seed)
{
    struct border_model *border = model;
    fill_pattern(border->area, AREA_SIZE, seed, 0, PATTERN_INIT);
}

static void border_model_apply(void *model, uint64_t seed, uint64_t k)
{
    struct border_model *border = model;
    struct extent extent = decide_read(seed, k);
    if (workload_makes(k, MAKES_READ))
        fill_pattern(border->area + extent.at, extent.size, seed, k, PATTERN_READ);
    store(border->area, seed, k);
}

static size_t border_blocks(const void *root_object, struct block out[WORKLOAD_BLOCKS_MAX])
{
    const struct border_root *root = root_object;
    out[0] = (struct block){root->area, AREA_SIZE};
    return 1;
}

static bool border_equal(const void *model, const struct view *view, struct difference *out)
{
    const struct border_model *border = model;
    const struct border_root *root = view->root;
    if (!view_holds(view, root->area, AREA_SIZE) || (uintptr_t)root->area % PAGE != 0)
        return differs(out, "the root's area leads out of the arena, or is not page aligned");
    return bytes_equal(root->area, border->area, AREA_SIZE, out, "area");
}

const struct workload workload_border = {
    .name = "border",
    .about = "stores across pages: unaligned, at every offset, and by system calls",
    .root_size = sizeof(struct border_root),
    .arena_size = (size_t)256 << 10,
    .model_size = sizeof(struct border_model),
    .init = border_init,
    .apply = border_apply,
    .model_init = border_model_init,
    .operations = border_operations,
    .model_apply = border_model_apply,
    .blocks = border_blocks,
    .equal = border_equal,
};
