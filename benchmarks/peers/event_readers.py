"""Reads the scalars of one event file with one of the readers a user may have, and times it."""

import argparse
import glob
import json
import os
import resource
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")
PROJECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)


# Each imports its reader, and returns a function from a folder to the values of "loss".
def ours():
    sys.path.append(PROJECT)
    from graph_mode.runs import event_files

    def read(folder):
        (path,) = glob.glob(os.path.join(folder, "events.out.tfevents.*"))
        points = event_files.Points()
        event_files.read_event_file(path, points)
        return points.series()["loss"].values

    return read


def tensorboard():
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # 0 keeps every event; the default keeps a sample of 10,000.
    sizes = {"scalars": 0}
    return lambda folder: EventAccumulator(folder, sizes).Reload().Scalars("loss")


def tbparse():
    from tbparse import SummaryReader

    return lambda folder: SummaryReader(folder).scalars


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("ours", "tensorboard", "tbparse"), required=True)
    parser.add_argument("--data-dir", required=True, help="the folder of one event file")
    arguments = parser.parse_args()
    started = time.perf_counter()
    read = globals()[arguments.mode]()
    imported = time.perf_counter()
    events = len(read(arguments.data_dir))
    ended = time.perf_counter()
    measurement = {
        "import_seconds": round(imported - started, 4),
        "read_seconds": round(ended - imported, 4),
        "events": events,
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps(measurement))


if __name__ == "__main__":
    main()
