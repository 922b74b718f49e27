/* SPDX-License-Identifier: MIT */
/*
 * Collections that live in an arena, with ordinary pointers: a list, an ordered map (a treap) and a
 * hash table that grows. Keys and values are numbers; a zeroed structure is an empty collection.
 * What runs out of memory fails the test.
 */
#ifndef TMF_TEST_COLLECTIONS_H
#define TMF_TEST_COLLECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/tmf.h"

struct list {
    struct list_node *head;
    size_t count;
};
void list_push(tmf_writer *writer, struct list *list, uint64_t value);
bool list_pop(tmf_writer *writer, struct list *list, uint64_t *out);
/* Whether it holds what was pushed: `count` values, the last one first, each one less. */
bool list_counts_down(const struct list *list, uint64_t last, size_t count);

struct map {
    struct map_node *top;
    size_t count;
};
void map_put(tmf_writer *writer, struct map *map, uint64_t key, uint64_t value);
bool map_get(const struct map *map, uint64_t key, uint64_t *out);
bool map_erase(tmf_writer *writer, struct map *map, uint64_t key);
bool map_is_whole(const struct map *map); /* in order, balanced as a treap, of the right count */

struct table {
    struct table_node **buckets;
    size_t bucket_count, count;
};
void table_put(tmf_writer *writer, struct table *table, uint64_t key, uint64_t value);
bool table_get(const struct table *table, uint64_t key, uint64_t *out);
bool table_erase(tmf_writer *writer, struct table *table, uint64_t key);
bool table_is_whole(const struct table *table); /* every node in its bucket, of the right count */
void table_clear(tmf_writer *writer, struct table *table);

#endif
