/* Numbers that decide how threads share work, in one place; the engines written in Python read them from `lrkern._core`. They
   change how long something takes, never a bit of a result. */
#ifndef LRK_POLICY_H
#define LRK_POLICY_H

enum {
    /* Pieces of work for each thread: several, so that one that comes late costs little. */
    LRK_PIECES_PER_THREAD = 8,

    /* Steps, in bytes of parameters. Less is done by the calling thread alone, which would be finished before another one is at
       work. A piece is large enough that handing it out does not show. */
    LRK_STEP_SERIAL_BELOW = 256 << 10,
    LRK_STEP_MIN_PIECE = 32 << 10,
    LRK_STEP_MAX_PIECE = 1 << 20,

    /* Norms: blocks that a thread takes at a time. */
    LRK_NORM_BLOCKS_PER_PIECE = 64,

    /* Tables, in elements. */
    LRK_FILL_SERIAL_BELOW = 1 << 14,
    LRK_FILL_MIN_TASK = 1 << 15,

    /* Loss-driven schedules, in metrics. */
    LRK_SCAN_MIN_TASK = 1 << 15
};

#endif
