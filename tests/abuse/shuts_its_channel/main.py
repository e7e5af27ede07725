"""Shut the channel down in both directions, and stay."""

import os
import socket
import time


def run():
    socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_RDWR)
    time.sleep(60)
