"""Names of files and folders that every system takes."""

import hashlib
import itertools
import re

from graph_mode import machine

# The longest name that is made here; on Windows, a whole path has no more than 259 characters.
LONGEST = 60 if machine.WINDOWS else 100


def safe(text, longest=LONGEST):
    """The text as a name of letters, digits and _.,=+-; a long one ends in a digest of it."""
    name = re.sub(r"[^\w.,=+-]+", "_", text).strip("._ ") or "unnamed"
    if len(name) > longest:
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        name = f"{name[: longest - 9]}-{digest}"
    return f"{name}_" if machine.refused_by_windows(name) else name


def numbered(name):
    """name, name-2, name-3, ...: the first that is not taken is for who asks."""
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
