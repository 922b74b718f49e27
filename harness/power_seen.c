/* SPDX-License-Identifier: MIT */
/* See power_seen.h. */
#include "harness/power_seen.h"

#include <errno.h>
#include <sys/mman.h>

#include "faults/sim_disk.h"

#define PLACES_FIRST ((uint64_t)1 << 12)

static struct power_seen *make_places(uint64_t places)
{
    void *memory = mmap(NULL, places * sizeof(struct power_seen), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int power_table_make(struct power_table *table)
{
    *table = (struct power_table){.at = make_places(PLACES_FIRST), .places = PLACES_FIRST};
    return table->at ? 0 : ENOMEM;
}

void power_table_free(struct power_table *table)
{
    if (table->at)
        munmap(table->at, table->places * sizeof(*table->at));
    table->at = NULL;
}

/* The image's, or an empty one. */
static struct power_seen *place_for(const struct power_table *table, uint64_t hash)
{
    uint64_t place = hash / 2 % table->places;
    while (table->at[place].hash && table->at[place].hash != hash)
        place = (place + 1) % table->places;
    return &table->at[place];
}

static bool double_places(struct power_table *table)
{
    struct power_table larger = {.places = 2 * table->places, .count = table->count};
    larger.at = make_places(larger.places);
    if (!larger.at)
        return false;
    for (uint64_t n = 0; n < table->places; n++) {
        if (table->at[n].hash)
            *place_for(&larger, table->at[n].hash) = table->at[n];
    }
    power_table_free(table);
    *table = larger;
    return true;
}

struct power_seen *power_table_find(struct power_table *table, uint64_t hash, bool *is_new)
{
    hash |= 1;
    struct power_seen *seen = place_for(table, hash);
    *is_new = !seen->hash;
    if (!*is_new)
        return seen;
    if (table->count >= table->places / 4 * 3) {
        if (!double_places(table))
            return NULL;
        seen = place_for(table, hash);
    }
    table->count++;
    seen->hash = hash;
    return seen;
}

void power_seen_set(struct power_seen *seen, const struct power_outcome *outcome)
{
    seen->holds = outcome->holds;
    seen->is_absent = outcome->is_absent;
    seen->recovered = outcome->recovered < UINT32_MAX ? (uint32_t)outcome->recovered : UINT32_MAX;
    seen->pages = (uint32_t)(outcome->size / DISK_PAGE);
}

struct power_outcome power_seen_get(const struct power_seen *seen)
{
    return (struct power_outcome){
        .holds = seen->holds,
        .is_absent = seen->is_absent,
        .recovered = seen->recovered == UINT32_MAX ? VERDICT_UNKNOWN : seen->recovered,
        .size = seen->pages * DISK_PAGE,
    };
}
