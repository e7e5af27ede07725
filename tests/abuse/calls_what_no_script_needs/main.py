"""Call what has been a way out elsewhere, with arguments that could not do harm."""

from probe import apart_unless_root, call

NO_RANDOMISING = 0x0040000


def run():
    return {
        "ptrace": apart_unless_root(call, "ptrace", 0, 0, 0, 0),
        "personality": apart_unless_root(call, "personality", NO_RANDOMISING),
        "keys": apart_unless_root(call, "keyctl", 0, -3, 1),
        "key_added": apart_unless_root(call, "add_key", 0, 0, 0, 0, -2),
        "key_asked": apart_unless_root(call, "request_key", 0, 0, 0, 0),
        "bpf": apart_unless_root(call, "bpf", 0, 0, 0),
        "perf": apart_unless_root(call, "perf_event_open", 0, 0, -1, -1, 0),
        "faults": apart_unless_root(call, "userfaultfd", 1),
        "ring": apart_unless_root(call, "io_uring_setup", 1, 0),
        "compared": apart_unless_root(call, "kcmp", 1, 1, 0, 0, 0),
        "module": apart_unless_root(call, "init_module", 0, 0, 0),
        "kexec": apart_unless_root(call, "kexec_load", 0, 1 << 20, 0, 1 << 16),
        "clock": apart_unless_root(call, "clock_settime", 0, 0),
        "swap": apart_unless_root(call, "swapon", 0, 0),
        "account": apart_unless_root(call, "acct", 8),
        "descriptor": apart_unless_root(call, "pidfd_getfd", -1, 0, 0),
    }
