import keras
import pytest

from entrannas_tf.networks.layers import precision


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("bfloat16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_sums_are_made_in_float32_at_least(dtype, expected):
    assert precision.accumulation_dtype(dtype) == expected


def test_a_policy_holds_inside_even_if_that_fails():
    before = keras.config.dtype_policy()
    with pytest.raises(OSError), precision.policy("mixed_float16"):
        layer = keras.layers.Dense(1)
        raise OSError
    assert (layer.compute_dtype, layer.variable_dtype) == ("float16", "float32")
    assert keras.config.dtype_policy() == before
