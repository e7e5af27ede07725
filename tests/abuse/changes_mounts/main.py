"""Call what changes mounts, with arguments that could not work."""

from probe import apart_unless_root, call


def run():
    return {
        "mount": apart_unless_root(call, "mount", 0, 0, 0, 0, 0),
        "umount": apart_unless_root(call, "umount2", 0, 0),
        "pivot": apart_unless_root(call, "pivot_root", 0, 0),
        "root": apart_unless_root(call, "chroot", 0),
        "tree": apart_unless_root(call, "open_tree", -1, 0, 1),
        "moved": apart_unless_root(call, "move_mount", -1, 0, -1, 0, 0),
        "opened": apart_unless_root(call, "fsopen", 0, 0),
        "attributes": apart_unless_root(call, "mount_setattr", -1, 0, 0, 0, 0),
        "by_handle": apart_unless_root(call, "open_by_handle_at", -1, 0, 0),
    }
