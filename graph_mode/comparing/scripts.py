"""Training scripts, of this project by the name of their network, or any by their path."""

import importlib.util
import os
import sys

from graph_mode import flags, names
from graph_mode.command_line import CommandError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OWN_NETWORKS = ("fc", "conv")
# What a comparison uses of a training script.
NEEDED = ("NETWORK", "FLAGS", "parse_flags", "main")


def path_of(name):
    """The path of the training script that `--networks name` means. Raises CommandError."""
    if name in OWN_NETWORKS:
        return os.path.join(ROOT, f"{name}_train.py")
    if not os.path.isfile(name) or not name.endswith(".py"):
        raise CommandError(
            f"found network {name}, expected {', '.join(OWN_NETWORKS)} or the path of a training "
            "script (.py)"
        )
    return os.path.abspath(name)


def load(path):
    """The module of a training script, which is loaded once. Raises CommandError if it is none.

    As when Python runs the script, the modules beside it can be imported.
    """
    # A path is no other module's name, whatever the script is called.
    name = os.path.splitext(path)[0]
    if name not in sys.modules:
        if os.path.dirname(path) not in sys.path:
            sys.path.insert(0, os.path.dirname(path))
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            network, *_ = (getattr(module, each) for each in NEEDED)
            if names.safe(str(network)) != network:
                raise TypeError(f"NETWORK is {network!r}, expected letters, digits, - and _")
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise CommandError(
                f"{path}: expected a training script that defines {', '.join(NEEDED)}, found one "
                f"that cannot be loaded ({reason})"
            ) from None
    return sys.modules[name]


def table_of(path):
    """{name: Flag} of a training script."""
    return flags.table(load(path).FLAGS)
