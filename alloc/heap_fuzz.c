/* SPDX-License-Identifier: MIT */
/*
 * The bytes are a heap: header, map, index, blocks, as they stand in a region between two pages
 * that trap. It is attached, checked, walked and worked with: blocks are allocated, resized, freed,
 * and some freed that are none, and the arena grows. That may fail, but not crash, hang, write
 * outside of the region or into the caller's part, nor hand out a block that is not where blocks
 * are: what a program stores there must not reach the heap's own header.
 *
 * And a heap that the checker calls sound must be: then no call says TMF_ECORRUPT, what was
 * allocated before keeps its content, and the checker has nothing to say afterwards either.
 */
#include "fuzz.h"
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE  ((size_t)TMF_HEAP_PAGE)
#define GUARD (17 * PAGE)
#if UINTPTR_MAX == UINT32_MAX
#define PLACE ((uintptr_t)0x20000000) /* of the first guard */
#else
#define PLACE ((uintptr_t)0x210000000000)
#endif
#define PAGES  ((size_t)6)
#define SPARE  (3 * PAGE) /* to grow into */
#define SIZE   (PAGES * PAGE)
#define OFFSET ((size_t)200) /* of the heap: the caller's part */
#define TAG    0xa5

enum { STEPS = 24, BLOCKS_MAX = 64, WALK_MAX = 1 << 16 };

/* Of the control: what is put right in the image. */
enum { MENDS_CONSTANTS = 1, MENDS_COUNTERS = 2 };

struct block {
    unsigned char *at;
    size_t size;
    unsigned char tag;
};

static unsigned char *region;
static tmf_heap heap;

static struct work {
    uint64_t random;
    bool sound;
    unsigned char *first; /* where blocks begin */
    size_t walked;
    size_t count;
    struct block blocks[BLOCKS_MAX];
} work;

static size_t below(size_t limit)
{
    return (size_t)(fuzz_random(&work.random) % limit);
}

static void begin(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    unsigned char *all = mmap((void *)PLACE, SIZE + SPARE + 2 * GUARD, PROT_NONE, flags, -1, 0);
    if (all != (unsigned char *)PLACE ||
        mprotect(all + GUARD, SIZE + SPARE, PROT_READ | PROT_WRITE))
        fuzz_fail("no memory for the region");
    region = all + GUARD;
}

static void expect(bool holds, const char *what)
{
    if (!holds)
        fuzz_fail("it does not hold that %s", what);
}

/* An error that a sound heap may have. */
static int took(int error)
{
    if (error == TMF_ECORRUPT)
        expect(!work.sound, "a heap that was found sound is never found damaged later");
    return error;
}

/* ---- seeds: one for each kind of heap, in the middle of its life */

static bool kind_at(size_t n, tmf_heap_config *out)
{
    for (size_t i = 0; tmf_index_name(i); i++) {
        for (size_t quantum = 16; quantum <= 256; quantum *= 2) {
            if (tmf_index_find(tmf_index_name(i))->link_bits(quantum) != 0 && n-- == 0) {
                *out = (tmf_heap_config){quantum, tmf_index_name(i)};
                return true;
            }
        }
    }
    return false;
}

/* Blocks of many sizes, every other one freed; and the last third of the arena has come later. */
static void live(size_t quantum)
{
    void *at[BLOCKS_MAX];
    size_t sizes[BLOCKS_MAX];
    size_t count = 0;
    for (; count < BLOCKS_MAX; count++) {
        sizes[count] = quantum * (1 + count * 7 % 5);
        if (tmf_heap_alloc(&heap, 1, sizes[count], &at[count]) != 0)
            break;
        memset(at[count], TAG, sizes[count]);
    }
    for (size_t n = 1; n < count; n += 2)
        expect(tmf_heap_free(&heap, at[n], sizes[n]) == 0, "a block can be freed");
    expect(tmf_heap_grow(&heap, SIZE) == 0, "a heap can grow");
}

static size_t seed(size_t n, unsigned char *to)
{
    tmf_heap_config config;
    if (!kind_at(n, &config))
        return 0;
    memset(region, 0, SIZE + SPARE);
    if (tmf_heap_create(&heap, region, OFFSET, SIZE / 3 * 2, &config) == 0)
        live(config.quantum);
    memset(to, 0, FUZZ_CONTROL);
    to[0] = (unsigned char)n;
    memcpy(to + FUZZ_CONTROL, region + OFFSET, SIZE - OFFSET);
    return FUZZ_CONTROL + SIZE - OFFSET;
}

/* ---- a run */

static void mend(unsigned what)
{
    struct tmf_heap_media *media = (void *)(region + tmf_round_up(OFFSET, TMF_HEAP_ALIGNMENT));
    if (what & MENDS_CONSTANTS) {
        media->magic = TMF_HEAP_MAGIC;
        media->version = TMF_HEAP_VERSION;
        if (media->quantum_shift <= TMF_HEAP_QUANTUM_SHIFT_MAX)
            media->end = SIZE >> media->quantum_shift;
    }
    if (what & MENDS_COUNTERS) {
        media->free_quanta = media->end - media->first - media->used_quanta;
        media->extent_count = media->extents[1].quanta ? 2 : 1;
    }
}

static int note_block(void *context, const tmf_heap_block *block)
{
    (void)context;
    size_t end = SIZE + SPARE;
    expect(block->size > 0 && block->size <= end && block->offset <= end - block->size &&
               block->offset >= OFFSET,
           "the walk stays in the region");
    expect(++work.walked < WALK_MAX, "the walk comes to an end");
    if (block->is_free || work.count == BLOCKS_MAX)
        return 0;
    struct block found = {region + block->offset, block->size, 0};
    found.tag = found.at[0];
    if (work.sound)
        memset(found.at, found.tag, found.size);
    work.blocks[work.count++] = found;
    return 0;
}

static void expect_content(const struct block *block, size_t size)
{
    bool holds = size == 0 ||
                 (block->at[0] == block->tag && memcmp(block->at, block->at + 1, size - 1) == 0);
    expect(!work.sound || holds, "an allocated block keeps its content");
}

/* As a program does: what it was given it fills. */
static void fill(struct block *block, void *at, size_t size)
{
    unsigned char *bytes = at;
    expect(bytes >= work.first && bytes < region + SIZE + SPARE &&
               size <= (size_t)(region + SIZE + SPARE - bytes),
           "a block is where blocks are");
    *block = (struct block){bytes, size, (unsigned char)fuzz_random(&work.random)};
    memset(block->at, block->tag, size);
}

static void allocate(void)
{
    void *at = NULL;
    size_t size = 1 + below(below(4) ? 300 : 2 * PAGE);
    if (work.count < BLOCKS_MAX &&
        took(tmf_heap_alloc(&heap, (size_t)1 << below(9), size, &at)) == 0)
        fill(&work.blocks[work.count++], at, size);
}

static void resize(struct block *block)
{
    void *at = NULL;
    size_t size = 1 + below(600);
    expect_content(block, block->size);
    if (took(tmf_heap_resize(&heap, block->at, block->size, size, &at)) != 0)
        return;
    struct block moved = {at, size < block->size ? size : block->size, block->tag};
    expect_content(&moved, moved.size);
    fill(block, at, size);
}

static void give_back(struct block *block)
{
    expect_content(block, block->size);
    if (took(tmf_heap_free(&heap, block->at, block->size)) == 0)
        *block = work.blocks[--work.count];
}

static void give_back_badly(void)
{
    size_t size = 1 + below(200);
    size_t at = below(SIZE);
    for (size_t n = 0; n < work.count; n++) {
        if (work.blocks[n].at == region + at)
            return;
    }
    int error = took(tmf_heap_free(&heap, region + at, size));
    expect(!work.sound || error == TMF_EBADBLOCK, "what is no block is not freed");
}

static void step(void)
{
    size_t what = below(8);
    struct block *block = work.count ? &work.blocks[below(work.count)] : NULL;
    if (what < 3 || !block)
        allocate();
    else if (what < 5)
        resize(block);
    else if (what < 7)
        give_back(block);
    else if (work.count < BLOCKS_MAX) /* else there may be blocks that nobody knows here */
        give_back_badly();
}

static void use(void)
{
    tmf_heap_fault fault;
    tmf_heap_stats stats;
    work.sound = tmf_heap_check(&heap, &fault) == 0;
    (void)took(tmf_heap_walk(&heap, note_block, NULL));
    (void)took(tmf_heap_stats_get(&heap, &stats));
    for (int n = 0; n < STEPS; n++)
        step();
    (void)took(tmf_heap_grow(&heap, SIZE + PAGE * (1 + below(3))));
    for (int n = 0; n < STEPS; n++)
        step();
    for (size_t n = 0; n < work.count; n++)
        expect_content(&work.blocks[n], work.blocks[n].size);
    (void)took(tmf_heap_check(&heap, &fault));
}

static void run(const unsigned char *bytes, size_t size)
{
    size_t image = size - FUZZ_CONTROL;
    memset(region, TAG, OFFSET);
    memset(region + OFFSET, 0, SIZE + SPARE - OFFSET);
    memcpy(region + OFFSET, bytes + FUZZ_CONTROL, image < SIZE - OFFSET ? image : SIZE - OFFSET);
    mend(bytes[1]);
    work.random = bytes[0];
    work.sound = false;
    work.walked = work.count = 0;
    if (tmf_heap_attach(&heap, region, OFFSET, SIZE) == 0) {
        work.first = tmf_heap_place(&heap, heap.media->first);
        use();
    }
    for (size_t n = 0; n < OFFSET; n++)
        expect(region[n] == TAG, "the caller's part is the caller's");
}

const struct fuzz_target fuzz_target = {
    .name = "heap_fuzz",
    .size_max = FUZZ_CONTROL + SIZE - OFFSET,
    .runs = 10000,
    .begin = begin,
    .seed = seed,
    .run = run,
};
