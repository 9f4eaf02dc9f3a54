"""The types that networks compute in.

In half precision, which is bfloat16 or float16, features and convolutions are
of the half type. What adds up many numbers or many steps stays in float32:
weights and their momentum, the statistics of batch norms, alpha, beta and the
coefficients, logits and losses.
"""

import contextlib

import keras

_HALF = ("bfloat16", "float16")


def accumulation_dtype(dtype):
    """Returns the name of the type to add up in.

    Args:
        dtype: Name of a type: "float32" stands for a half one, another for
            itself.
    """
    return "float32" if dtype in _HALF else dtype


@contextlib.contextmanager
def policy(name):
    """Makes layers of a dtype policy, all those that name none of their own.

    Args:
        name: As in `keras.config.set_dtype_policy`: "float16" for a layer with
            weights of that type, which somebody keeps elsewhere in float32;
            "mixed_float16" for one that keeps them itself.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
