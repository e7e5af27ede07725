"""The promises in the order in which they are added."""

from __future__ import annotations

from enum import IntEnum


class Rung(IntEnum):
    """Each keeps its own promise and those of all below it."""

    HTTP = 0  # none: a floor whose HTTP is read without uvicorn's layers, as ours is
    # the gateway's
    KEY = 1  # hashed key, compared in constant time; scope; rate
    BODY = 2  # every field checked and named in errors; parameters by signature; pin; 1 MiB
    RECORD = 3  # an id, states with their times, one telling, deadline, cancellation
    STORE = 4  # the states in a database, by group commits; history
    ENVELOPE = 5  # the whole answer, metrics, trace id
    # the worker's
    WORKERS = 6  # choice by free slots, beats, outcomes that are repeated until they are stored
    DEADLINE = 7  # time limit of an attempt, its process group killed; usage
    OUTPUT = 8  # standard output and error, told before the result, bounded, masked
    FOLDER = 9  # a private folder; the script is as it was when it was read
    # the child's
    LAYERS = 10  # everything that keeps a script from what is not its own
    CONTEXT = 11  # `ctx`: parameters, log, progress, items


SCRIPT = "script"  # the folder of what is run, in that of a rung
EDGE = tuple(Rung)[: Rung.DEADLINE]  # those in which the gateway has a part
