"""The stand-ins for modules of TensorFlow 1 do what the recorded originals do."""

import numpy as np
import pytest
from record_tf1_modules import CASES, INITIALIZERS, RECORD, initial_values, observe

from graph_mode import tensorflow1

if tensorflow1.version() < (2, 0):
    pytest.skip("TensorFlow 1 has the originals", allow_module_level=True)

from graph_mode.tf1 import importing  # noqa: E402


@pytest.fixture(scope="module")
def tf():
    yield importing.root()
    # The rest of this process is not a program of TensorFlow 1.
    tensorflow1.enable_resource_variables()
    tensorflow1.enable_control_flow_v2()
    tensorflow1.enable_v2_tensorshape()
    tensorflow1.enable_tensor_equality()


@pytest.fixture(scope="module")
def record():
    return np.load(RECORD)


@pytest.mark.parametrize("case", CASES)
def test_a_stand_in_does_what_the_original_does(tf, record, case):
    observed = observe(tf, case)
    expected = {key[len(case) + 2 :]: record[key] for key in record if key.startswith(f"{case}: ")}
    assert sorted(observed) == sorted(expected)
    for what, value in expected.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(observed[what], value, rtol=2e-4, atol=2e-5, err_msg=what)
        else:
            np.testing.assert_array_equal(observed[what], value, err_msg=what)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_values_have_the_distribution_of_the_original(tf, record, name):
    np.testing.assert_allclose(initial_values(tf, name), record[name], rtol=0.03)
