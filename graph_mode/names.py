"""Names of files and folders that every system takes."""

import hashlib
import itertools
import re
import sys

from graph_mode import machine

# The longest name that is made here; on Windows, a whole path has no more than 259 characters.
LONGEST = 60 if machine.WINDOWS else 100


def safe(text, longest=LONGEST):
    """The text as a name of letters, digits and _.,=+-, those that the file system can hold; one of
    more than `longest` bytes ends in a digest of it."""
    encoding = sys.getfilesystemencoding()
    known = text.encode(encoding, "replace").decode(encoding)
    name = re.sub(r"[^\w.,=+-]+", "_", known).strip("._ ") or "unnamed"
    if len(name.encode(encoding)) > longest:
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        name = f"{name.encode(encoding)[: longest - 9].decode(encoding, 'ignore')}-{digest}"
    return name


def numbered(name):
    """name, name-2, name-3, ...: the first that is not taken is for who asks."""
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
