"""Files that are there whole or not at all."""

import contextlib
import errno
import os


@contextlib.contextmanager
def whole_file(path):
    """Gives a temporary name beside `path`, which becomes `path` if the block ends without error.

    Whoever reads `path` meanwhile sees the old file or the new one, never half of one. The folder
    is made if it is missing. On an error the temporary file is removed and `path` stays as it was.

    Raises:
        OSError: naming `path`, if it cannot be written.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename = path
        raise
