"""Loss scaling, which keeps float16's small gradients from vanishing.

It replaces `keras.optimizers.LossScaleOptimizer`, which wraps an optimizer's
`apply` and fits neither trainer: it passes on no masks, it cannot act before
the chain from the coefficients' gradients to alpha's, where Eq. 11's penalty
joins, it merges replicas, which a tf.function on one of them may not, and its
scale has no bounds, so that it grows to infinity for good.
"""

import keras
import tensorflow as tf

INITIAL_SCALE = 2.0**15
SMALLEST_SCALE = 2.0**-14  # float16's smallest normal number
LARGEST_SCALE = 2.0**24
GOOD_STEPS = 2000  # as PyTorch and Keras have it


class LossScale(keras.layers.Layer):
    """A factor of the loss that follows what the gradients can bear.

    It is halved when a gradient is not finite, and that step is skipped; it is
    doubled after `good_steps` good steps in a row. It is always a power of 2,
    from `SMALLEST_SCALE` to `LARGEST_SCALE`, so that it rounds nothing.

    All is tensor code without a look at the host: replicas that have the same
    gradients, all-reduced, do the same.

    Args:
        good_steps: Number of good steps in a row before it is doubled.

    Attributes:
        scale: float32 scalar variable.
        count: int32 scalar variable, the number of good steps in a row.
    """

    def __init__(self, good_steps=GOOD_STEPS, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.good_steps = good_steps
        self.scale = self.add_weight(
            name="scale",
            shape=(),
            initializer=keras.initializers.Constant(INITIAL_SCALE),
            trainable=False,
        )
        self.count = self.add_weight(
            name="count",
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
        )
        self.built = True

    def scaled(self, x):
        """Returns a loss, or a gradient to go on from, times the scale.

        Args:
            x: float32, of any shape.
        """
        return x * tf.convert_to_tensor(self.scale)

    def unscale(self, gradients):
        """Divides gradients of a scaled loss by the scale.

        Args:
            gradients: Sequence of float32 tensors.

        Returns:
            List of the gradients, and whether all are finite, a bool scalar.
        """
        factor = 1.0 / tf.convert_to_tensor(self.scale)
        gradients = [g * factor for g in gradients]
        return gradients, tf.math.is_finite(tf.linalg.global_norm(gradients))

    def update(self, is_finite):
        """Moves the scale after a step, given the bool scalar of `unscale`."""
        scale = tf.convert_to_tensor(self.scale)
        count = tf.convert_to_tensor(self.count) + 1
        is_due = count >= self.good_steps
        good = tf.where(is_due, scale * 2.0, scale)
        moved = tf.where(is_finite, good, scale / 2.0)
        self.scale.assign(
            tf.clip_by_value(moved, SMALLEST_SCALE, LARGEST_SCALE)
        )
        self.count.assign(tf.where(is_finite & ~is_due, count, 0))

    def step(self, gradients, apply, variables):
        """Takes a step if the gradients are finite, and moves the scale.

        Must be called inside a tf.function.

        Args:
            gradients: Sequence of float32 tensors, scaled.
            apply: Callable of the list of gradients without the scale, which
                takes the step.
            variables: All variables that it assigns. They get their values
                back if the gradients are not finite. (With a `tf.cond` around
                the step optimizers could not merge replicas.)
        """
        gradients, is_finite = self.unscale(gradients)
        before = [tf.identity(tf.convert_to_tensor(v)) for v in variables]
        apply(gradients)
        for variable, old in zip(variables, before, strict=True):
            new = tf.convert_to_tensor(variable)
            variable.assign(tf.where(is_finite, new, old))
        self.update(is_finite)
