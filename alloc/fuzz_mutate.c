/* SPDX-License-Identifier: MIT */
/*
 * How inputs are changed. A medium is words, most of them zero, and those that are not mean each
 * other: places, counts, numbers of transactions. So most changes are of one word that is not zero,
 * to a neighbour of what it was or to what another word is; the others are what disks do: bits
 * flip, sectors are lost or are those of another place, ends are cut off.
 */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD       sizeof(uint64_t)
#define WORD_TRIES 16
#define CHANGES    4 /* at most, in one mutation */

struct image {
    unsigned char *bytes;
    size_t size, size_max;
    uint64_t *random;
};

void fuzz_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "%s: ", fuzz_target.name);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

static size_t below(const struct image *image, size_t limit)
{
    return limit ? (size_t)(fuzz_random(image->random) % limit) : 0;
}

static uint64_t word_at(const struct image *image, size_t at)
{
    uint64_t word;
    memcpy(&word, image->bytes + at, WORD);
    return word;
}

/* The place of a word, rather of one that is not zero. */
static size_t some_word(const struct image *image)
{
    size_t at = 0;
    for (int tries = 0; tries < WORD_TRIES; tries++) {
        at = below(image, image->size / WORD) * WORD;
        if (word_at(image, at) != 0)
            break;
    }
    return at;
}

static uint64_t changed_word(const struct image *image, uint64_t word)
{
    switch (below(image, 7)) {
    case 0:
        return word + 1 + below(image, 3);
    case 1:
        return word - 1 - below(image, 3);
    case 2:
        return word ^ (UINT64_C(1) << below(image, 64));
    case 3:
        return word_at(image, some_word(image));
    case 4:
        return (UINT64_C(1) << below(image, 64)) - below(image, 2);
    case 5: /* one half of it, as two numbers may share a word */
        return (word & UINT64_C(0xffffffff00000000)) | below(image, 256);
    default:
        return below(image, image->size + 1);
    }
}

static void change_word(struct image *image)
{
    size_t at = some_word(image);
    uint64_t word = changed_word(image, word_at(image, at));
    memcpy(image->bytes + at, &word, WORD);
}

static void change_byte(struct image *image)
{
    image->bytes[below(image, image->size)] = (unsigned char)fuzz_random(image->random);
}

/* Whole sectors, records, or some words, of one place in another, or lost. */
static void change_stretch(struct image *image)
{
    static const size_t lengths[] = {16, 64, 512, 4096, 4608};
    size_t length = lengths[below(image, sizeof(lengths) / sizeof(lengths[0]))];
    if (length + FUZZ_CONTROL > image->size)
        return;
    size_t places = (image->size - length - FUZZ_CONTROL) / 16 + 1;
    unsigned char *to = image->bytes + FUZZ_CONTROL + below(image, places) * 16;
    if (below(image, 3) == 0)
        memset(to, 0, length);
    else
        memmove(to, image->bytes + FUZZ_CONTROL + below(image, places) * 16, length);
}

static void change_size(struct image *image)
{
    size_t size = FUZZ_CONTROL + below(image, image->size_max - FUZZ_CONTROL + 1);
    if (below(image, 2) == 0)
        size = (size + 511) / 512 * 512 + FUZZ_CONTROL;
    if (size > image->size_max)
        size = image->size_max;
    if (size > image->size)
        memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

static void change(struct image *image)
{
    switch (below(image, 16)) {
    case 0:
        image->bytes[below(image, FUZZ_CONTROL)] = (unsigned char)fuzz_random(image->random);
        break;
    case 1:
        change_size(image);
        break;
    case 2:
    case 3:
        change_stretch(image);
        break;
    case 4:
    case 5:
        change_byte(image);
        break;
    default:
        change_word(image);
    }
}

size_t fuzz_mutate(unsigned char *bytes, size_t size, size_t size_max, uint64_t *random)
{
    struct image image = {bytes, size, size_max, random};
    if (size < FUZZ_CONTROL) {
        memset(bytes + size, 0, FUZZ_CONTROL - size);
        image.size = FUZZ_CONTROL;
    }
    for (size_t n = below(&image, CHANGES) + 1; n > 0; n--)
        change(&image);
    return image.size;
}
