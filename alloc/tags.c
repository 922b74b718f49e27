/* SPDX-License-Identifier: MIT */
/* Boundary tags, see tags.h. */
#include "tags.h"

#include "point.h"

static uint64_t get(const void *word, bool wide)
{
    return wide ? *(const uint64_t *)word : *(const uint32_t *)word;
}

static void put(void *word, bool wide, uint64_t value)
{
    if (get(word, wide) == value) {
        return;
    }
    if (wide) {
        *(uint64_t *)word = value;
    } else {
        *(uint32_t *)word = (uint32_t)value;
    }
}

static size_t word_bytes(bool wide)
{
    return wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

static void *node_word(const tmf_heap *heap, bool wide, uint64_t at)
{
    return (unsigned char *)tmf_heap_place(heap, at) + TMF_TAG_WORD * word_bytes(wide);
}

/* The last word in front of quantum `at`. */
static void *tag_word(const tmf_heap *heap, bool wide, uint64_t at)
{
    return (unsigned char *)tmf_heap_place(heap, at) - word_bytes(wide);
}

void tmf_tags_write(tmf_heap *heap, bool wide, struct tmf_run run)
{
    put(node_word(heap, wide, run.at), wide, run.quanta);
    if (!TMF_MUTANT("end-tag-not-written")) {
        put(tag_word(heap, wide, tmf_run_end(run)), wide, run.quanta);
    }
}

bool tmf_tags_hold(const tmf_heap *heap, bool wide, struct tmf_run run)
{
    return get(node_word(heap, wide, run.at), wide) == run.quanta &&
           get(tag_word(heap, wide, tmf_run_end(run)), wide) == run.quanta;
}

int tmf_tags_below(tmf_heap *heap, bool wide, uint64_t at, struct tmf_run *out)
{
    uint64_t quanta = get(tag_word(heap, wide, at), wide);
    heap->nodes_visited++;
    if (quanta == 0 || quanta > at - heap->media->first) {
        return TMF_ECORRUPT;
    }
    *out = (struct tmf_run){.at = at - quanta, .quanta = quanta};
    return tmf_tags_hold(heap, wide, *out) ? 0 : TMF_ECORRUPT;
}

int tmf_tags_above(tmf_heap *heap, bool wide, uint64_t at, struct tmf_run *out)
{
    uint64_t quanta = get(node_word(heap, wide, at), wide);
    heap->nodes_visited++;
    if (quanta == 0 || quanta > heap->media->end - at) {
        return TMF_ECORRUPT;
    }
    *out = (struct tmf_run){.at = at, .quanta = quanta};
    return tmf_tags_hold(heap, wide, *out) ? 0 : TMF_ECORRUPT;
}

int tmf_tags_adjacent(tmf_heap *heap, bool wide, struct tmf_run run, struct tmf_run *below,
                      struct tmf_run *above)
{
    int error = 0;
    *below = *above = (struct tmf_run){0};
    if (tmf_gap_is_below(heap, run.at)) {
        error = tmf_tags_below(heap, wide, run.at, below);
    }
    if (error == 0 && tmf_gap_is_above(heap, tmf_run_end(run))) {
        error = tmf_tags_above(heap, wide, tmf_run_end(run), above);
    }
    return error;
}
