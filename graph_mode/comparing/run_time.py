"""How long runs will take, from how long runs of the same kind took."""

import collections
import os

from graph_mode.comparing import comparison_folder

Timing = collections.namedtuple("Timing", "settings seconds_per_step")
Timing.__doc__ = "settings: content of a settings.json; seconds_per_step: evaluations included."

# What one training step of one image takes at the defaults with one thread, before any run on this
# machine is known: seconds, measured on one core of a 2-core cloud machine with TensorFlow 2.21.
GUESSED_SECONDS = {
    ("fc", False): 9e-6,
    ("fc", True): 12e-6,
    ("conv", False): 9e-5,
    ("conv", True): 14e-5,
}
# Building the graph, loading the data and writing the summaries of a run, in a process that has
# TensorFlow imported.
SECONDS_A_RUN = 3
# Flags that change the time of a step, the weightiest first.
TELLING_FLAGS = ("layers", "hidden_units", "batch_norm", "batch_size", "diagnostics", "optimizer")


def timing(settings, folder):
    """The Timing of a finished run, or None where the folder tells none."""
    result = comparison_folder.read_json(os.path.join(folder, comparison_folder.RESULT))
    if not result or not result.get("steps"):
        return None
    return Timing(settings, result["seconds"] / result["steps"])


def estimate(settings, timings):
    """Seconds that a run will take: as long a step as the finished runs that are most like it."""
    flags = settings["flags"]
    alike = [timing for timing in timings if timing.settings["network"] == settings["network"]]
    if not alike:
        a_step = GUESSED_SECONDS.get((settings["network"], flags["batch_norm"]), 1e-4)
        return SECONDS_A_RUN + a_step * flags["batch_size"] * flags["num_batches"]
    for name in TELLING_FLAGS:
        closer = [t for t in alike if t.settings["flags"].get(name) == flags.get(name)]
        alike = closer or alike
    a_step = sum(timing.seconds_per_step for timing in alike) / len(alike)
    return SECONDS_A_RUN + a_step * flags["num_batches"]


def words(seconds):
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(int(round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
