"""Loading MNIST, and reading event files: each reader in processes of its own, interleaved."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

import environments
import processes
import results
from tqdm import tqdm

ROUNDS = 7
EVENTS = 100000

# Name in the table: (environment, the reader's name in peers/loaders.py).
LOADERS = {
    "this project, as the training scripts read (uint8)": ("tensorflow2", "ours-uint8"),
    "this project, read_data_sets() as it was": ("tensorflow2", "ours"),
    "the original input_data, TensorFlow 1.15.5": ("tensorflow1", "original"),
    "torchvision 0.28 (files already unpacked)": ("readers", "torchvision"),
    "idx2numpy 1.2.3": ("readers", "idx2numpy"),
}
# Name in the table: (environment, the reader's name in peers/event_readers.py).
EVENT_READERS = {
    "this project, graph_mode/plotting/event_files.py": ("tensorflow2", "ours"),
    "tensorboard 2.21, EventAccumulator": ("readers", "EventAccumulator"),
    "tbparse 0.0.9": ("readers", "tbparse"),
}


def measure():
    machine = results.machine()
    with tempfile.TemporaryDirectory() as folder:
        mnist = str(environments.PROJECT / "MNIST_data")
        unpack_for_torchvision(mnist, folder)
        folders = dict.fromkeys(LOADERS, mnist)
        folders["torchvision 0.28 (files already unpacked)"] = folder
        loading = interleaved("loaders.py", LOADERS, folders)
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(processes.PEERS, "write_events.py")
        python = environments.python_of("readers") or sys.executable
        quiet = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        command = [python, script, folder, str(EVENTS)]
        subprocess.run(command, check=True, env=quiet, stderr=subprocess.DEVNULL)
        folders = dict.fromkeys(EVENT_READERS, folder)
        events = interleaved("event_readers.py", EVENT_READERS, folders)
    results.save("readers", {"loading": loading, "events": events}, machine)


def unpack_for_torchvision(mnist, folder):
    """Lays the files out as torchvision's own download leaves them: <folder>/MNIST/raw/<name>."""
    raw = os.path.join(folder, "MNIST", "raw")
    os.makedirs(raw)
    for name in os.listdir(mnist):
        if name.endswith(".gz"):
            target = os.path.join(raw, name[: -len(".gz")])
            with gzip.open(os.path.join(mnist, name)) as packed, open(target, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)


def interleaved(script, readers, folders):
    """Runs `script` for every reader whose environment is ready, ROUNDS times, in turn."""
    path = os.path.join(processes.PEERS, script)
    ready = [
        (name, *reader) for name, reader in readers.items() if environments.python_of(reader[0])
    ]
    measurements = []
    tasks = [(number, reader) for number in range(ROUNDS) for reader in ready]
    for number, (name, environment, reader) in tqdm(tasks, disable=None, leave=False):
        command = [environments.python_of(environment), path, reader, folders[name]]
        result = subprocess.run(command, capture_output=True)
        if result.returncode:
            reason = result.stderr.decode(errors="replace").strip().splitlines()[-1]
            print(f"{name}: {reason}", file=sys.stderr)
            measurements.append({"contestant": name, "round": number, "error": reason[:200]})
            continue
        measurement = json.loads(result.stdout.decode().splitlines()[-1])
        measurements.append(dict(measurement, contestant=name, round=number))
    return measurements
