/* The constants of work sharing between threads, in one place; the engines written in Python read them from `lrkern._core`.
   They affect times, never results. */
#ifndef LRK_POLICY_H
#define LRK_POLICY_H

enum {
    /* Pieces of work per thread: several, so that a late thread costs little. */
    LRK_PIECES_PER_THREAD = 8,

    /* Steps, in bytes of parameters. Smaller ones run on the calling thread only, which would finish before another one starts.
       A piece is large enough that the cost of handing it out is negligible. */
    LRK_STEP_SERIAL_BELOW = 256 << 10,
    LRK_STEP_MIN_PIECE = 32 << 10,
    LRK_STEP_MAX_PIECE = 1 << 20,

    /* Norms: number of blocks that a thread takes at a time. */
    LRK_NORM_BLOCKS_PER_PIECE = 64,

    /* Tables, in elements. */
    LRK_FILL_SERIAL_BELOW = 1 << 14,
    LRK_FILL_MIN_TASK = 1 << 15,

    /* Loss-driven schedules, in metrics. */
    LRK_SCAN_MIN_TASK = 1 << 15
};

#endif
