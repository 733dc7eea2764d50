"""Time requests, read a process's CPU and memory, and print figures."""
