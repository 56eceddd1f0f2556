"""Ctrl-C and SIGTERM: the first ends the training after its step, the second ends it at once."""

import os
import signal

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interruption:
    """While entered, the first signal calls `request_stop()` and is kept in `signal`."""

    def __init__(self, request_stop):
        self._request_stop = request_stop
        self._former = {}
        self.signal = None

    def __enter__(self):
        for number in NAMES:
            self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @property
    def name(self):
        return NAMES[self.signal]

    @property
    def exit_code(self):
        return 128 + self.signal

    def _handle(self, number, _frame):
        if self.signal is not None:
            # The session call may hold up the interpreter's exit; a second request means now.
            os._exit(128 + number)
        self.signal = number
        self._request_stop()
