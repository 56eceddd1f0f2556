"""Makes the virtual environment of a contestant, with the real released packages."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.append(str(PROJECT))


def python_of(environment):
    """The interpreter of an environment that is set up, or needs no packages, else None."""
    python = PROJECT / environment.folder / "bin" / "python"
    stamp = PROJECT / environment.folder / "installed.txt"
    is_ready = stamp.exists() and stamp.read_text() == _wanted(environment)
    return str(python) if python.exists() and (is_ready or not environment.packages) else None


def set_up(environment):
    """Makes the environment unless it is there; returns None, or why it could not be made."""
    if python_of(environment):
        return None
    if not environment.packages:
        return "it is not there"
    python = next(filter(None, map(find_python, environment.pythons)), None)
    if python is None:
        wanted = " or ".join(environment.pythons)
        return f"found no Python {wanted} on this machine: install one of them"
    folder = PROJECT / environment.folder
    print(f"setting up {folder.name}: {' '.join(environment.packages)}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    install += ["--disable-pip-version-check", *environment.packages]
    result = subprocess.run(install, stderr=subprocess.PIPE, cwd=str(PROJECT))
    if result.returncode:
        return f"pip failed: {result.stderr.decode(errors='replace').strip()[-300:]}"
    (folder / "installed.txt").write_text(_wanted(environment))
    return None


def find_python(version):
    """The interpreter of this version on PATH or in pyenv that starts, or None."""
    pyenv = sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    for candidate in [f"python{version}", *pyenv]:
        with contextlib.suppress(OSError):
            # One of pyenv's names may start nothing.
            if subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
                return candidate
    return None


def _wanted(environment):
    """What is to be installed there, as a text: a requirements file counts with its content."""
    return "\n".join(environment.packages + ((PROJECT / "requirements.txt").read_text(),))
