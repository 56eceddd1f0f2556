"""Writes the files that a user names, whatever stands behind the name: file, link, pipe, device."""

import contextlib
import errno
import io
import os
import shutil
import stat
import sys

STANDARD_OUTPUT = "-"


@contextlib.contextmanager
def output_file(path, mode="w", newline=None):
    """Gives a file to write to, UTF-8 in mode "w" or bytes in "wb", which becomes `path`.

    A regular file is replaced as a whole when the block ends without error: whoever reads it
    meanwhile sees the old one or the new one, and after an error the old one is still there. A link
    stays a link, and what it names is written; a device or a named pipe is opened and written; "-"
    is standard output. A missing folder is made. A pipe whose reader has left gets no more, which
    is no error.

    Raises OSError, naming `path`, if it cannot be written.
    """
    temporary = None
    try:
        stream = standard_stream(path)
        if stream is not None:
            with _text_or_bytes(stream, mode, newline) as file:
                yield file
        elif _is_written_in_place(path):
            with contextlib.suppress(BrokenPipeError), _opened(path, mode, newline) as file:
                yield file
        else:
            # Only a file beside the old one can take its place in one step.
            target = os.path.realpath(path)
            folder, name = os.path.split(target)
            os.makedirs(folder, exist_ok=True)
            temporary = os.path.join(folder, f".{name}.{os.getpid()}.part")
            with _opened(temporary, mode, newline) as file:
                yield file
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.remove(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            error.filename = path
        raise


def _is_written_in_place(path):
    """Whether `path` is there and no regular file. Raises OSError for what cannot be written."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.access(path, os.W_OK):
        # A file may be replaced without this permission, which is not what its owner expects.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return not stat.S_ISREG(mode)


def standard_stream(path):
    """sys.stdout or sys.stderr if `path` is another name of it (-, /dev/stdout), or None."""
    if path == STANDARD_OUTPUT:
        return sys.stdout
    for stream in (sys.stdout, sys.stderr):
        # AttributeError, ValueError: a stream that is closed, or that is no file.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            status = os.stat(path)
            # On Windows, every pipe and device has 0 for a number: NUL is no name of the console.
            if status.st_ino and os.path.samestat(status, os.fstat(stream.fileno())):
                return stream
    return None


@contextlib.contextmanager
def _text_or_bytes(stream, mode, newline):
    """The stream as a file of this mode, which stays open."""
    if not hasattr(stream, "buffer"):  # io.StringIO, a notebook: they take text alone.
        yield stream
        return
    stream.flush()
    if "b" in mode:
        yield stream.buffer
    else:
        text = io.TextIOWrapper(stream.buffer, "utf-8", "surrogateescape", newline)
        try:
            yield text
            text.flush()
        finally:
            text.detach()
    stream.buffer.flush()


def _opened(path, mode, newline):
    if "b" in mode:
        return open(path, mode)
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline=newline)
