"""Ctrl-C and SIGTERM: the first ends the training after its step, the second ends it at once."""

import contextlib
import os
import signal
import threading

from graph_mode.start import SIGNALS


class Interruption:
    """While entered, the first signal calls `request_stop()` and is kept in `signal`.

    A signal that is ignored stays so: as Ctrl-C in a job that a shell runs in the background.
    """

    def __init__(self, request_stop):
        self._request_stop = request_stop
        self._former = {}
        self.signal = None

    def __enter__(self):
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @property
    def name(self):
        return SIGNALS[self.signal]

    @property
    def exit_code(self):
        return 128 + self.signal

    def _handle(self, number, _frame):
        if self.signal is not None:
            # The session call may hold up the interpreter's exit; a second request means now.
            os._exit(128 + number)
        self.signal = number
        # In a thread: where the request has to wait, a second signal still gets through.
        threading.Thread(target=self._request, daemon=True).start()

    def _request(self):
        # RuntimeError: the session is closed, so there is nothing left to stop.
        with contextlib.suppress(RuntimeError):
            self._request_stop()
