"""The promises in the order in which they are added."""

from __future__ import annotations

from enum import IntEnum


class Rung(IntEnum):
    """Each keeps its own promise and those of all below it."""

    HTTP = 0  # none: a floor whose HTTP is read without uvicorn's layers, as ours is
    # the gateway's
    KEY = 1  # hashed key, compared in constant time; its end, scope, scripts; rate
    BODY = 2  # every field checked and named in errors; parameters by signature; pin; 1 MiB
    # an id, states with their times and numbers, one telling, deadline, cancellation, followers;
    # how many may wait, and for how long; retries, dead letters, locks
    RECORD = 3
    STORE = 4  # the states in a database, by group commits; history; answers found again
    ENVELOPE = 5  # the whole answer, metrics, trace id
    # the worker's
    WORKERS = 6  # choice by free slots, beats, outcomes that are repeated until they are stored
    # the gateway's again
    PLACE = 7  # required and preferred tags, warm scripts; priorities, clients in turn
    FRESH = 8  # an edited script is run by the next call
    DOOR = 9  # the lines of every answer; limits of a connection; no host but ours; draining
    # the worker's
    DEADLINE = 10  # time limit of an attempt, its process group killed; usage
    OUTPUT = 11  # standard output and error, told before the result, bounded, masked
    FOLDER = 12  # a private folder; the script is as it was when it was read
    # the child's
    LAYERS = 13  # everything that keeps a script from what is not its own
    CONTEXT = 14  # `ctx`: parameters, log, progress, items


SCRIPT = "script"  # the folder of what is run, in that of a rung
EDGE = tuple(Rung)[: Rung.DEADLINE]  # those in which the gateway has a part
