"""run_tf1.py runs programs of TensorFlow 1 as they are, and says in one sentence what it cannot."""

import json
import os
import sys

import idx_files
import numpy as np
import pytest
from helpers import ROOT
from record_tf1_modules import CASES, PROGRAMS, RECORD, observe
from record_tf_layers import DATA
from record_tf_layers import PROGRAMS as PUBLISHED

from graph_mode import tensorflow1 as tf
from graph_mode.tf1 import addresses, behavior, check, importing, program


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """run(source, *arguments, name=) runs a program: (exit code, stdout, stderr)."""
    if tf.version() < (2, 0):
        pytest.skip("TensorFlow 1 runs its programs by itself")
    # What running a program changes in the process.
    for name in ("argv", "path", "meta_path"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    modules = dict(sys.modules)
    monkeypatch.chdir(tmp_path)
    tf.reset_default_graph()

    def run(source, *arguments, name="old.py"):
        (tmp_path / name).write_text(source)
        code = program.Program(name, addresses.tell).run(list(arguments), True)
        return (code, *capfd.readouterr())

    yield run
    for name in set(sys.modules) - set(modules):
        if not name.startswith(("tensor", "tf_keras")):
            del sys.modules[name]
    sys.modules.update(modules)


def test_every_form_of_import_gives_the_program_the_same_tensorflow_1(run):
    source = """
import importlib
import tensorflow
import tensorflow as tf
import tensorflow.compat.v1 as v1
import tensorflow.contrib.slim as slim
from tensorflow import nn, layers
from tensorflow.contrib import rnn
from tensorflow.contrib.rnn import *
from tensorflow.examples.tutorials.mnist import input_data, mnist
from tensorflow.contrib.learn.python.learn.datasets.mnist import read_data_sets
from tensorflow.contrib.framework.python.ops.arg_scope import add_arg_scope
from tensorflow.contrib.layers.python.layers import flatten, initializers, layers as contrib_layers
from tensorflow.python.framework import graph_util, ops
from keras.datasets import mnist as of_keras
import runpy

open("other.py", "w").write("import tensorflow as tf")
assert tf is runpy.run_path("other.py")["tf"] is runpy.run_module("other")["tf"]
assert of_keras is tf.keras.datasets.mnist and graph_util.extract_sub_graph
assert flatten is contrib_layers.flatten is slim.flatten and add_arg_scope is slim.add_arg_scope
assert initializers.xavier_initializer is slim.xavier_initializer
assert type(tf.constant(1)) is tf.Tensor and isinstance(tf.constant(1), tf.Tensor)
assert tensorflow is tf is v1 is importlib.import_module("tensorflow") is __import__("tensorflow")
assert slim is tf.contrib.slim is importlib.import_module("tensorflow.contrib.slim")
assert read_data_sets is input_data.read_data_sets
assert nn.rnn_cell.GRUCell is rnn.GRUCell is GRUCell and layers is tf.layers and tf.compat.v1 is tf
assert tf.__version__.startswith("1.") and not hasattr(tf, "mul")
assert tf.zeros([2, 3]).get_shape()[1].value == 3
assert tf.Variable(0).op.type == "VariableV2"
assert ops.get_default_graph() is tf.get_default_graph()
exec("import tensorflow.contrib.framework as f; assert f.arg_scope is slim.arg_scope")
"""
    assert run(source) == (0, "", "")


def test_only_the_program_and_its_modules_see_tensorflow_1_also_by_relative_imports(run, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from . import inner\n")
    for path in (package / "inner.py", tmp_path / "beside.py"):
        path.write_text("import tensorflow as tf\n")
    source = """
import sys
import beside, package
import tensorflow as tf
from tensorboard.compat import tf as of_tensorboard
assert beside.tf is package.inner.tf is tf
assert sys.modules["tensorflow"].__version__ == of_tensorboard.__version__ != tf.__version__
"""
    assert run(source) == (0, "", "")
    (package / "old.py").write_text("from .inner import tf\nassert tf.__version__ == '1.15.5'\n")
    loaded = program.Program(program.path_of("package.old"), addresses.tell, "package.old")
    assert loaded.run([], True) == 0


def test_a_program_finds_what_numpy_and_dimensions_were(run):
    source = """
import numpy as np, tensorflow as tf
np.random.seed(np.int(3))
print(np.float(1), np.reshape([np.Inf, 2], newshape=[2, 1]).tostring()[:2], [np.float32(0.5)])
print(tf.placeholder(tf.float32, [None, 784 / 2]).shape, tf.Dimension(3.0) + 1)
"""
    assert run(source)[:2] == (0, "1.0 b'\\x00\\x00' [0.5]\n(?, 392) 4\n")
    assert run("import tensorflow as tf\ntf.placeholder(tf.float32, [2.5])")[0] == 1


def test_the_second_derivative_of_batch_normalization_is_that_of_1_15(run):
    """Not that of the formula: tf.nn.moments takes the mean in the variance for a constant."""
    source = """
import numpy as np, tensorflow as tf
x = tf.placeholder(tf.float64, [6, 2])
first = tf.gradients(tf.layers.batch_normalization(x, training=True) ** 3, x)[0]
second = tf.gradients(first[0, 0], x)[0]
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    print("%.9f" % session.run(second, {x: np.random.RandomState(0).randn(6, 2)})[0, 0])
"""
    assert run(source)[:2] == (0, "6.574077444\n")


def test_a_module_of_the_program_wins_over_one_of_ours(run, tmp_path):
    for name in ("mnist_data", "layers", "input_data", "missing"):
        (tmp_path / f"{name}.py").write_text("whose = 'the program'\n")
        assert run(f"import {name}; print({name}.whose)")[:2] == (0, "the program\n")


def test_a_program_starts_as_python_starts_it(run, tmp_path):
    source = """
import sys, tensorflow as tf
tf.app.flags.DEFINE_integer("steps", 1, "how many")
def main(argv):
    steps = tf.app.flags.FLAGS.steps
    print(argv, steps, __name__, sys.path[0], sys.modules["__main__"].main is main)
    return 3
print(sys.argv)
try:
    tf.app.run()
except SystemExit as end:
    print(end.code)
"""
    here = os.path.realpath(str(tmp_path))
    code, stdout, _ = run(source, "--steps=5", "rest")
    second = f"['old.py', 'rest'] 5 __main__ {here} True"
    assert (code, stdout) == (0, f"['old.py', '--steps=5', 'rest']\n{second}\n3\n")


def test_an_error_of_the_program_shows_the_lines_of_the_program(run, tmp_path):
    (tmp_path / "beside.py").write_text("def divide(a, b):\n    return a / b\n")
    source = "import beside\nimport functools\nfunctools.reduce(beside.divide, [1, 0])\n"
    code, _, stderr = run(source)
    assert code == 1
    places = [line for line in stderr.splitlines() if line.startswith("  File")]
    assert [place.split("line ")[1] for place in places] == ["3, in <module>", "2, in divide"]
    assert stderr.endswith("ZeroDivisionError: division by zero\n")
    finder = importing.ProgramFinder([])
    sys.path.append(ROOT)  # the program lies in the project's folder
    assert finder.is_own(__file__) and not finder.is_own(importing.__file__)


# line of a program: a part of what is said about it
MISSING = """
tf.mul(1, 2): tf.multiply
from tensorflow.contrib.learn import DNNClassifier: tf.estimator.Estimator
from tensorflow.models.rnn import ptb: tf.models.rnn
tf.contrib.slim.separable_conv2d: tf.contrib.slim.separable_conv2d
tf.contrib.layers.max_pool2d(0, 2, data_format='NCHW'): data_format='NCHW'
import numpy as np; np.no_such: no_such
import os.no_such: os.no_such, which the installed os does not have
import no_such_package: no_such_package
eval('print 1'): 2to3
"""


@pytest.mark.parametrize("case", MISSING.strip().splitlines())
def test_what_is_missing_ends_in_one_sentence_with_its_line(run, case):
    source, words = case.split(": ")
    code, stdout, stderr = run(f"import tensorflow as tf\n\n{source}\n")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("run_tf1.py: error: ") and "line " in stderr and words in stderr


def test_a_notebook_runs_its_code_cells_in_order_without_magics(run):
    cells = [
        ("code", "%matplotlib inline\n!ls\nimport tensorflow as tf\nfiles = !ls"),
        ("markdown", "text"),
        ("code", "%%bash\nexit 3"),
        ("code", ["  x = tf.constant(7)\n", "  text = ('%d and'\n", "   % 2)\n"]),
        ("code", "if True:\n    %time\n    print(tf.Session().run(x), text)"),
        ("code", "\ntf.pack([x])"),
    ]
    notebook = {"cells": [{"cell_type": kind, "source": source} for kind, source in cells]}
    code, stdout, stderr = run(json.dumps(notebook), name="old.ipynb")
    assert (code, stdout) == (2, "7 2 and\n")
    *left_out, error = stderr.splitlines()
    left_out = [line.split(": ")[-1] for line in left_out]
    assert left_out == ["%matplotlib inline; !ls; files = !ls", "%%bash", "%time"]
    assert "old.ipynb, cell 5, line 2: tf.pack" in error


def test_python_2_is_told_before_anything_runs(run):
    with pytest.raises(program.Unusable, match="old.py, line 2: .*Python 2.*2to3"):
        run("print('started')\nprint 'x'\n")
    with pytest.raises(program.Unusable, match="old.py: not a program of Python"):
        run("# coding: none\n")


READ = """
from tensorflow.examples.tutorials.mnist import input_data
data = input_data.read_data_sets("MNIST_data/", one_hot=True)
print(data.train.images.shape, data.train.labels.shape, data.train.next_batch(3)[0].dtype)
"""


def test_mnist_that_is_not_there_is_the_project_s_and_data_of_the_program_win(run, tmp_path):
    name = "t10k-labels-idx1-ubyte.gz"
    source = f"""{READ}
from tensorflow.keras.datasets import mnist; print(mnist.load_data()[0][0].shape)
from six.moves import urllib
urllib.request.urlretrieve('http://yann.lecun.com/exdb/mnist/{name}', 'fetched')
"""
    addresses.serve_own_files()
    code, stdout, stderr = run(source)
    first, *_, read, loaded = stdout.splitlines()
    assert (code, first) == (0, "Extracting MNIST_data/train-images-idx3-ubyte.gz")
    assert (read, loaded) == ("(55000, 784) (55000, 10) float32", "(60000, 28, 28)")
    assert "MNIST_data/: no MNIST there" in stderr
    assert not (tmp_path / "MNIST_data").exists()
    with open(os.path.join(ROOT, "MNIST_data", name), "rb") as file:
        assert (tmp_path / "fetched").read_bytes() == file.read()
    idx_files.write_set(tmp_path / "MNIST_data", idx_files.image_set(train=5100))
    code, stdout, stderr = run(READ)
    assert (code, stdout.splitlines()[4], stderr) == (0, "(100, 12) (100, 10) float32", "")


def test_a_checkpoint_of_tensorflow_1_restores_in_the_same_program(run):
    source = f"""
import tensorflow as tf
layer = tf.layers.flatten(tf.placeholder(tf.float32, [None, 12, 10, 1]))
for units in {PUBLISHED["fc"][1]}:
    layer = tf.layers.dense(layer, units, use_bias=False)
    layer = tf.nn.relu(tf.layers.batch_normalization(layer))
tf.layers.dense(layer, 10)
tf.train.Saver().restore(tf.Session(), {DATA!r} + "/fc.ckpt")
"""
    assert run(source) == (0, "", "")


def test_check_says_what_is_missing_in_all_cells_and_modules_and_runs_nothing(run, tmp_path, capfd):
    sources = (
        "import tensorflow as tf, bad\nfrom lib import beside\nfrom tensorflow.contrib import slim",
        "%time\nlayers = tf.contrib.layers\nx = layers.flatten(tf.pack([tf.nn.relu(1.0)]))",
        "raise SystemExit(slim.nothing)",
    )
    cells = [{"cell_type": "code", "source": each} for each in sources]
    path, beside = tmp_path / "old.ipynb", tmp_path / "lib" / "beside.py"
    beside.parent.mkdir()  # without __init__.py
    path.write_text(json.dumps({"cells": cells}))
    (tmp_path / "bad.py").write_bytes(b"print '\xe9'")
    beside.write_text("from tensorflow import layers, unpack\nlayers.batch_normalization(0)\n")
    loaded = program.Program(str(path), addresses.tell)
    assert check.check(loaded) == 2
    verdict, first, second, third = capfd.readouterr().out.splitlines()
    assert verdict == "3 of 10 names are missing"
    assert first.startswith(f"{beside}, line 1: tf.unpack: missing: ") and "tf.unstack" in first
    assert second.startswith(f"{path}, cell 2, line 3: tf.pack: missing: ")
    assert "tf.stack" in second and third.startswith(f"{path}, cell 3, line 1: tf.contrib.slim.no")
    check.check(loaded, verbose=True)
    assert f"{path}, cell 2, line 3: tf.nn.relu: there" in capfd.readouterr().out.splitlines()
    beside.write_text("")
    path.write_text(json.dumps({"cells": cells[:1]}))
    assert check.check(program.Program(str(path), addresses.tell)) == 0
    assert capfd.readouterr().out == "all 2 names are there\n"


def test_the_command_passes_arguments_and_exit_codes_through(start_script, tmp_path):
    (tmp_path / "old.py").write_text(
        "import sys\nimport tensorflow as tf\n"
        "assert tf.__version__ == '1.15.5' and tf.Variable(0).op.type == 'VariableV2'\n"
        "layer = tf.contrib.layers.flatten(tf.zeros([2, 3, 1]))\n"
        "layer = tf.layers.dense(layer, 4, activation=tf.nn.relu, name='hidden1')\n"
        "print(sys.argv, layer.name)\nsys.exit(7)\n"
    )
    process = start_script("run_tf1.py", "old.py", "--check", "--help")
    stdout, stderr = process.communicate(timeout=300)
    assert (process.returncode, stdout) == (7, "['old.py', '--check', '--help'] hidden1/Relu:0\n")
    assert not stderr or tf.version() < (2, 0)  # which says what it finds deprecated
    process = start_script("run_tf1.py", "nothing.py")
    assert process.communicate(timeout=300)[1].count("\n") == 1 and process.returncode == 2


@pytest.fixture(scope="module")
def stand_in():
    """The tensorflow that a program sees."""
    if tf.version() < (2, 0):
        pytest.skip("TensorFlow 1 has the originals")
    yield importing.root()
    # The rest of this process is not a program of TensorFlow 1.
    tf.enable_resource_variables()
    tf.enable_control_flow_v2()
    tf.enable_v2_tensorshape()
    tf.enable_tensor_equality()


RECORDED = np.load(RECORD)


@pytest.mark.parametrize("case", CASES)
def test_a_module_does_what_was_recorded_of_the_original(stand_in, case):
    observed = observe(stand_in, case)
    expected = {k[len(case) + 2 :]: RECORDED[k] for k in RECORDED if k.startswith(f"{case}: ")}
    assert sorted(observed) == sorted(expected)
    for what, value in expected.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(observed[what], value, rtol=2e-4, atol=2e-5, err_msg=what)
        else:
            np.testing.assert_array_equal(observed[what], value, err_msg=what)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_computes_what_it_computed_on_1_15(stand_in, name):
    """With a seed, the same numbers; initial values without one have the same distribution."""
    if name == "seeds" and tf.version() < (2, 10):
        pytest.skip("an LSTM makes an operation there that is counted twice")
    program_of, tolerance = PROGRAMS[name]
    with tf.Graph().as_default(), behavior.of_1_15():
        np.testing.assert_allclose(program_of(stand_in), RECORDED[name], rtol=tolerance)
