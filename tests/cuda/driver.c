/* A fake of NVIDIA's driver, for tests of what runs on the host: numba-cuda, its launches and ours, streams, captures.
 * Memory is the CPU's, and all calls are counted. Kernels do nothing, or run as C (emulator.py) if `fake_find` finds them; then
 * every access is checked. Functions not defined here are missing from the driver. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "races.h"

typedef unsigned long long address;
typedef struct {
    unsigned grid[3], block[3], shared;
    void *stream, *attributes;
    unsigned attribute_count;
} launch_config;

enum { SUCCESS = 0, NO_CONTEXT = 201, NOT_FOUND = 500, CAPTURE_UNSUPPORTED = 900 };

enum { MOST_ALLOCATIONS = 4096, MOST_PARAMETERS = 128, MOST_CAPTURED = 64 };

typedef void check_access(address begin, size_t size, const char *instruction, moment now);
typedef struct {
    void (*launch)(const unsigned *grid, const unsigned *block, void **arguments, int backwards, check_access *check);
    int parameters;
} emulated_kernel;
typedef struct {
    char *name;
    void *library;
    emulated_kernel *found; /* when it is first launched */
} kernel;

int fake_capturing, fake_context_depth, fake_backwards;
long fake_allocations, fake_copies, fake_waits, fake_loads, fake_launches, fake_last_stream, fake_races;
void *(*fake_load)(const void *code);
emulated_kernel *(*fake_find)(const char *name, void *library);

static struct {
    address begin;
    size_t size;
} memory[MOST_ALLOCATIONS];
static int used;

static struct {
    emulated_kernel *found;
    unsigned grid[3], block[3];
    uint64_t arguments[MOST_PARAMETERS];
} captured[MOST_CAPTURED];
static int captured_launches;

static char context[1];
static void *contexts[64];

/* What may not happen while a graph is captured. */
static int unless_capturing(long *counter) {
    ++*counter;
    return fake_capturing ? CAPTURE_UNSUPPORTED : SUCCESS;
}

static int copy(address to, address from, size_t size) {
    ++fake_copies;
    memcpy((void *)to, (const void *)from, size);
    return SUCCESS;
}

/* The place of the allocation that holds this; `used` if there is none. */
static int allocation_of(address begin, size_t size) {
    static int last; /* most are in the same one as the last */
    if (last >= used) last = 0;
    for (int i = 0; i < used; ++i, last = (last + 1) % used)
        if (begin >= memory[last].begin && begin + size <= memory[last].begin + memory[last].size) return last;
    return used;
}

static void check(address begin, size_t size, const char *instruction, moment now) {
    int shared = strstr(instruction, ".shared") != NULL;
    if (begin % size != 0 || (!shared && allocation_of(begin, size) == used)) {
        fprintf(stderr, "fake driver: %s: %d bytes at %#llx are not there, or not aligned\n", instruction, (int)size, begin);
        abort();
    }
    if (races(begin, size, instruction, now, shared) && ++fake_races == 1)
        fprintf(stderr, "fake driver: %s: thread %d of block %d races\n", instruction, (int)(now & 1023), (int)(now >> 32));
}

static void run(emulated_kernel *found, const unsigned *grid, const unsigned *block, void **arguments) {
    ++this_launch;
    found->launch(grid, block, arguments, fake_backwards, check);
}

static void launch(const launch_config *config, emulated_kernel *found, void **arguments) {
    if (!fake_capturing) {
        run(found, config->grid, config->block, arguments);
        return;
    }
    if (captured_launches == MOST_CAPTURED || found->parameters > MOST_PARAMETERS) abort();
    captured[captured_launches].found = found;
    memcpy(captured[captured_launches].grid, config->grid, sizeof config->grid);
    memcpy(captured[captured_launches].block, config->block, sizeof config->block);
    for (int i = 0; i < found->parameters; ++i) memcpy(&captured[captured_launches].arguments[i], arguments[i], 8);
    ++captured_launches;
}

/* What a CUDA graph of the launches captured since `fake_forget` does. */
void fake_replay(void) {
    for (int i = 0; i < captured_launches; ++i) {
        void *arguments[MOST_PARAMETERS];
        for (int k = 0; k < MOST_PARAMETERS; ++k) arguments[k] = &captured[i].arguments[k];
        run(captured[i].found, captured[i].grid, captured[i].block, arguments);
    }
}
void fake_forget(void) { captured_launches = 0; }

static int set(int *to, int value) {
    *to = value;
    return SUCCESS;
}

static int some(void **handle) {
    *handle = malloc(8);
    return SUCCESS;
}

int cuInit(unsigned flags) { return SUCCESS; }
int cuDriverGetVersion(int *version) { return set(version, 13050); }
int cuGetErrorName(int error, const char **name) { return *name = "CUDA_ERROR", SUCCESS; }
int cuGetErrorString(int error, const char **text) { return *text = "an error of the fake driver", SUCCESS; }

int cuDeviceGetCount(int *count) { return set(count, 1); }
int cuDeviceGet(int *device, int ordinal) { return set(device, ordinal); }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, (size_t)size, "fake device"), SUCCESS; }
int cuDeviceGetUuid(char *uuid, int device) { return memset(uuid, 7, 16), SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76 };
    return set(value, attribute == MULTIPROCESSORS ? 132 : attribute == MAJOR ? 9 : attribute == MINOR ? 0 : 1024);
}

int cuDevicePrimaryCtxRetain(void **found, int device) { return *found = context, SUCCESS; }
int cuDevicePrimaryCtxRelease(int device) { return SUCCESS; }
int cuCtxGetCurrent(void **found) {
    *found = fake_context_depth ? contexts[fake_context_depth - 1] : NULL;
    return SUCCESS;
}
int cuCtxPushCurrent(void *pushed) { return contexts[fake_context_depth++] = pushed, SUCCESS; }
int cuCtxPopCurrent(void **popped) {
    if (!fake_context_depth) return NO_CONTEXT;
    return *popped = contexts[--fake_context_depth], SUCCESS;
}
int cuCtxSetCurrent(void *made) {
    if (fake_context_depth) --fake_context_depth;
    if (made) contexts[fake_context_depth++] = made;
    return SUCCESS;
}
int cuCtxGetDevice(int *device) { return fake_context_depth ? set(device, 0) : NO_CONTEXT; }
int cuCtxSynchronize(void) { return unless_capturing(&fake_waits); }

int cuMemGetInfo(size_t *available, size_t *total) { return *available = *total = (size_t)1 << 35, SUCCESS; }
int cuMemAlloc(address *found, size_t size) {
    if (used == MOST_ALLOCATIONS) abort();
    *found = (address)aligned_alloc(512, (size + 511) / 512 * 512);
    memset((void *)*found, 0xA5, size); /* nobody may count on zeros */
    memory[used].begin = *found;
    memory[used++].size = size;
    return unless_capturing(&fake_allocations);
}
int cuMemFree(address begin) {
    int place = 0;
    while (place < used && memory[place].begin != begin) ++place;
    if (place == used) abort();
    memory[place] = memory[--used];
    free((void *)begin);
    return unless_capturing(&fake_allocations);
}
int cuMemcpyHtoDAsync(address to, const void *from, size_t size, void *stream) { return copy(to, (address)from, size); }
int cuMemcpyDtoHAsync(void *to, address from, size_t size, void *stream) { return copy((address)to, from, size); }
int cuMemcpyHtoD(address to, const void *from, size_t size) { return ++fake_waits, copy(to, (address)from, size); }
int cuMemcpyDtoH(void *to, address from, size_t size) { return ++fake_waits, copy((address)to, from, size); }
int cuPointerGetAttribute(void *value, int attribute, address pointer) {
    enum { CONTEXT = 1, DEVICE_POINTER = 3, DEVICE_ORDINAL = 9 };
    if (attribute == CONTEXT) return *(void **)value = context, SUCCESS;
    if (attribute == DEVICE_POINTER) return *(address *)value = pointer, SUCCESS;
    return set(value, attribute == DEVICE_ORDINAL ? 0 : 2);
}

int cuStreamCreate(void **stream, unsigned flags) { return some(stream); }
int cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return some(stream); }
int cuStreamDestroy(void *stream) { return SUCCESS; }
int cuStreamGetCtx(void *stream, void **found) { return *found = context, SUCCESS; }
int cuStreamSynchronize(void *stream) { return unless_capturing(&fake_waits); }
int cuStreamIsCapturing(void *stream, int *status) { return set(status, fake_capturing); }
int cuCtxGetStreamPriorityRange(int *least, int *greatest) { return set(least, 0), set(greatest, 0); }

int cuLibraryLoadData(void **library, const void *code, void *a, void *b, unsigned c, void *d, void *e, unsigned f) {
    ++fake_loads;
    if (fake_capturing) return CAPTURE_UNSUPPORTED;
    if (!fake_load) return some(library);
    return *library = fake_load(code), SUCCESS;
}
int cuLibraryUnload(void *library) { return SUCCESS; }
int cuLibraryGetKernel(void **found, void *library, const char *name) {
    kernel *made = malloc(sizeof *made);
    *made = (kernel){strdup(name), library, NULL};
    return *found = made, SUCCESS;
}
int cuKernelGetFunction(void **function, void *found) { return *function = found, SUCCESS; }
int cuFuncGetAttribute(int *value, int attribute, void *function) { return set(value, 0); }
int cuFuncSetAttribute(void *function, int attribute, int value) { return SUCCESS; }
int cuLibraryGetModule(void **module, void *library) { return *module = library, SUCCESS; }
int cuModuleGetGlobal(address *found, size_t *size, void *module, const char *name) { return NOT_FOUND; }
int cuKernelGetAttribute(int *value, int attribute, void *found, int device) { return set(value, 0); }
int cuLaunchKernelEx(const launch_config *config, kernel *launched, void **arguments, void **extra) {
    fake_last_stream = (long)config->stream;
    ++fake_launches;
    if (!fake_find) return SUCCESS;
    if (!launched->found) launched->found = fake_find(launched->name, launched->library);
    if (!launched->found) return NOT_FOUND;
    return launch(config, launched->found, arguments), SUCCESS;
}
int cuLaunchKernel(kernel *launched, unsigned x, unsigned y, unsigned z, unsigned u, unsigned v, unsigned w, unsigned shared,
                   void *stream, void **arguments, void **extra) {
    launch_config config = {{x, y, z}, {u, v, w}, shared, stream, NULL, 0};
    return cuLaunchKernelEx(&config, launched, arguments, extra);
}

int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *status) {
    Dl_info own;
    if (!dladdr((void *)cuInit, &own)) return NOT_FOUND;
    void *library = dlopen(own.dli_fname, RTLD_NOW);
    *found = dlsym(library, name);
    dlclose(library);
    if (status) *status = *found ? 0 : 1;
    return *found ? SUCCESS : NOT_FOUND;
}
int cuGetProcAddress(const char *name, void **found, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, found, version, flags, NULL);
}
