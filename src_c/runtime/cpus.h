/* The CPUs that this process may use. */
#ifndef LRK_CPUS_H
#define LRK_CPUS_H

/* The CPUs that the process may run on, or the quota of its control groups if that is less; at least 1. */
int lrk_cpus(void);

/* The least CPU quota of the process's control group and those above it, in CPUs, rounded up; 0: none. `root` is what /proc and
   /sys lie in: "" but in tests. */
int lrk_cpu_quota(const char *root);

#endif
