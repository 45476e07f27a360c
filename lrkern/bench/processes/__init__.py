"""Worker processes: each contestant in its own, so that thread pools do not share a process."""
