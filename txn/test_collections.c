/* SPDX-License-Identifier: MIT */
/* See test_collections.h. */
#include "txn/test_collections.h"

#include <string.h>

#include "txn/test_kit.h"

#define BUCKETS_FIRST 8

/* ---- list */

struct list_node {
    uint64_t value;
    struct list_node *next;
};

void list_push(tmf_writer *writer, struct list *list, uint64_t value)
{
    struct list_node *node = test_alloc(writer, sizeof(*node));
    *node = (struct list_node){value, list->head};
    list->head = node;
    list->count++;
}

bool list_pop(tmf_writer *writer, struct list *list, uint64_t *out)
{
    struct list_node *node = list->head;
    if (!node)
        return false;
    *out = node->value;
    list->head = node->next;
    list->count--;
    check_ok(tmf_free(writer, node, sizeof(*node)));
    return true;
}

bool list_counts_down(const struct list *list, uint64_t last, size_t count)
{
    const struct list_node *node = list->head;
    for (size_t n = 0; n < count; n++, node = node->next) {
        if (!node || node->value != last - n)
            return false;
    }
    return !node && list->count == count;
}

/* ---- map: a treap, priorities are a hash of the key */

struct map_node {
    uint64_t key, value;
    struct map_node *lower, *higher;
};

static uint64_t hash(uint64_t key)
{
    return test_random(&key);
}

/* Splits into the keys below `key` and the others. */
static void split(struct map_node *node, uint64_t key, struct map_node **below,
                  struct map_node **others)
{
    if (!node) {
        *below = *others = NULL;
    } else if (node->key < key) {
        split(node->higher, key, &node->higher, others);
        *below = node;
    } else {
        split(node->lower, key, below, &node->lower);
        *others = node;
    }
}

/* All keys of `below` are less than those of `above`. */
static struct map_node *join(struct map_node *below, struct map_node *above)
{
    if (!below || !above)
        return below ? below : above;
    if (hash(below->key) > hash(above->key)) {
        below->higher = join(below->higher, above);
        return below;
    }
    above->lower = join(below, above->lower);
    return above;
}

static struct map_node *find_node(const struct map *map, uint64_t key)
{
    struct map_node *node = map->top;
    while (node && node->key != key)
        node = key < node->key ? node->lower : node->higher;
    return node;
}

void map_put(tmf_writer *writer, struct map *map, uint64_t key, uint64_t value)
{
    struct map_node *node = find_node(map, key);
    if (node) {
        node->value = value;
        return;
    }
    struct map_node *below, *above;
    split(map->top, key, &below, &above);
    node = test_alloc(writer, sizeof(*node));
    *node = (struct map_node){.key = key, .value = value};
    map->top = join(join(below, node), above);
    map->count++;
}

bool map_get(const struct map *map, uint64_t key, uint64_t *out)
{
    const struct map_node *node = find_node(map, key);
    if (node)
        *out = node->value;
    return node;
}

bool map_erase(tmf_writer *writer, struct map *map, uint64_t key)
{
    struct map_node **link = &map->top;
    while (*link && (*link)->key != key)
        link = key < (*link)->key ? &(*link)->lower : &(*link)->higher;
    struct map_node *node = *link;
    if (!node)
        return false;
    *link = join(node->lower, node->higher);
    map->count--;
    check_ok(tmf_free(writer, node, sizeof(*node)));
    return true;
}

/* Counts the nodes; SIZE_MAX if one is out of [low, high] or above its parent's priority. */
static size_t count_whole(const struct map_node *node, uint64_t low, uint64_t high,
                          uint64_t priority)
{
    if (!node)
        return 0;
    if (node->key < low || node->key > high || hash(node->key) > priority)
        return SIZE_MAX;
    size_t lower = node->lower ? count_whole(node->lower, low, node->key - 1, hash(node->key)) : 0;
    size_t higher =
        node->higher ? count_whole(node->higher, node->key + 1, high, hash(node->key)) : 0;
    return lower == SIZE_MAX || higher == SIZE_MAX ? SIZE_MAX : lower + higher + 1;
}

bool map_is_whole(const struct map *map)
{
    return count_whole(map->top, 0, UINT64_MAX, UINT64_MAX) == map->count;
}

/* ---- table: chains, twice the buckets when there are as many nodes */

struct table_node {
    uint64_t key, value;
    struct table_node *next;
};

static struct table_node **bucket_of(const struct table *table, uint64_t key)
{
    return &table->buckets[hash(key) & (table->bucket_count - 1)];
}

static void grow(tmf_writer *writer, struct table *table)
{
    struct table larger = {.count = table->count,
                           .bucket_count =
                               table->bucket_count ? table->bucket_count * 2 : BUCKETS_FIRST};
    size_t bytes = larger.bucket_count * sizeof(struct table_node *);
    larger.buckets = test_alloc(writer, bytes);
    memset((void *)larger.buckets, 0, bytes);
    for (size_t n = 0; n < table->bucket_count; n++) {
        for (struct table_node *node = table->buckets[n], *next; node; node = next) {
            next = node->next;
            struct table_node **bucket = bucket_of(&larger, node->key);
            node->next = *bucket;
            *bucket = node;
        }
    }
    if (table->buckets)
        check_ok(tmf_free(writer, (void *)table->buckets,
                          table->bucket_count * sizeof(struct table_node *)));
    *table = larger;
}

/* The link that points to the key's node, or the one that ends its chain. */
static struct table_node **link_of(const struct table *table, uint64_t key)
{
    struct table_node **link = bucket_of(table, key);
    while (*link && (*link)->key != key)
        link = &(*link)->next;
    return link;
}

void table_put(tmf_writer *writer, struct table *table, uint64_t key, uint64_t value)
{
    if (table->count == table->bucket_count)
        grow(writer, table);
    struct table_node **link = link_of(table, key);
    if (!*link) {
        struct table_node *node = test_alloc(writer, sizeof(*node));
        *node = (struct table_node){.key = key};
        *link = node;
        table->count++;
    }
    (*link)->value = value;
}

bool table_get(const struct table *table, uint64_t key, uint64_t *out)
{
    const struct table_node *node = table->count ? *link_of(table, key) : NULL;
    if (node)
        *out = node->value;
    return node;
}

bool table_erase(tmf_writer *writer, struct table *table, uint64_t key)
{
    struct table_node **link = table->count ? link_of(table, key) : NULL;
    struct table_node *node = link ? *link : NULL;
    if (!node)
        return false;
    *link = node->next;
    table->count--;
    check_ok(tmf_free(writer, node, sizeof(*node)));
    return true;
}

bool table_is_whole(const struct table *table)
{
    size_t count = 0;
    for (size_t n = 0; n < table->bucket_count; n++) {
        for (const struct table_node *node = table->buckets[n]; node; node = node->next, count++) {
            if (bucket_of(table, node->key) != &table->buckets[n] || count > table->count)
                return false;
        }
    }
    return count == table->count;
}

void table_clear(tmf_writer *writer, struct table *table)
{
    for (size_t n = 0; n < table->bucket_count; n++) {
        while (table->buckets[n])
            check(table_erase(writer, table, table->buckets[n]->key));
    }
    if (table->buckets)
        check_ok(tmf_free(writer, (void *)table->buckets,
                          table->bucket_count * sizeof(struct table_node *)));
    *table = (struct table){0};
}
