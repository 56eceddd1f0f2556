"""What differs between systems, which graph_mode/machine.py alone knows."""

import ast
import errno
import glob
import os
import platform
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
from graph_mode.runs.folder import LONGEST_BELOW, Run
from graph_mode.train import training

# A text in a syntax tree, before Python 3.8 and from then on.
TEXT = ast.Constant if sys.version_info >= (3, 8) else ast.Str


def product_files():
    folders = ("", "docs", os.path.join("graph_mode", "**"))
    patterns = [os.path.join(glob.escape(ROOT), folder, "*.py") for folder in folders]
    return sorted(path for each in patterns for path in glob.glob(each, recursive=True))


def what_is_not_on_every_system(tree):
    """(line, what) for each node of a syntax tree that only Unix has, or that asks which it is."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            modules = [node.module] if isinstance(node, ast.ImportFrom) else names
            for module in set(modules) & windows_like.POSIX_MODULES:
                yield node.lineno, f"import {module}"
            missing = windows_like.POSIX_NAMES.get(modules[0], set())
            for name in missing & set(names) if isinstance(node, ast.ImportFrom) else ():
                yield node.lineno, f"{modules[0]}.{name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            asks = (module, name) in (("os", "name"), ("sys", "platform"))
            if asks or name in windows_like.POSIX_NAMES.get(module, ()):
                yield node.lineno, f"{module}.{name}"
        elif isinstance(node, ast.Call):
            keywords = {keyword.arg for keyword in node.keywords}
            for name in keywords & windows_like.POSIX_KEYWORDS:
                yield node.lineno, f"{name}="
            if getattr(node.func, "id", None) == "open" and is_text_without_encoding(node):
                yield node.lineno, "open() of text without encoding="
        elif isinstance(node, TEXT):
            text = getattr(node, "value", None) or getattr(node, "s", None)
            if isinstance(text, str) and text.startswith(("/dev/", "/proc/", "/tmp/")):
                yield node.lineno, repr(text)


def is_text_without_encoding(call):
    if getattr(call.args[0], "attr", None) == "devnull":
        return False
    mode = call.args[1] if len(call.args) > 1 else ast.parse("'r'").body[0].value
    named = {keyword.arg for keyword in call.keywords}
    return isinstance(mode, TEXT) and "b" not in ast.literal_eval(mode) and "encoding" not in named


@pytest.mark.parametrize(
    "code, what",
    [
        ("import fcntl", "import fcntl"),
        ("from os import fork", "os.fork"),
        ("os.kill(1, signal.SIGKILL)", "signal.SIGKILL"),
        ("os.name", "os.name"),
        ("Popen(x, pass_fds=[1])", "pass_fds="),
        ("open(x, 'w')", "open() of text without encoding="),
        ("open('/dev/null', 'wb')", "'/dev/null'"),
    ],
)
def test_the_search_for_what_only_unix_has_finds_it(code, what):
    assert [found for _, found in what_is_not_on_every_system(ast.parse(code))] == [what]


def test_what_only_unix_has_is_used_in_one_file():
    found = []
    for path in product_files():
        if not os.path.samefile(path, machine.__file__):
            with open(path, encoding="utf-8") as file:
                tree = ast.parse(file.read())
            for line, what in what_is_not_on_every_system(tree):
                found.append(f"{os.path.relpath(path, ROOT)}:{line}: {what}")
    assert found == []


# Cores and memory.


def system(folder, files):
    """Writes {path below the root of a system: content}; returns that root."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(folder)


V1 = "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n1:name=systemd:/docker/a\n"
UNLIMITED_V1 = "9223372036854771712"
QUOTAS = {
    "version 2": ({"self": "0::/job\n", "job/cpu.max": "150000 100000"}, 2),
    "version 2, of the group around it": (
        {"self": "0::/a/b\n", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"},
        3,
    ),
    "version 2, the path is the host's": (
        {"self": "0::/kubepods/pod1\n", "cpu.max": "50000 100000"},
        1,
    ),
    "version 2, no limit": ({"self": "0::/\n", "cpu.max": "max 100000"}, 64),
    "version 1": (
        {
            "self": V1,
            "cpu/docker/a/cpu.cfs_quota_us": "400000",
            "cpu/docker/a/cpu.cfs_period_us": "100000",
        },
        4,
    ),
    "version 1, the path is the host's": (
        {"self": V1, "cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"},
        3,
    ),
    "version 1, no limit": (
        {"self": V1, "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        64,
    ),
    "files that nobody expects": ({"self": "0::/\n", "cpu.max": "many\n"}, 64),
    "no control groups": ({}, 64),
}


def in_cgroups(files):
    return {
        "proc/self/cgroup" if name == "self" else f"sys/fs/cgroup/{name}": content
        for name, content in files.items()
    }


@pytest.mark.parametrize("name", sorted(QUOTAS))
def test_cores_are_those_of_the_containers_quota(name, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    files, cores = QUOTAS[name]
    assert machine.cores(system(tmp_path, in_cgroups(files))) == cores


GIB = 2**30
AVAILABLE = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable:  {8 * GIB // 1024} kB\n"}
MEMORY = {
    "no limit": ({"self": "0::/\n", "memory.max": "max", "memory.current": str(GIB)}, 8 * GIB),
    "version 2": ({"self": "0::/\n", "memory.max": str(4 * GIB), "memory.current": "0"}, 4 * GIB),
    "version 2, files that were read": (
        {
            "self": "0::/\n",
            "memory.max": str(4 * GIB),
            "memory.current": str(4 * GIB),
            "memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
        },
        2 * GIB,
    ),
    "version 1": (
        {
            "self": V1,
            "memory/docker/a/memory.limit_in_bytes": str(2 * GIB),
            "memory/docker/a/memory.usage_in_bytes": str(3 * GIB),
            "memory/memory.limit_in_bytes": UNLIMITED_V1,
            "memory/memory.usage_in_bytes": str(GIB),
        },
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MEMORY))
def test_free_memory_is_that_of_the_container(name, tmp_path):
    files, free = MEMORY[name]
    assert machine.free_memory(system(tmp_path, {**AVAILABLE, **in_cgroups(files)})) == free


def test_where_the_system_does_not_say_memory_is_unknown(tmp_path):
    assert machine.free_memory(str(tmp_path)) is None


CORES = "from graph_mode import machine; print(machine.cores())"


def cores_of_a_process(before):
    """machine.cores() in a process that runs `before` first."""
    command = [sys.executable, "-c", f"import os; {before}; {CORES}"]
    return int(subprocess.check_output(command, cwd=ROOT))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system pins no process")
def test_cores_are_those_that_the_process_is_pinned_to():
    assert cores_of_a_process("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])") == 1


def test_a_real_control_group_bounds_the_cores():
    if machine.cores() < 2:
        pytest.skip("a quota of one core changes nothing here")
    for base, files in (
        ("/sys/fs/cgroup", {"cpu.max": "100000 100000"}),
        ("/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}),
    ):
        group = os.path.join(base, f"test-{os.getpid()}")
        if not os.path.exists(os.path.join(base, "cgroup.procs")):
            continue
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            if all(os.path.exists(os.path.join(group, name)) for name in files):
                for name, content in files.items():
                    with open(os.path.join(group, name), "w") as file:
                        file.write(content)
                members = os.path.join(group, "cgroup.procs")
                assert cores_of_a_process(f"open({members!r}, 'w').write(str(os.getpid()))") == 1
                return
        finally:
            os.rmdir(group)
    pytest.skip("no control group can be made here")


# oneDNN.

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
    if switch == "0":
        assert not convolves


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
    # Both, so that monkeypatch knows what to put back.
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", own_choice or "")
    if own_choice is None:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    files = {"proc/cpuinfo": f"processor : 0\nflags\t\t: {features}\n"} if features else {}
    machine.switch_onednn_on(system(tmp_path, files))
    assert os.environ.get("TF_ENABLE_ONEDNN_OPTS") == switch


@pytest.mark.parametrize(
    "text, name",
    [
        (
            "model name\t: AMD EPYC\ncpu family\t: 26\nmodel\t\t: 2\nflags\t\t: avx2 avx512f\n",
            "AMD EPYC (family 26, model 2) with AVX-512",
        ),
        ("CPU part\t: 0xd0c\n", f"{platform.machine()} CPU part 0xd0c"),
        (None, platform.processor() or platform.machine()),
    ],
    ids=["x86", "arm", "no file"],
)
def test_the_kind_of_processor_in_words(text, name, tmp_path):
    files = {"proc/cpuinfo": text} if text else {}
    assert machine.processor(system(tmp_path, files)) == name


# Names, shells, locks, signals.


@pytest.mark.parametrize(
    "name",
    ["a:b", "what?", 'say "x"', "a/b", "tab\t", "con", "NUL.txt", "com1", "lpt9 .x", "a.", "a "],
)
def test_names_that_windows_refuses(name):
    assert machine.refused_by_windows(name)


@pytest.mark.parametrize("name", ["console", "com10", "a.b", ".hidden", "größe", "sgd_1", "-2"])
def test_names_that_every_system_takes(name):
    assert machine.refused_by_windows(name) is None


def test_a_run_name_that_windows_refuses_is_refused_there(tmp_path, monkeypatch):
    from graph_mode.command_line import CommandError

    monkeypatch.setattr(machine, "WINDOWS", True)
    with pytest.raises(CommandError, match="--run-name 'con': Windows refuses it, since it is the"):
        Run.create(str(tmp_path / "runs"), "fc", "con", {})
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_for_windows_is_refused_there(tmp_path, monkeypatch):
    from graph_mode.command_line import CommandError
    from graph_mode.runs import record

    def only_short_ones(path, *arguments, **keywords):
        if len(os.path.abspath(path)) > machine.LONGEST_WINDOWS_PATH:
            raise FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", path)
        return open(path, *arguments, **keywords)

    monkeypatch.setattr(machine, "WINDOWS", True)
    monkeypatch.setattr(record, "open", only_short_ones, raising=False)
    name = "a" * (machine.LONGEST_WINDOWS_PATH - len(str(tmp_path)) - len(LONGEST_BELOW) - 5)
    Run.create(str(tmp_path), "fc", name, {}).close()
    with pytest.raises(CommandError, match=f"fc.{name}a: too long a path for Windows, which takes"):
        Run.create(str(tmp_path), "fc", f"{name}a", {})
    assert os.listdir(str(tmp_path / "fc")) == [name]


WORDS = ["python", "fc train.py", "--resume", "it's $HOME", "--hidden-units=32,16", "plain-1.0"]
ON_WINDOWS = {
    "cmd": ({"PROMPT": "$P$G"}, 'python "fc train.py" --resume "it\'s $HOME" --hidden-units=32,16'),
    "PowerShell": ({}, "python 'fc train.py' --resume 'it''s $HOME' '--hidden-units=32,16'"),
    "Git Bash": (
        {"SHELL": "/usr/bin/bash"},
        "python 'fc train.py' --resume 'it'\"'\"'s $HOME' --hidden-units=32,16",
    ),
}


def play(shell, monkeypatch):
    monkeypatch.setattr(machine, "WINDOWS", True)
    for name in ("SHELL", "PROMPT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in ON_WINDOWS[shell][0].items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("shell", sorted(ON_WINDOWS))
def test_a_command_is_quoted_for_the_shell_at_hand(shell, monkeypatch):
    play(shell, monkeypatch)
    line = ON_WINDOWS[shell][1]
    assert machine.command(WORDS) == f"{line} plain-1.0"
    program = machine.command(["C:/Program Files/python.exe", "x.py"])
    assert program.startswith("& 'C:") == (shell == "PowerShell")


@pytest.mark.parametrize(
    "shell, word, quoted",
    [
        ("cmd", "R&D", '"R&D"'),
        ("cmd", "x^y\\", '"x^y\\\\"'),
        ("cmd", "D:\\runs\\fc", "D:\\runs\\fc"),
        ("PowerShell", "Anna\u2019s", "'Anna\u2019\u2019s'"),
        ("PowerShell", "D:\\runs\\fc", "D:\\runs\\fc"),
        ("Git Bash", "D:\\runs\\fc", "'D:\\runs\\fc'"),
    ],
)
def test_what_a_shell_of_windows_would_take_for_its_own_is_quoted(shell, word, quoted, monkeypatch):
    play(shell, monkeypatch)
    assert machine.command(["python", word]) == f"python {quoted}"


def test_a_line_for_a_notebook_on_windows_is_split_by_windows_or_by_tensorboard(monkeypatch):
    play("PowerShell", monkeypatch)
    words = ["fc_train.py", "--resume", "my runs\\fc"]
    assert machine.run_magic(words) == '%run fc_train.py --resume "my runs\\fc"'
    line = machine.tensorboard_magic(["--logdir", "runs\\fc"])
    assert shlex.split(line) == ["%tensorboard", "--logdir", "runs\\fc"]


def test_a_pipe_whose_reader_left_is_no_error_of_windows_and_a_bad_name_is(monkeypatch, capsys):
    def write(name=None):
        raise OSError(errno.EINVAL, "Invalid argument", name)

    monkeypatch.setattr(machine, "WINDOWS", True)
    assert command_line.exit_code_of(lambda: write("a?")) == 2
    assert capsys.readouterr().err.endswith("error: a?: Invalid argument\n")
    monkeypatch.setattr(command_line, "_discard_standard_output", lambda: None)
    assert command_line.exit_code_of(write) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(machine.WINDOWS, reason="a shell of Unix")
def test_a_command_comes_through_the_shell_as_it_was():
    line = machine.command([sys.executable, "-c", "import sys; print(sys.argv[1:])"] + WORDS)
    assert subprocess.check_output(["sh", "-c", line]).decode().strip() == str(WORDS)
    assert shlex.split(line)[3:] == WORDS


def test_a_python_below_the_current_folder_is_called_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert machine.python() == os.path.join(".venv", "bin", "python")
    monkeypatch.setattr(sys, "executable", str(tmp_path.parent / "python"))
    assert machine.python() == str(tmp_path.parent / "python")


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
    told = threading.Event()
    times = {}

    class Slow:
        def run(self, session, batches):
            threading.Timer(0.2, interrupt).start()
            assert told.wait(10)
            return len(batches), {"loss": []}

    class Examples:
        def state(self):
            return None

        def next_indices(self, batch_size):
            return [0] * batch_size

    def interrupt():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        times["sent"] = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    def request_stop():
        times["heard"] = time.monotonic()
        told.set()

    flags = types.SimpleNamespace(num_batches=5, batch_size=1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with training.Interruption(request_stop) as interruption:
            training.train(None, Slow(), Examples(), flags, 0, [], interruption)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    assert interruption.signal == signal.SIGINT
    # Twice what is promised, for a machine that does other things too.
    assert times["heard"] - times["sent"] < 2 * training.HEARD_WITHIN


def test_cores_decide_threads_but_never_slices(monkeypatch, small_mnist):
    import fc_train
    from graph_mode.train import trainer

    resolved = {}
    for cores in (1, 2, 8, 64):
        monkeypatch.setattr(machine, "cores", lambda n=cores: n)
        flags = fc_train.parse_flags([f"--data-dir={small_mnist}"])
        resolved[cores] = trainer.resolve(flags)
        one = trainer.resolve(flags, one_slice=True)
        assert (one["slices"], one["operation_threads"]) == (1, cores)
    assert {each["slices"] for each in resolved.values()} == {2}
    assert [each["operation_threads"] for each in resolved.values()] == [1, 1, 4, 32]


def test_a_gpu_that_is_not_there_is_one_sentence():
    import fc_train
    from graph_mode.command_line import CommandError
    from graph_mode.train import trainer

    if tf.has_gpu():
        pytest.skip("there is one")
    with pytest.raises(CommandError, match="--device gpu: TensorFlow found no GPU here"):
        trainer.resolve(fc_train.parse_flags(["--device=gpu"]))
