"""Read the keys and list the folders of the worker and its gateway."""

import os

from probe import read, unless_root


def run(home, gateway_home, user_home):
    return {
        "key": unless_root(read, f"{home}/key.pem"),
        "client": unless_root(read, f"{gateway_home}/client.toml"),
        "identity": unless_root(read, f"{home}/workers/1.id"),
        "listed": unless_root(os.listdir, home),
        "gateway": unless_root(os.listdir, gateway_home),
        "above": unless_root(os.listdir, f"{home}/.."),
        "user": unless_root(os.listdir, user_home),
    }
