"""What differs between systems, which graph_mode/machine.py alone knows."""

import errno
import glob
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
import windows_like
from helpers import ROOT

from graph_mode import command_line, machine
from graph_mode import tensorflow1 as tf
from graph_mode.command_line import CommandError
from graph_mode.runs.folder import Run
from graph_mode.train import trainer, training

# Systems, and what the tests play of them.


def test_what_only_unix_has_is_used_in_one_file():
    unix = [rf"\b(import|from) ({'|'.join(windows_like.MODULES)})\b", r"[\"']/(dev|proc|tmp)/"]
    unix += [rf"\b{name}\.({'|'.join(each)})\b" for name, each in windows_like.NAMES.items()]
    unix += [rf"\b({'|'.join(windows_like.KEYWORDS)})=", r"\bos\.name\b", r"\bsys\.platform\b"]
    # Text that is opened without an encoding has one of Windows there.
    unix += [r"(?<![.\w])open\((?!.*(encoding=|[\"'][rwxa+]*b|devnull|, mode\)))"]
    paths = [os.path.join(ROOT, "*.py"), os.path.join(ROOT, "graph_mode", "**", "*.py")]
    found = []
    for path in [path for each in paths for path in glob.glob(each, recursive=True)]:
        if path != os.path.abspath(machine.__file__):
            with open(path, encoding="utf-8") as file:
                found += [f"{path}: {line}" for line in file if re.search("|".join(unix), line)]
    assert found == []


EVERY_SCRIPT = """
import sys, threading
import compare, fc_train, gradient_check, mnist_data, plot_losses
failed, small = [], sys.argv[1:]
def work():
    try:
        run = fc_train.main(["--num-batches=20"] + small)
        fc_train.main(["--resume", run, "--num-batches=30"])
        fc_train.main(["--evaluate", run, "--export=exported"])
        assert mnist_data.main(["--check", small[0].split("=")[1]]) == 0
        plot_losses.main(["runs", "--csv=points.csv"])
        compare.main(["--networks=fc", "--optimizers=sgd", "--seeds=1", "--jobs=1",
                      "--num-batches=20"] + small)
    except BaseException as error:
        failed.append(error)
        raise
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.exit(bool(failed))
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


# Cores and memory.


def system(folder, files):
    """Writes {path below the root of a system: content}; returns that root."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder)


@pytest.mark.parametrize(
    "group, quotas, cores",
    [
        ("0::/job\n", {"job/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        # Inside a container, the path can be the host's.
        ("0::/kubepods/pod1\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "many\n"}, 64),
        ("", {}, 64),
    ],
)
def test_cores_are_those_of_the_containers_quota(group, quotas, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    files = {f"sys/fs/cgroup/{name}": content for name, content in quotas.items()}
    files["proc/self/cgroup"] = group
    assert machine.cores(system(tmp_path, files)) == cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
def test_cores_are_those_that_the_process_is_pinned_to():
    pinned = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    program = f"{pinned}; from graph_mode import machine; print(machine.cores())"
    assert int(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT)) == 1


def test_cores_decide_threads_but_never_slices(monkeypatch, small_mnist):
    import fc_train

    resolved = {}
    for cores in (1, 2, 8, 64):
        monkeypatch.setattr(machine, "cores", lambda n=cores: n)
        flags = fc_train.parse_flags([f"--data-dir={small_mnist}"])
        resolved[cores] = trainer.resolve(flags)
        one = trainer.resolve(flags, one_slice=True)
        assert (one["slices"], one["operation_threads"]) == (1, cores)
    assert {each["slices"] for each in resolved.values()} == {2}
    assert [each["operation_threads"] for each in resolved.values()] == [1, 1, 4, 32]


def test_free_memory_is_what_the_system_says_or_unknown(tmp_path):
    assert machine.free_memory(str(tmp_path)) is None
    files = {"proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   8 kB\n"}
    assert machine.free_memory(system(tmp_path, files)) == 8192


# Processors.

CONVOLUTION = """
from graph_mode import tensorflow1 as tf
print("asked", tf.has_onednn())
with tf.Graph().as_default(), tf.Session() as session:
    images, kernel = tf.random_normal([4, 8, 8, 3]), tf.random_normal([3, 3, 3, 16])
    session.run(tf.nn.conv2d(images, kernel, [1, 1, 1, 1], "SAME"))
"""


@pytest.mark.parametrize("switch", ["0", "1"])
def test_onednn_is_there_where_it_says_itself_that_it_convolves(switch):
    verbose = {"ONEDNN_VERBOSE": "1", "DNNL_VERBOSE": "1", "MKLDNN_VERBOSE": "1"}
    environment = {**os.environ, **verbose, "TF_ENABLE_ONEDNN_OPTS": switch}
    command = [sys.executable, "-c", CONVOLUTION]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    convolves = b",convolution," in done.stdout
    assert f"asked {convolves}" in done.stdout.decode()
    assert not (convolves and switch == "0")


@pytest.mark.parametrize(
    "features, version, own_choice, switch",
    [
        ("sse2 avx avx2", (2, 21), None, "1"),
        ("sse2 avx avx2", (2, 21), "0", "0"),
        ("sse2 avx avx2 avx512_vnni", (2, 21), None, None),
        ("sse2 avx", (2, 21), None, None),
        ("sse2 avx avx2", (2, 8), None, None),
        (None, (2, 21), None, None),
    ],
)
def test_onednn_is_switched_on_where_tensorflow_would_leave_it_off(
    features, version, own_choice, switch, tmp_path, monkeypatch
):
    monkeypatch.setattr(machine, "_tensorflow_version", lambda: version)
    environment = {"TF_ENABLE_ONEDNN_OPTS": own_choice} if own_choice else {}
    monkeypatch.setattr(os, "environ", environment)
    files = {"proc/cpuinfo": f"processor : 0\nflags\t\t: {features}\n"} if features else {}
    machine.switch_onednn_on(system(tmp_path, files))
    assert environment.get("TF_ENABLE_ONEDNN_OPTS") == switch


def test_the_version_of_tensorflow_is_known_without_importing_it():
    expected = tf.version() if sys.version_info >= (3, 8) else (0, 0)
    assert machine._tensorflow_version() == expected


@pytest.mark.parametrize(
    "text, name",
    [
        (
            "model name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: avx2 avx512f\n",
            "AMD EPYC (family 26, model 2) with AVX-512",
        ),
        ("CPU part\t: 0xd0c\n", f"{platform.processor() or platform.machine()} CPU part 0xd0c"),
        ("", platform.processor() or platform.machine()),
    ],
    ids=["x86", "arm", "no file"],
)
def test_the_kind_of_processor_in_words(text, name, tmp_path):
    assert machine.processor(system(tmp_path, {"proc/cpuinfo": text})) == name


def test_a_gpu_that_is_not_there_is_one_sentence():
    import fc_train

    if tf.has_gpu():
        pytest.skip("there is one")
    with pytest.raises(CommandError, match="--device gpu"):
        trainer.resolve(fc_train.parse_flags(["--device=gpu"]))


# Names, shells, locks, signals.


@pytest.mark.parametrize(
    "name",
    ["a:b", "what?", 'say "x"', "a/b", "tab\t", "con", "NUL.txt", "com1", "lpt9 .x", "a.", "a "],
)
def test_names_that_windows_refuses(name, monkeypatch, tmp_path):
    assert machine.refused_by_windows(name)
    monkeypatch.setattr(machine, "WINDOWS", True)
    with pytest.raises(CommandError, match="--run-name"):
        Run.create(str(tmp_path / "runs"), "fc", name, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["console", "com10", "a.b", ".hidden", "größe", "sgd_1", "-2"])
def test_names_that_every_system_takes(name):
    assert machine.refused_by_windows(name) is None


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
    words = ["D:\\runs\\fc", "Anna\u2019s"]
    assert machine.command(["python"] + words) == "python D:\\runs\\fc 'Anna\u2019\u2019s'"
    line = machine.magic(["tensorboard", "--logdir", "my runs\\fc"])
    assert line == '%tensorboard --logdir "my runs\\fc"'
    assert shlex.split(line)[-1] == "my runs\\fc"


def test_a_python_below_the_current_folder_is_called_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert machine.python() == os.path.join(".venv", "bin", "python")
    monkeypatch.setattr(sys, "executable", str(tmp_path.parent / "python"))
    assert machine.python() == str(tmp_path.parent / "python")


def test_a_pipe_whose_reader_left_is_no_error_of_windows_and_a_bad_name_is(monkeypatch, capsys):
    def write(name=None):
        raise OSError(errno.EINVAL, "Invalid argument", name)

    monkeypatch.setattr(machine, "WINDOWS", True)
    assert command_line.exit_code_of(lambda: write("a?")) == 2
    assert "a?: Invalid argument" in capsys.readouterr().err
    monkeypatch.setattr(command_line, "_discard_standard_output", lambda: None)
    assert command_line.exit_code_of(write) == 0
    assert capsys.readouterr().err == ""


def test_a_lock_is_one_process_and_ends_with_it(tmp_path):
    path = str(tmp_path / ".lock")
    hold = f"""
import time
from graph_mode import machine
held = machine.lock({path!r})
print("held", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(machine.Locked):
            machine.lock(path)
        process.kill()
    machine.lock(path).release()
    held = machine.lock(path)
    with pytest.raises(machine.Locked):
        machine.lock(path)
    held.release()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs a mask of signals")
def test_ctrl_c_is_heard_within_a_tenth_of_a_second_though_it_wakes_no_waiting_thread():
    """As on Windows: the main thread hears of a signal only when its wait has ended."""
    told, times = threading.Event(), {}

    def run(session, batches):
        threading.Timer(0.2, interrupt).start()
        assert told.wait(10)
        return len(batches), {"loss": []}

    def interrupt():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        times["sent"] = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    def request_stop():
        times["heard"] = time.monotonic()
        told.set()

    loop = types.SimpleNamespace(run=run)
    examples = types.SimpleNamespace(state=lambda: None, next_indices=lambda size: [0] * size)
    flags = types.SimpleNamespace(num_batches=5, batch_size=1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with training.Interruption(request_stop) as interruption:
            training.train(None, loop, examples, flags, 0, [], interruption)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    assert interruption.signal == signal.SIGINT
    # Twice what is promised, for a machine that does other things too.
    assert times["heard"] - times["sent"] < 2 * training.HEARD_WITHIN


# IPython.


@pytest.mark.parametrize(
    "shell, found",
    [
        (types.SimpleNamespace(kernel=None), "kernel"),
        (types.SimpleNamespace(), "terminal"),
        (None, None),
    ],
)
def test_a_kernel_a_terminals_ipython_and_an_imported_one_are_told_apart(shell, found, monkeypatch):
    module = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert machine.ipython() == found


def test_in_a_terminals_ipython_a_mistake_is_one_line_and_the_session_goes_on(tmp_path):
    pytest.importorskip("IPython")
    code = "%run fc_train.py --optimizer adamw\nimport sys; print('goes on')"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code],
        cwd=ROOT, env={**os.environ, "IPYTHONDIR": str(tmp_path)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    first, last = done.stdout.decode().splitlines()
    assert "adamw" in first and last == "goes on"
