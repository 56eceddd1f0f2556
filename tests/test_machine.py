"""What differs between systems, which graph_mode/machine.py alone knows."""

import errno
import glob
import os
import platform
import re
import subprocess
import sys

import pytest
import windows_like
from helpers import ROOT

import fc_train
from graph_mode import command_line, machine
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs.folder import Run
from graph_mode.train import trainer


def test_what_only_unix_has_is_used_in_one_file():
    unix = [rf"\b(import|from) ({'|'.join(windows_like.MODULES)})\b", r"[\"']/(dev|proc|tmp)/"]
    unix += [rf"\b{name}\.({'|'.join(each)})\b" for name, each in windows_like.NAMES.items()]
    unix += [rf"\b({'|'.join(windows_like.KEYWORDS)})=", r"\bos\.name\b", r"\bsys\.platform\b"]
    # Text that is opened without an encoding has one of Windows there.
    unix += [r"(?<![.\w])open\((?!.*(encoding=|[\"'][rwxa+]*b|devnull|\*\*options))"]
    paths = [os.path.join(ROOT, "*.py"), os.path.join(ROOT, "graph_mode", "**", "*.py")]
    files = {path for each in paths for path in glob.glob(each, recursive=True)}
    for path in files - {os.path.abspath(machine.__file__)}:
        with open(path, encoding="utf-8") as file:
            assert [f"{path}: {line}" for line in file if re.search("|".join(unix), line)] == []


EVERY_SCRIPT = """
import concurrent.futures, sys
import compare, fc_train, gradient_check, mnist_data, plot_losses
def work():
    small = sys.argv[1:]
    run = fc_train.main(["--num-batches=20"] + small)
    fc_train.main(["--resume", run, "--num-batches=30"])
    fc_train.main(["--evaluate", run, "--export=exported"])
    plot_losses.main(["runs", "--csv=points.csv"])
    grid = "--networks=fc --optimizers=sgd --seeds=1 --jobs=1 --num-batches=20"
    compare.main(grid.split() + small)
concurrent.futures.ThreadPoolExecutor().submit(work).result()
"""


def test_every_script_works_without_what_windows_lacks_and_in_a_thread(small, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text("import windows_like as w; w.install()")
    path = os.pathsep.join([str(tmp_path / "path"), os.path.join(ROOT, "tests"), ROOT])
    options = {"cwd": str(tmp_path), "env": {**os.environ, "PYTHONPATH": path}}
    command = [sys.executable, "-c", EVERY_SCRIPT, *small, "--hidden-units=8"]
    done = subprocess.run(command, stderr=subprocess.PIPE, **options)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert (tmp_path / "runs" / "compare" / "report" / "report.md").exists()


@pytest.fixture
def system(tmp_path):
    """system({path: content}) writes files below the root of a system; returns that root."""

    def write(files):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return str(tmp_path)

    return write


def test_cores_are_those_of_the_containers_quota(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    for group, folder, quota, cores in (
        ("/", "", "max", 64),
        ("/job", "job/", "150000", 2),
        ("/a/b", "a/", "300000", 3),
        ("/a/b", "a/b/", "max", 3),
        # Inside a container, the path can be the host's.
        ("/kubepods/pod1", "", "50000", 1),
    ):
        files = {f"sys/fs/cgroup/{folder}cpu.max": f"{quota} 100000\n"}
        root = system({**files, "proc/self/cgroup": f"0::{group}\n"})
        assert machine.cores(root) == cores, group


def test_cores_decide_threads_but_never_slices(monkeypatch):
    flags = fc_train.parse_flags([])
    for cores, threads in ((1, 1), (2, 1), (8, 4), (64, 32)):
        monkeypatch.setattr(machine, "cores", lambda n=cores: n)
        found, one = trainer.resolve(flags), trainer.resolve(flags, one_slice=True)
        assert (found["slices"], found["operation_threads"]) == (2, threads)
        assert (one["slices"], one["operation_threads"]) == (1, cores)


CONVOLUTION = """
from graph_mode import tensorflow1 as tf
print("asked", tf.has_onednn())
with tf.Graph().as_default(), tf.Session() as session:
    images, kernel = tf.random_normal([4, 8, 8, 3]), tf.random_normal([3, 3, 3, 16])
    session.run(tf.nn.conv2d(images, kernel, [1, 1, 1, 1], "SAME"))
"""


def test_onednn_is_there_where_it_says_itself_that_it_convolves():
    verbose = {"ONEDNN_VERBOSE": "1", "DNNL_VERBOSE": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, "-c", CONVOLUTION]
    told = subprocess.check_output(command, cwd=ROOT, env={**os.environ, **verbose})
    assert f"asked {b',convolution,' in told}" in told.decode()


def test_onednn_is_switched_on_where_tensorflow_would_leave_it_off(system, monkeypatch):
    assert machine._tensorflow_version() == (tf.version() if sys.version_info >= (3, 8) else (0, 0))
    for features, version, own_choice, switch in (
        ("avx2", (2, 9), {}, "1"),
        ("avx2", (2, 9), {"TF_ENABLE_ONEDNN_OPTS": "0"}, "0"),
        ("avx2 avx512_vnni", (2, 9), {}, None),
        ("avx", (2, 9), {}, None),
        ("avx2", (2, 8), {}, None),
    ):
        monkeypatch.setattr(machine, "_tensorflow_version", lambda found=version: found)
        monkeypatch.setattr(os, "environ", own_choice)
        machine.switch_onednn_on(system({"proc/cpuinfo": f"flags\t\t: {features}\n"}))
        assert own_choice.get("TF_ENABLE_ONEDNN_OPTS") == switch, (features, version)


def test_free_memory_and_the_kind_of_processor_are_what_the_system_says_or_unknown(system):
    unnamed = platform.processor() or platform.machine()
    assert (machine.free_memory(system({})), machine.processor(system({}))) == (None, unnamed)
    assert machine.free_memory(system({"proc/meminfo": "MemAvailable:   8 kB\n"})) == 8192
    arm = {"proc/cpuinfo": "CPU part\t: 0xd0c\n"}
    assert machine.processor(system(arm)) == f"{unnamed} CPU part 0xd0c"
    text = "model name\t: EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: avx2 avx512f\n"
    amd = machine.processor(system({"proc/cpuinfo": text}))
    assert amd == "EPYC (family 26, model 2) with AVX-512"


@pytest.mark.skipif(tf.has_gpu(), reason="there is one")
def test_a_gpu_that_is_not_there_is_one_sentence():
    with pytest.raises(CommandError, match="--device gpu"):
        trainer.resolve(fc_train.parse_flags(["--device=gpu"]))


def test_names_that_windows_refuses(monkeypatch, tmp_path):
    assert not any(map(machine.WINDOWS_REFUSED.search, [".hidden", "größe", "-2"]))
    monkeypatch.setattr(machine, "WINDOWS", True)
    for name in ("a:b", "a/b", "tab\t", "a.", "a "):
        with pytest.raises(CommandError, match="--run-name"):
            Run.create(str(tmp_path / "runs"), "fc", name, {})
    assert list(tmp_path.iterdir()) == []


def test_where_make_made_an_environment_nothing_is_to_be_installed(tmp_path, monkeypatch):
    pip = "pip install -r requirements.txt"
    assert machine.how_to_install(str(tmp_path)) == f"run {pip}"
    (tmp_path / ".venv").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "WINDOWS", False)
    assert machine.how_to_install(str(tmp_path)) == f"run . .venv/bin/activate, or {pip}"
    monkeypatch.setattr(machine, "WINDOWS", True)
    assert "Activate.ps1" in machine.how_to_install(str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert machine.how_to_install(str(tmp_path)) == f"run {pip}"


def test_a_command_is_quoted_for_the_shell_and_on_windows_for_powershell(monkeypatch):
    words = ["fc train.py", "--resume", "it's $HOME", "--hidden-units=32,16", "plain-1.0"]
    if not machine.WINDOWS:
        line = machine.command([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words])
        assert subprocess.check_output(["sh", "-c", line]).decode().strip() == str(words)
    monkeypatch.setattr(machine, "WINDOWS", True)
    line = "python 'fc train.py' --resume 'it''s $HOME' '--hidden-units=32,16' plain-1.0"
    assert machine.command(["python", *words]) == line
    assert machine.command(["C:/a b/python.exe", "x.py"]) == "& 'C:/a b/python.exe' x.py"
    magic = machine.magic(["tensorboard", "--logdir", "my runs\\fc"])
    assert magic == '%tensorboard --logdir "my runs\\fc"'


def test_a_pipe_whose_reader_left_is_no_error_of_windows_and_a_bad_name_is(monkeypatch, capsys):
    def write(name=None):
        raise OSError(errno.EINVAL, "Invalid argument", name)

    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setattr(command_line, "_discard_standard_output", lambda: None)
    assert command_line.exit_code_of(lambda: write("a?")) == 2
    assert command_line.exit_code_of(write) == 0
    assert capsys.readouterr().err.count("a?: Invalid argument") == 1


def test_in_a_terminals_ipython_a_mistake_is_one_line_and_the_session_goes_on(tmp_path):
    pytest.importorskip("IPython")
    code = "%run fc_train.py --optimizer adamw\nimport sys; print('goes on')"
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code]
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    first, last = subprocess.check_output(command, cwd=ROOT, env=environment).decode().splitlines()
    assert "adamw" in first and last == "goes on"
