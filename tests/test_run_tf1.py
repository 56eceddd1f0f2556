"""run_tf1.py runs programs of TensorFlow 1 as they are, and says in one sentence what it cannot."""

import json
import os
import sys

import idx_files
import numpy as np
import pytest
from helpers import ROOT

from graph_mode import tensorflow1 as tf

if tf.version() < (2, 0):
    pytest.skip("TensorFlow 1 runs its programs by itself", allow_module_level=True)

from graph_mode.tf1 import addresses, check, program  # noqa: E402


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Takes back what running a program changes in the process."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    modules = dict(sys.modules)
    tf.reset_default_graph()
    yield
    for name in set(sys.modules) - set(modules):
        if not name.startswith("tensor"):
            del sys.modules[name]
    sys.modules.update(modules)


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """run(source, *arguments, name=) runs a program: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(source, *arguments, name="old.py"):
        (tmp_path / name).write_text(source)
        code = program.Program(name, addresses.tell).run(list(arguments), True)
        return (code, *capfd.readouterr())

    return run


def test_every_form_of_import_gives_the_program_the_same_tensorflow_1(run):
    code, stdout, stderr = run(
        """
import importlib
import tensorflow
import tensorflow as tf
import tensorflow.compat.v1 as v1
import tensorflow.contrib.slim as slim
import tensorflow.contrib.layers
from importlib import import_module
from tensorflow import nn, layers
from tensorflow.contrib import rnn
from tensorflow.examples.tutorials.mnist import input_data, mnist
from tensorflow.contrib.learn.python.learn.datasets.mnist import read_data_sets
from tensorflow.python.framework import ops

assert tensorflow is tf is v1 is importlib.import_module("tensorflow") is __import__("tensorflow")
assert slim is tf.contrib.slim is import_module("tensorflow.contrib.slim")
assert read_data_sets is input_data.read_data_sets
assert nn.rnn_cell.GRUCell is rnn.GRUCell and layers is tf.layers and tf.compat.v1 is tf
assert tf.__version__.startswith("1.")
assert tf.zeros([2, 3]).get_shape()[1].value == 3
assert tf.Variable(0).op.type == "VariableV2"
assert ops.get_default_graph() is tf.get_default_graph()
assert not hasattr(tf, "mul")
exec("import tensorflow.contrib.framework as f; assert f.arg_scope is slim.arg_scope")
print("ok")
"""
    )
    assert (code, stdout, stderr) == (0, "ok\n", "")


def test_only_the_program_and_the_modules_beside_it_see_tensorflow_1(run, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("from . import inner\n")
    (tmp_path / "package" / "inner.py").write_text("import tensorflow as tf\n")
    (tmp_path / "beside.py").write_text("import tensorflow as tf\n")
    code, stdout, stderr = run(
        """
import sys
import beside, package
import tensorflow as tf
from tensorboard.compat import tf as of_tensorboard
assert beside.tf is package.inner.tf is tf
assert sys.modules["tensorflow"].__version__ == of_tensorboard.__version__ != tf.__version__
"""
    )
    assert (code, stdout, stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["mnist_data", "layers", "input_data", "missing"])
def test_a_module_of_the_program_wins_over_one_of_ours(run, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("whose = 'the program'\n")
    assert run(f"import {name}; print({name}.whose)")[:2] == (0, "the program\n")


def test_a_program_starts_as_python_starts_it(run, tmp_path):
    code, stdout, _ = run(
        """
import sys, tensorflow as tf
flags = tf.app.flags
flags.DEFINE_integer("steps", 1, "how many")
def main(argv):
    print(argv, flags.FLAGS.steps, __name__, sys.path[0], sys.modules["__main__"].main is main)
    return 3
print(sys.argv)
if __name__ == "__main__":
    try:
        tf.app.run()
    except SystemExit as end:
        print(end.code)
""",
        "--steps=5",
        "rest",
    )
    assert (code, stdout.splitlines()) == (
        0,
        [
            "['old.py', '--steps=5', 'rest']",
            f"['old.py', 'rest'] 5 __main__ {os.path.realpath(str(tmp_path))} True",
            "3",
        ],
    )


def test_an_error_of_the_program_shows_the_lines_of_the_program(run, tmp_path):
    (tmp_path / "beside.py").write_text("def divide(a, b):\n    return a / b\n")
    source = "import beside\nimport functools\nfunctools.reduce(beside.divide, [1, 0])\n"
    code, _, stderr = run(source)
    assert code == 1
    places = [line for line in stderr.splitlines() if line.startswith("  File")]
    assert [place.split("line ")[1] for place in places] == ["3, in <module>", "2, in divide"]
    assert stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    "source, words",
    [
        ("tf.mul(1, 2)", "tf.mul is from before TensorFlow 1.0: use tf.multiply"),
        ("tf.train.SummaryWriter", "use tf.summary.FileWriter"),
        ("tf.contrib.crf.crf_decode", "tf.contrib.crf is not in this TensorFlow"),
        ("from tensorflow.contrib.learn import DNNClassifier", "a training loop with tf.Session"),
        ("from tensorflow.models.rnn import ptb", "tf.models.rnn is not in this TensorFlow"),
        ("tf.contrib.slim.separable_conv2d", "tf.contrib.slim.separable_conv2d"),
        ("tf.contrib.layers.batch_norm(tf.zeros([2, 2]), batch_weights=1)", "batch_weights=1"),
        ("import numpy as np; np.int(3)", "NumPy no longer has np.int: use int"),
        ("import no_such_package", "no_such_package, which is not installed here"),
        ("eval('print 1')", "2to3"),
    ],
)
def test_what_is_missing_ends_in_one_sentence_with_its_line(run, source, words):
    if "np.int" in source and hasattr(np, "int"):
        pytest.skip("this NumPy has np.int")
    code, stdout, stderr = run(f"import tensorflow as tf\n\n{source}\n")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("run_tf1.py: error: ") and "line " in stderr
    assert words in stderr


def test_python_2_is_told_before_anything_runs(run):
    with pytest.raises(program.Unusable, match="old.py, line 2: .*Python 2.*2to3"):
        run("print('started')\nprint 'x'\n")


def test_a_notebook_runs_its_code_cells_in_order_without_magics(run):
    cells = [
        ("code", "%matplotlib inline\n!ls\nimport tensorflow as tf\nfiles = !ls"),
        ("markdown", "text"),
        ("code", "%%bash\nexit 3"),
        ("code", ["  x = tf.constant(7)\n", "  text = ('%d and'\n", "   % 2)\n"]),
        ("code", "if True:\n    %time\n    print(tf.Session().run(x), text)"),
    ]
    notebook = {"cells": [{"cell_type": kind, "source": source} for kind, source in cells]}
    code, stdout, stderr = run(json.dumps(notebook), name="old.ipynb")
    assert (code, stdout) == (0, "7 2 and\n")
    assert "cell 1: left out, it is not Python: %matplotlib inline; !ls; files = !ls\n" in stderr
    assert "cell 2: left out, it is not Python: %%bash\n" in stderr
    notebook["cells"][-1]["source"] = "\ntf.pack([x])"
    code, _, stderr = run(json.dumps(notebook), name="old.ipynb")
    assert stderr.endswith(
        "old.ipynb, cell 4, line 2: tf.pack is from before TensorFlow 1.0: use tf.stack\n"
    )


READ = """
import numpy as np
from tensorflow.examples.tutorials.mnist import input_data
data = input_data.read_data_sets("MNIST_data/", one_hot=True)
print(data.train.images.shape, data.train.labels.shape, data.train.next_batch(3)[0].dtype)
"""


def test_mnist_that_is_not_there_is_the_project_s(run, tmp_path):
    code, stdout, stderr = run(READ)
    assert code == 0
    assert stdout.splitlines()[0] == "Extracting MNIST_data/train-images-idx3-ubyte.gz"
    assert stdout.splitlines()[4] == "(55000, 784) (55000, 10) float32"
    assert "MNIST_data/: no MNIST there" in stderr
    assert not (tmp_path / "MNIST_data").exists()


def test_data_of_the_program_wins(run, tmp_path):
    idx_files.write_set(tmp_path / "MNIST_data", idx_files.image_set(train=5100))
    code, stdout, stderr = run(READ)
    assert (code, stderr) == (0, "")
    assert stdout.splitlines()[4] == "(100, 12) (100, 10) float32"


def test_the_dead_address_is_answered_with_the_project_s_files(run, tmp_path):
    addresses.serve_own_files()
    code, _, stderr = run(
        """
from six.moves import urllib
urllib.request.urlretrieve(
    "http://yann.lecun.com/exdb/mnist/t10k-labels-idx1-ubyte.gz", "labels.gz")
"""
    )
    assert code == 0
    with open(os.path.join(ROOT, "MNIST_data", "t10k-labels-idx1-ubyte.gz"), "rb") as file:
        assert (tmp_path / "labels.gz").read_bytes() == file.read()


def test_keras_is_not_needed_for_what_is_not_its_layers(run):
    code, stdout, _ = run(
        """
import tensorflow as tf
from tensorflow.keras.datasets import mnist
tf.keras.backend.clear_session()
(images, labels), (test_images, test_labels) = mnist.load_data()
print(images.shape, images.dtype, test_labels.shape)
print(tf.keras.utils.to_categorical([1, 0], 3).tolist())
"""
    )
    assert (code, stdout) == (
        0,
        "(60000, 28, 28) uint8 (10000,)\n[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]\n",
    )


def test_a_checkpoint_of_tensorflow_1_restores_in_the_same_program(run):
    code, stdout, stderr = run(
        f"""
import sys
sys.path.append({os.path.join(ROOT, "tests")!r})
import numpy as np
import tensorflow as tf
from record_tf_layers import DATA, HIDDEN_UNITS, program_data

inputs = tf.placeholder(tf.float32, [None, 12, 10, 1])
training = tf.placeholder_with_default(False, [])
layer = tf.reshape(inputs, [-1, 12 * 10])
for units in HIDDEN_UNITS:
    layer = tf.layers.dense(layer, units, use_bias=False)
    layer = tf.nn.relu(tf.layers.batch_normalization(layer, training=training))
logits = tf.layers.dense(layer, 10)
with tf.Session() as session:
    tf.train.Saver().restore(session, DATA + "/fc.ckpt")
    images = program_data().validation.images * np.float32(1 / 255.0)
    found = session.run(logits, {{inputs: images}})
    tf.train.Saver().save(session, "again.ckpt")
np.testing.assert_allclose(
    found, np.load(DATA + "/fc.npz")["logits after 20"], rtol=1e-4, atol=1e-5)
with tf.Session() as session:
    tf.train.Saver().restore(session, "again.ckpt")
"""
    )
    assert (code, stdout, stderr) == (0, "", "")


def test_check_lists_each_name_with_its_line_and_runs_nothing(tmp_path, capfd):
    path = tmp_path / "old.py"
    path.write_text(
        "import tensorflow as tf\n"
        "from tensorflow.contrib import slim\n"
        "layers = tf.contrib.layers\n"
        "x = layers.flatten(tf.pack([tf.nn.relu(1.0)]))\n"
        "raise SystemExit(slim.nothing)\n"
    )
    assert check.check(program.Program(str(path), addresses.tell)) == 2
    lines = [line.split(", line ")[1] for line in capfd.readouterr().out.splitlines()]
    assert [line for line in lines if "missing" not in line] == [
        "1: tf: there",
        "2: tf.contrib.slim: there",
        "3: tf.contrib.layers: there",
        "4: tf.contrib.layers.flatten: there",
        "4: tf.nn.relu: there",
    ]
    missing = [line for line in lines if "missing" in line]
    assert missing[0] == (
        "4: tf.pack: missing: tf.pack is from before TensorFlow 1.0: use tf.stack"
    )
    assert missing[1].startswith("5: tf.contrib.slim.nothing: missing: ")


def test_the_command_passes_arguments_and_exit_codes_through(run_script, tmp_path):
    (tmp_path / "old.py").write_text(
        "import sys\nimport tensorflow as tf\n"
        "layer = tf.layers.dense(tf.zeros([2, 3]), 4, activation=tf.nn.relu, name='hidden1')\n"
        "print(sys.argv, layer.name)\nsys.exit(7)\n"
    )
    found = run_script("run_tf1.py", "old.py", "--check", "--help")
    assert found == (7, "['old.py', '--check', '--help'] hidden1/Relu:0\n", "")
    code, _, stderr = run_script("run_tf1.py", "nothing.py")
    assert (code, stderr.count("\n")) == (2, 1)
