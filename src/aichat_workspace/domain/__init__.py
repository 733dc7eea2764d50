"""The language of the problem: what a workspace is, what it becomes, what to do next.

Everything here is pure: plain frozen data in, plain frozen data out. Time, randomness and
settings are arguments.
"""
