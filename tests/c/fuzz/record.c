#include "record.h"

#include <math.h>

#include "lrkern.h"
#include "report.h"

void fuzz_note(fuzz_record *record, const char *what, int64_t where, uint64_t bits)
{
    if (record->count == record->room) {
        record->room = 2 * record->room + 1024;
        record->entries = realloc(record->entries, (size_t)record->room * sizeof *record->entries);
        FUZZ_CHECK(record->entries != NULL, "no memory");
    }
    record->entries[record->count++] = (fuzz_entry){what, where, bits};
}

uint64_t fuzz_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? UINT64_MAX : bits;
}

uint64_t fuzz_bits_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? UINT64_MAX : bits;
}

void fuzz_note_double(fuzz_record *record, const char *what, int64_t where, double value)
{
    fuzz_note(record, what, where, fuzz_bits(value));
}

void fuzz_compare(const fuzz_record *first, const fuzz_record *other, const char *name)
{
    for (int64_t i = 0; i < first->count && i < other->count; i++) {
        const fuzz_entry *const a = &first->entries[i], *const b = &other->entries[i];
        if (a->what == b->what && a->where == b->where && a->bits == b->bits)
            continue;
        FUZZ_CHECK(strcmp(a->what, b->what) == 0 && a->where == b->where, "%s [%lld] on scalar, %s [%lld] on %s", a->what,
                   (long long)a->where, b->what, (long long)b->where, name);
        FUZZ_CHECK(a->bits == b->bits, "%s [%lld] is 0x%llx on scalar, 0x%llx on %s", a->what, (long long)a->where,
                   (unsigned long long)a->bits, (unsigned long long)b->bits, name);
    }
    FUZZ_CHECK(first->count == other->count, "%lld numbers on scalar, %lld on %s", (long long)first->count,
               (long long)other->count, name);
}

void fuzz_on_all(void (*observe)(const void *context, fuzz_record *record), const void *context, int threads)
{
    const int isas = lrk_isa_count();
    fuzz_record scalar = {0};
    for (int run = 0; run < isas + (threads != 0); run++) {
        const char *const isa = lrk_isa_name(run < isas ? run : isas - 1);
        char name[64];
        snprintf(name, sizeof name, "%s%s", isa, run < isas ? "" : ", 2 threads");
        FUZZ_CHECK(lrk_use_isa(isa) == 0 && lrk_set_threads(run < isas ? 1 : 2) == 0, "%s cannot run", name);
        fuzz_record other = {0};
        observe(context, run == 0 ? &scalar : &other);
        if (run > 0)
            fuzz_compare(&scalar, &other, name);
        free(other.entries);
    }
    free(scalar.entries);
}
