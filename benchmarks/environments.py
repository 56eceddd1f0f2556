"""Makes the virtual environment of a contestant, with the real released packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def python_of(environment):
    """The interpreter of an environment that is set up, else None.

    One without packages is made elsewhere: it only has to be there.
    """
    folder = PROJECT / environment.folder
    python = folder / "bin" / "python"
    if environment.packages and _installed(folder) != _wanted(environment):
        return None
    return str(python) if python.exists() else None


def set_up(environment):
    """Makes the environment unless it is there; returns None, or why it could not be made."""
    if python_of(environment):
        return None
    pythons = environment.pythons
    python = next(filter(None, map(find_python, pythons)), None)
    if python is None:
        return f"found no Python {' or '.join(pythons)} on this machine: install one of them"
    folder = PROJECT / environment.folder
    print(f"setting up {folder.name}: {' '.join(environment.packages)}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    quiet = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    result = subprocess.run(
        install + list(environment.packages), stderr=subprocess.PIPE, env=quiet, cwd=str(PROJECT)
    )
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip().splitlines()
        return f"pip failed: {reason[-1] if reason else result.returncode}"
    (folder / "installed.txt").write_text(_wanted(environment))
    return None


def find_python(version):
    """The interpreter of this version on PATH or in pyenv that starts, or None."""
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


def _wanted(environment):
    """What is installed there, as a text: a requirements file counts with its content."""
    return "\n".join(environment.packages + ((PROJECT / "requirements.txt").read_text(),))


def _installed(folder):
    path = folder / "installed.txt"
    return path.read_text() if path.exists() else None
