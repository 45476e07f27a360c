# Loss-driven schedules: arrays that lrkern/_loss_driven/plateau.py has checked, scanned by src_c/scan/scan.c.


cdef extern from "scan/scan.h" nogil:
    """
    #define X(name) #name,
    static const char *const lrk_scan_rule_names[] = {LRK_SCAN_RULES(X)};
    static const char *const lrk_scan_param_names[] = {LRK_SCAN_PARAMS(X)};
    static const char *const lrk_scan_state_names[] = {LRK_SCAN_STATE(X)};
    #undef X
    """
    const char *const lrk_scan_rule_names[]
    const char *const lrk_scan_param_names[]
    const char *const lrk_scan_state_names[]
    const int LRK_N_SCAN_RULES
    const int LRK_N_SCAN_PARAMS
    const int LRK_N_SCAN_STATE

    ctypedef int lrk_scan_rule
    ctypedef struct lrk_scan_rows:
        const void *data
        int64_t pitch
        lrk_dtype dtype
    ctypedef struct lrk_scan:
        lrk_scan_rule rule
        double sign
        int64_t runs
        int64_t steps
        const double **params
        int64_t *params_step
        double **state
        lrk_scan_rows metrics
        lrk_scan_rows delayed
        int64_t delay
        double *lr
        int64_t lr_pitch

    const char *lrk_scan_run(const lrk_scan *scan)
    const char *lrk_loss_driven_run(int64_t runs, int64_t steps, lrk_scan_rows losses, const double *tables,
                                    const int64_t *table_of, double *lr, int64_t lr_pitch)
    int lrk_running_median(int64_t n, const double *numbers, int64_t reach, double *medians)
    void lrk_times_later_sum(int64_t n, const double *weights, double *out)


SCAN_RULES = tuple([lrk_scan_rule_names[i].decode() for i in range(LRK_N_SCAN_RULES)])
SCAN_PARAMS = tuple([lrk_scan_param_names[i].decode() for i in range(LRK_N_SCAN_PARAMS)])
SCAN_STATE = tuple([lrk_scan_state_names[i].decode() for i in range(LRK_N_SCAN_STATE)])


cdef lrk_scan_rows _rows(cnp.ndarray array):
    """A float32 or float64 array (runs, steps) whose steps lie next to each other."""
    cdef lrk_scan_rows rows
    rows.data = cnp.PyArray_DATA(array)
    rows.pitch = cnp.PyArray_STRIDE(array, 0)
    rows.dtype = LRK_FLOAT64 if cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT64 else LRK_FLOAT32
    return rows


cdef _check_floats(cnp.ndarray array, int64_t size):
    """See that an array is what C takes it for."""
    assert cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY(array) and cnp.PyArray_SIZE(array) == size


def scan(str rule, double sign, dict params, dict state, cnp.ndarray metrics, cnp.ndarray delayed, int64_t delay,
         cnp.ndarray lr):
    """lr[run, t] after metrics[run, t]; updates `state`. Returns the name of the ISA.

    `params`: for each of SCAN_PARAMS an array of 1 or of `runs` float64; `state`: for each of SCAN_STATE one of `runs`.
    At metric t, delayed[run, t - delay] leaves the window of greedy_smooth.
    """
    cdef lrk_scan job
    cdef cnp.ndarray array
    cdef const char *isa
    cdef int i
    job.rule = SCAN_RULES.index(rule)
    job.sign = sign
    job.runs, job.steps = metrics.shape[0], metrics.shape[1]
    for i in range(LRK_N_SCAN_PARAMS):
        array = params[SCAN_PARAMS[i]]
        _check_floats(array, 1 if array.shape[0] == 1 else job.runs)
        job.params[i] = <const double *>cnp.PyArray_DATA(array)
        job.params_step[i] = array.shape[0] > 1
    for i in range(LRK_N_SCAN_STATE):
        array = state[SCAN_STATE[i]]
        _check_floats(array, job.runs)
        job.state[i] = <double *>cnp.PyArray_DATA(array)
    job.metrics, job.delayed, job.delay = _rows(metrics), _rows(delayed), delay
    job.lr, job.lr_pitch = <double *>cnp.PyArray_DATA(lr), cnp.PyArray_STRIDE(lr, 0)
    with nogil:
        isa = lrk_scan_run(&job)
    return isa.decode()


def loss_driven_scan(cnp.ndarray losses, const double[:, ::1] tables, const int64_t[::1] table_of, cnp.ndarray lr):
    """lr[run, t] = tables[table_of[run], t] where the loss falls, else the value before. Returns the name of the ISA."""
    cdef lrk_scan_rows rows = _rows(losses)
    cdef int64_t runs = losses.shape[0], steps = losses.shape[1], pitch = cnp.PyArray_STRIDE(lr, 0)
    cdef double *out = <double *>cnp.PyArray_DATA(lr)
    cdef const char *isa
    if runs == 0 or steps == 0:
        return active_isa()
    with nogil:
        isa = lrk_loss_driven_run(runs, steps, rows, &tables[0, 0], &table_of[0], out, pitch)
    return isa.decode()


def running_median(const double[::1] numbers, int64_t reach):
    """The median of the 2 reach + 1 numbers around each; see src_c/scan/scan.h for what stands beyond the ends."""
    cdef cnp.ndarray medians = np.empty(numbers.shape[0])
    cdef double *out = <double *>cnp.PyArray_DATA(medians)
    cdef int status
    with nogil:
        status = lrk_running_median(numbers.shape[0], &numbers[0], reach, out)
    if status < 0:
        raise MemoryError("lrkern: out of memory in refine")
    return medians


def times_later_sum(const double[::1] weights):
    """weights[t] (weights[t+1] + ... + weights[n-1])."""
    cdef cnp.ndarray out = np.empty(weights.shape[0])
    lrk_times_later_sum(weights.shape[0], &weights[0], <double *>cnp.PyArray_DATA(out))
    return out
