"""On TensorFlow 1.15 run_tf1.py runs a program as it is."""

import pytest

from graph_mode import tensorflow1 as tf

if tf.version() >= (2, 0):
    pytest.skip("for TensorFlow 1.15", allow_module_level=True)

PROGRAM = """
import sys
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

assert tf is sys.modules["tensorflow"] and tf.__version__.startswith("1.15")
assert tf.Variable(0).op.type == "VariableV2"
data = input_data.read_data_sets("MNIST_data/")
print(tf.contrib.layers.flatten(tf.zeros([2, 3, 4])).shape, data.train.num_examples)
sys.exit(3)
"""


def test_a_program_runs_as_it_is(run_script, tmp_path):
    (tmp_path / "old.py").write_text(PROGRAM)
    code, stdout, stderr = run_script("run_tf1.py", "old.py")
    assert code == 3, stderr
    assert stdout.splitlines()[-1] == "(2, 12) 55000"
