/* Whether threads get into each other's way: two accesses to the same bytes in one launch, one of them a write, by threads of
 * different blocks, or by threads of one block with no barrier in between. Atomic additions may meet each other. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A thread between two barriers: its block from bit 32 on, barriers met from bit 10 on, its number. */
typedef uint64_t moment;

enum { PLACES = 1 << 21, GRANULE = 2, NOBODY = -1 };
typedef struct {
    uint64_t place;
    long launch;
    moment wrote, added, read[2]; /* the last ones to; `read` by two different threads */
} history;

static history *histories;
static long this_launch;

static int collide(moment a, moment b, int shared) {
    if (a == (moment)NOBODY || a == b) return 0;
    return a >> 32 != b >> 32 ? !shared : a >> 10 == b >> 10;
}

static history *history_of(uint64_t place) {
    if (!histories) histories = calloc(PLACES, sizeof *histories);
    uint64_t at = place * 0x9E3779B97F4A7C15 >> 43;
    for (int probes = 0; probes < PLACES; ++probes, at = (at + 1) % PLACES) {
        history *one = &histories[at];
        if (one->launch == this_launch && one->place == place) return one;
        if (one->launch != this_launch) {
            *one = (history){place, this_launch, NOBODY, NOBODY, {NOBODY, NOBODY}};
            return one;
        }
    }
    abort();
}

/* Note an access, of a kind that its name begins with: "ld", "st", "atom". Whether it collides with one before. */
static int races(uint64_t begin, uint64_t size, const char *name, moment now, int shared) {
    int found = 0;
    for (uint64_t place = begin / GRANULE; place * GRANULE < begin + size; ++place) {
        history *one = history_of(place);
        found |= collide(one->wrote, now, shared);
        if (*name != 'a') found |= collide(one->added, now, shared);
        if (*name != 'l') found |= collide(one->read[0], now, shared) | collide(one->read[1], now, shared);
        if (*name == 's') one->wrote = now;
        else if (*name == 'a') one->added = now;
        else if (one->read[0] != now) one->read[1] = one->read[0], one->read[0] = now;
    }
    return found;
}
