"""Writes every file of this project: whole, or not at all."""

import contextlib
import io
import os
import shutil
import sys

STANDARD_OUTPUT = "-"


@contextlib.contextmanager
def output_file(path, mode="w", newline=None):
    """Gives a file to write to, UTF-8 in mode "w" or bytes in "wb", which becomes `path`.

    A regular file is replaced as a whole when the block ends without error. What a link names, a
    device or a named pipe is opened and written; "-" is standard output. A missing folder is made.
    A pipe whose reader has left gets no more, which is no error.

    Raises OSError, naming `path`, if it cannot be written.
    """
    folder, name = os.path.split(path)
    text = {"encoding": "utf-8", "errors": "surrogateescape", "newline": newline}
    options = {} if "b" in mode else text
    temporary = None
    try:
        if is_standard_output(path):
            with _standard_output(newline) as file:
                yield file
        elif os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
            with contextlib.suppress(BrokenPipeError), open(path, mode, **options) as file:
                yield file
        else:
            os.makedirs(folder or os.curdir, exist_ok=True)
            # Only a file beside the old one can take its place in one step.
            temporary = os.path.join(folder, f".{name}.{os.getpid()}.part")
            with open(temporary, mode, **options) as file:
                yield file
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, temporary)
            os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.remove(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            error.filename = path
        raise


def is_standard_output(path):
    """Whether `path` is another name of standard output: "-", or what it is called here."""
    # AttributeError, ValueError: standard output is closed, or no file.
    with contextlib.suppress(OSError, AttributeError, ValueError):
        return path == STANDARD_OUTPUT or os.path.samestat(
            os.stat(path), os.fstat(sys.stdout.fileno())
        )
    return False


@contextlib.contextmanager
def _standard_output(newline):
    """Standard output as a file of text in UTF-8, which stays open."""
    if not hasattr(sys.stdout, "buffer"):  # io.StringIO, a notebook: no file of bytes.
        yield sys.stdout
        return
    sys.stdout.flush()
    text = io.TextIOWrapper(sys.stdout.buffer, "utf-8", "surrogateescape", newline)
    try:
        yield text
    finally:
        text.detach()  # which flushes it
