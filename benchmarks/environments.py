"""The virtual environment of each peer: the real released packages, one environment a peer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

TENSORFLOW_1 = ["tensorflow==1.15.5", "protobuf<3.21", "matplotlib", "tqdm"]
TENSORFLOW_2 = ["tensorflow==2.21.0", "tensorboard==2.21.0", "matplotlib", "tqdm"]

# Name: (Python versions that can hold it, packages). From PyPI, torch for Linux is the CUDA build
# of several gigabytes; the CPU build of the same version gives the same figures.
ENVIRONMENTS = {
    "tensorflow1": (["3.7"], TENSORFLOW_1),
    "tensorflow2": (["3.11", "3.12", "3.13", "3.10"], TENSORFLOW_2),
    "tf-keras": (["3.11", "3.12", "3.13", "3.10"], TENSORFLOW_2 + ["tf-keras==2.21.0"]),
    "pytorch": (["3.11", "3.12", "3.13", "3.10"], ["torch==2.13.0", "numpy", "tensorboard"]),
    "jax": (["3.11", "3.12", "3.13"], ["jax==0.10.2", "optax==0.2.8", "tensorboardX==2.6.5"]),
    "readers": (
        ["3.11", "3.12", "3.13"],
        TENSORFLOW_2 + ["idx2numpy==1.2.3", "tbparse==0.0.9", "torch==2.13.0", "pillow"],
    ),
}
# Only torchvision's file reader is measured; its packages from PyPI ask for a CUDA torch.
WITHOUT_DEPENDENCIES = {"readers": ["torchvision==0.28.0"]}


def find_python(versions):
    """The first interpreter of one of `versions` that starts, or None."""
    for version in versions:
        candidates = [f"python{version}"]
        candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
        for candidate in candidates:
            command = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            try:
                result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            except OSError:
                continue
            if result.returncode == 0 and result.stdout.decode().strip() == version:
                return candidate
    return None


def folder(name):
    return PROJECT / f".venv-benchmark-{name}"


def python_of(name):
    """The interpreter of a ready environment as a string, or None where it is not set up."""
    python = folder(name) / "bin" / "python"
    return str(python) if stamp(name) == wanted_stamp(name) else None


def wanted_stamp(name):
    return "\n".join(ENVIRONMENTS[name][1] + WITHOUT_DEPENDENCIES.get(name, [])) + "\n"


def stamp(name):
    path = folder(name) / "installed.txt"
    return path.read_text() if path.exists() else None


def set_up(name):
    """Makes the environment unless it is there; returns None, or why it could not be made."""
    if python_of(name):
        return None
    versions, packages = ENVIRONMENTS[name]
    python = find_python(versions)
    if python is None:
        return f"no Python {' or '.join(versions)} on this machine"
    print(f"setting up {folder(name).name}: {', '.join(packages)}", file=sys.stderr)
    shutil.rmtree(folder(name), ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder(name))], check=True)
    install = [str(folder(name) / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    without = WITHOUT_DEPENDENCIES.get(name, [])
    for command in [install + packages] + ([install + ["--no-deps"] + without] if without else []):
        result = subprocess.run(command, stderr=subprocess.PIPE, env=quiet_pip())
        if result.returncode:
            reason = result.stderr.decode(errors="replace").strip().splitlines()
            return f"pip failed: {reason[-1] if reason else result.returncode}"
    (folder(name) / "installed.txt").write_text(wanted_stamp(name))
    return None


def quiet_pip():
    return dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
