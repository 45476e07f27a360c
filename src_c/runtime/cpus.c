#define _GNU_SOURCE
#include "runtime/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int affinity(void)
{
#if defined(__linux__)
    for (int limit = 1024; limit <= 1 << 20; limit *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)limit);
        if (set == NULL)
            break;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)limit);
        const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

int lrk_cpus(void)
{
    const int count = affinity(), quota = lrk_cpu_quota("");
    return quota > 0 && quota < count ? quota : count;
}

#if defined(__linux__)

/* Whether `name` is an entry of a list with commas. */
static bool has_entry(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

/* The first line of a file in a folder; false if there is none. */
static bool read_line(const char *folder, const char *name, char *line, int size)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *const file = fopen(path, "re");
    const bool found = file != NULL && fgets(line, size, file) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

/* The quota of one control group in CPUs; 0: none. */
static int quota_of(const char *folder, bool v2)
{
    char line[128];
    long long quota = 0, period = 100000;
    if (v2) { /* "max 100000", or two numbers */
        if (!read_line(folder, "cpu.max", line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) < 1)
            return 0;
    } else { /* -1, or a number */
        if (!read_line(folder, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lld", &quota) != 1 ||
            !read_line(folder, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lld", &period) != 1)
            return 0;
    }
    if (quota <= 0 || period <= 0)
        return 0;
    const long long count = (quota - 1) / period + 1;
    return count < INT_MAX ? (int)count : INT_MAX;
}

/* The path of the process's group in a hierarchy: /proc/self/cgroup has lines "number:controllers:path"; version 2 is the
   hierarchy 0 without controllers. */
static bool find_group(const char *root, bool v2, char *group, size_t size)
{
    char path[PATH_MAX], line[PATH_MAX + 256];
    bool found = false;
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return false;
    FILE *const file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *const controllers = strchr(line, ':'), *const at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (at == NULL)
            continue;
        *at = '\0';
        if (v2 ? strcmp(line, "0:") == 0 : has_entry(controllers + 1, "cpu")) {
            at[1 + strcspn(at + 1, "\n")] = '\0';
            found = snprintf(group, size, "%s", at + 1) < (int)size;
        }
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* The least quota from a group up to the folder where its hierarchy is mounted. */
static int least_quota(char *folder, size_t top, bool v2)
{
    int least = 0;
    for (;;) {
        const int quota = quota_of(folder, v2);
        least = quota > 0 && (least == 0 || quota < least) ? quota : least;
        char *const last = strrchr(folder, '/');
        if (last == NULL || (size_t)(last - folder) < top)
            return least;
        *last = '\0';
    }
}

int lrk_cpu_quota(const char *root)
{
    char path[PATH_MAX], line[2 * PATH_MAX + 512];
    int least = 0;
    if (snprintf(path, sizeof path, "%s/proc/self/mountinfo", root) >= (int)sizeof path)
        return 0;
    FILE *const file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        /* "id parent device top mount options [fields] - type source options": the group `top` is seen in the folder `mount`. */
        char top[PATH_MAX], mount[PATH_MAX], type[32], options[512] = "", group[PATH_MAX], folder[PATH_MAX];
        const char *const second = strstr(line, " - ");
        if (second == NULL || sscanf(second, " - %31s %*s %511s", type, options) < 1)
            continue;
        const bool v2 = strcmp(type, "cgroup2") == 0;
        if (!v2 && (strcmp(type, "cgroup") != 0 || !has_entry(options, "cpu")))
            continue;
        _Static_assert(PATH_MAX > 4095, "the widths below");
        if (sscanf(line, "%*s %*s %*s %4095s %4095s", top, mount) != 2 || !find_group(root, v2, group, sizeof group))
            continue;
        /* A container may see only its own group, mounted at the top, whatever its path is outside. */
        const size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
        const bool below = strncmp(group, top, length) == 0 && (group[length] == '/' || group[length] == '\0');
        const char *rest = below && strcmp(group + length, "/") != 0 ? group + length : "";
        rest = strstr(rest, "/..") != NULL ? "" : rest;
        if (snprintf(folder, sizeof folder, "%s%s%s", root, mount, rest) >= (int)sizeof folder)
            continue;
        const int quota = least_quota(folder, strlen(root) + strlen(mount), v2);
        least = quota > 0 && (least == 0 || quota < least) ? quota : least;
    }
    if (file != NULL)
        fclose(file);
    return least;
}

#else

int lrk_cpu_quota(const char *root)
{
    (void)root;
    return 0;
}

#endif
