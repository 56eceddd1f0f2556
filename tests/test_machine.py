"""What differs between systems, which graph_mode/machine.py alone knows."""

import concurrent.futures
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
from graph_mode.train import trainer, training


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
import sys, threading
import compare, fc_train, gradient_check, mnist_data, plot_losses
passed, small = [], sys.argv[1:]
def work():
    run = fc_train.main(["--num-batches=20"] + small)
    fc_train.main(["--resume", run, "--num-batches=30"])
    fc_train.main(["--evaluate", run, "--export=exported"])
    plot_losses.main(["runs", "--csv=points.csv"])
    grid = "--networks=fc --optimizers=sgd --seeds=1 --jobs=1 --num-batches=20"
    compare.main(grid.split() + small)
    passed.append(True)
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.exit(not passed)
"""


def test_every_script_works_without_what_windows_lacks_and_in_a_thread(small_mnist, tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text("import windows_like as w; w.install()")
    path = os.pathsep.join([str(tmp_path / "path"), os.path.join(ROOT, "tests"), ROOT])
    small = [f"--data-dir={small_mnist}", "--validation-size=100", "--hidden-units=8"]
    done = subprocess.run(
        [sys.executable, "-c", EVERY_SCRIPT] + small,
        cwd=str(tmp_path), env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert (tmp_path / "runs" / "compare" / "report" / "report.md").exists()


def system(folder, **files):
    """Writes files below the root of a system, a_b for the path a/b; returns that root."""
    for name, content in files.items():
        path = folder.joinpath(*name.split("_"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder)


@pytest.mark.parametrize(
    "group, quotas, cores",
    [
        ("/job", {"job_cpu.max": "150000 100000\n"}, 2),
        ("/a/b", {"a_cpu.max": "300000 100000\n", "a_b_cpu.max": "max 100000\n"}, 3),
        # Inside a container, the path can be the host's.
        ("/kubepods/pod1", {"cpu.max": "50000 100000\n"}, 1),
        ("/", {"cpu.max": "max 100000\n"}, 64),
    ],
)
def test_cores_are_those_of_the_containers_quota(group, quotas, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    files = {f"sys_fs_cgroup_{name}": content for name, content in quotas.items()}
    assert machine.cores(system(tmp_path, proc_self_cgroup=f"0::{group}\n", **files)) == cores


def test_cores_decide_threads_but_never_slices(monkeypatch, small_mnist):
    flags = fc_train.parse_flags([f"--data-dir={small_mnist}"])
    for cores, threads in ((1, 1), (2, 1), (8, 4), (64, 32)):
        monkeypatch.setattr(machine, "cores", lambda n=cores: n)
        found, one = trainer.resolve(flags), trainer.resolve(flags, one_slice=True)
        assert (found["slices"], found["operation_threads"]) == (2, threads)
        assert (one["slices"], one["operation_threads"]) == (1, cores)


def test_free_memory_is_what_the_system_says_or_unknown(tmp_path):
    assert machine.free_memory(str(tmp_path)) is None
    assert machine.free_memory(system(tmp_path, proc_meminfo="MemAvailable:   8 kB\n")) == 8192


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


@pytest.mark.parametrize(
    "features, version, own_choice, switch",
    [
        ("avx2", (2, 9), None, "1"),
        ("avx2", (2, 9), "0", "0"),
        ("avx2 avx512_vnni", (2, 9), None, None),
        ("avx", (2, 9), None, None),
        ("avx2", (2, 8), None, None),
    ],
)
def test_onednn_is_switched_on_where_tensorflow_would_leave_it_off(
    features, version, own_choice, switch, tmp_path, monkeypatch
):
    monkeypatch.setattr(machine, "_tensorflow_version", lambda: version)
    environment = {"TF_ENABLE_ONEDNN_OPTS": own_choice} if own_choice else {}
    monkeypatch.setattr(os, "environ", environment)
    machine.switch_onednn_on(system(tmp_path, proc_cpuinfo=f"flags\t\t: {features}\n"))
    assert environment.get("TF_ENABLE_ONEDNN_OPTS") == switch


def test_the_version_of_tensorflow_is_known_without_importing_it():
    expected = tf.version() if sys.version_info >= (3, 8) else (0, 0)
    assert machine._tensorflow_version() == expected


def test_the_kind_of_processor_in_words(tmp_path):
    unnamed = platform.processor() or platform.machine()
    assert machine.processor(str(tmp_path)) == unnamed
    arm = system(tmp_path / "arm", proc_cpuinfo="CPU part\t: 0xd0c\n")
    assert machine.processor(arm) == f"{unnamed} CPU part 0xd0c"
    text = "model name\t: EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: avx2 avx512f\n"
    amd = machine.processor(system(tmp_path / "amd", proc_cpuinfo=text))
    assert amd == "EPYC (family 26, model 2) with AVX-512"


def test_a_gpu_that_is_not_there_is_one_sentence():
    if tf.has_gpu():
        pytest.skip("there is one")
    with pytest.raises(CommandError, match="--device gpu"):
        trainer.resolve(fc_train.parse_flags(["--device=gpu"]))


@pytest.mark.parametrize("name", ["a:b", "a/b", "tab\t", "con", "NUL.txt", "lpt9 .x", "a.", "a "])
def test_names_that_windows_refuses(name, monkeypatch, tmp_path):
    assert machine.refused_by_windows(name)
    monkeypatch.setattr(machine, "WINDOWS", True)
    with pytest.raises(CommandError, match="--run-name"):
        Run.create(str(tmp_path / "runs"), "fc", name, {})
    assert list(tmp_path.iterdir()) == []


def test_names_that_every_system_takes():
    assert not any(map(machine.refused_by_windows, ["console", "com10", ".hidden", "größe", "-2"]))


WORDS = ["fc train.py", "--resume", "it's $HOME", "--hidden-units=32,16", "plain-1.0"]


@pytest.mark.skipif(machine.WINDOWS, reason="a shell of Unix")
def test_a_command_comes_through_the_shell_as_it_was():
    line = machine.command([sys.executable, "-c", "import sys; print(sys.argv[1:])"] + WORDS)
    assert subprocess.check_output(["sh", "-c", line]).decode().strip() == str(WORDS)


def test_on_windows_a_command_is_quoted_for_powershell_and_a_magic_for_ipython(monkeypatch):
    monkeypatch.setattr(machine, "WINDOWS", True)
    line = "python 'fc train.py' --resume 'it''s $HOME' '--hidden-units=32,16' plain-1.0"
    assert machine.command(["python"] + WORDS) == line
    assert machine.command(["C:/a b/python.exe", "x.py"]) == "& 'C:/a b/python.exe' x.py"
    line = machine.magic(["tensorboard", "--logdir", "my runs\\fc"])
    assert line == '%tensorboard --logdir "my runs\\fc"'


def test_a_pipe_whose_reader_left_is_no_error_of_windows_and_a_bad_name_is(monkeypatch, capsys):
    def write(name=None):
        raise OSError(errno.EINVAL, "Invalid argument", name)

    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setattr(command_line, "_discard_standard_output", lambda: None)
    assert command_line.exit_code_of(lambda: write("a?")) == 2
    assert command_line.exit_code_of(write) == 0
    assert capsys.readouterr().err.count("a?: Invalid argument") == 1


def test_a_lock_is_one_process_and_ends_with_it(tmp_path):
    path = str(tmp_path / ".lock")
    hold = f"from graph_mode import machine as m; held = m.lock({path!r}); print(1, flush=True)"
    command = [sys.executable, "-c", f"{hold}; import time; time.sleep(60)"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        with pytest.raises(machine.Locked):
            machine.lock(path)
        process.kill()
    held = machine.lock(path)
    with pytest.raises(machine.Locked):
        machine.lock(path)
    held.release()


def test_the_training_loop_is_waited_for_in_portions_between_which_windows_hears_ctrl_c():
    portions = []

    class Call:
        def result(self, timeout):
            portions.append(timeout)
            if len(portions) < 3:
                raise concurrent.futures.TimeoutError
            return "done"

    assert training._result(Call()) == "done"
    assert len(portions) == 3 and max(portions) <= 0.1


def test_in_a_terminals_ipython_a_mistake_is_one_line_and_the_session_goes_on(tmp_path):
    pytest.importorskip("IPython")
    code = "%run fc_train.py --optimizer adamw\nimport sys; print('goes on')"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code],
        cwd=ROOT, env={**os.environ, "IPYTHONDIR": str(tmp_path)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    first, last = done.stdout.decode().splitlines()
    assert "adamw" in first and last == "goes on"
