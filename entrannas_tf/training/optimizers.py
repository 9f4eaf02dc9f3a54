"""PyTorch's optimizers, which DARTS uses: L2 is part of the gradient.

With several replicas each calls `apply` with the same gradients, those of the
global batch.
"""

import keras
import tensorflow as tf


class CoupledSGD(keras.optimizers.Optimizer):
    """SGD with momentum and L2, which may touch masked-in entries only.

    v = momentum * v + g + weight_decay * w, w = w - learning_rate * v. It
    replaces Keras's own, which has the rate inside v, a difference when the
    rate falls, and a decoupled `weight_decay`.

    Args:
        learning_rate: Step size, above 0.
        momentum: 0 to 1.
        weight_decay: Factor of the L2 term, coupled (part of the gradient).
        clip_norm: Largest global norm of the gradients before the L2 term.
    """

    def __init__(
        self,
        learning_rate=0.025,
        momentum=0.9,
        weight_decay=3e-4,
        clip_norm=5.0,
        name="coupled_sgd",
    ):
        super().__init__(learning_rate=learning_rate, name=name)
        self.momentum = momentum
        self.coupled_decay = weight_decay
        self.clip_norm = clip_norm

    def build(self, variables):
        """Makes a momentum for each variable."""
        if self.built:
            return
        super().build(variables)
        self.momentums = [
            self.add_variable_from_reference(v, name="momentum")
            for v in variables
        ]

    def apply(self, gradients, variables, masks=None, factors=None):
        """Takes one step.

        Args:
            gradients: Sequence of float32 tensors, one a variable.
            variables: The variables that `build` got, in that order.
            masks: Sequence of bool tensors of the same shapes; None for all
                entries. Entries outside a mask keep value and momentum: the
                weights of a connection that is not derived do not decay.
            factors: Sequence of numbers, the factor of each variable's
                learning rate; None for 1.

        Returns:
            float32 scalar, the global norm of the gradients before clipping.
        """
        gradients, norm = tf.clip_by_global_norm(gradients, self.clip_norm)
        rate = tf.cast(self.learning_rate, tf.float32)
        masks = masks or [None] * len(variables)
        factors = factors or [1.0] * len(variables)
        for gradient, variable, velocity, mask, factor in zip(
            gradients, variables, self.momentums, masks, factors, strict=True
        ):
            w, v = (
                tf.convert_to_tensor(variable),
                tf.convert_to_tensor(velocity),
            )
            new_v = self.momentum * v + gradient + self.coupled_decay * w
            new_w = w - factor * rate * new_v
            if mask is not None:
                new_v = tf.where(mask, new_v, v)
                new_w = tf.where(mask, new_w, w)
            velocity.assign(new_v)
            variable.assign(new_w)
        self.iterations.assign_add(1)
        return norm

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": float(self.learning_rate),
            "momentum": self.momentum,
            "weight_decay": self.coupled_decay,
            "clip_norm": self.clip_norm,
        }


class CoupledAdam(keras.optimizers.Adam):
    """Adam whose L2 term is part of the gradient, as DARTS's.

    In Keras's own, `weight_decay` is decoupled (AdamW).

    Args:
        learning_rate: Step size, above 0.
        beta_1: Decay of the gradient's mean, 0 to 1.
        beta_2: Decay of the gradient's second moment, 0 to 1.
        weight_decay: Factor of the L2 term.
    """

    def __init__(
        self,
        learning_rate=6e-4,
        beta_1=0.5,
        beta_2=0.999,
        weight_decay=1e-3,
        name="coupled_adam",
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon=1e-8, name=name)
        self.coupled_decay = weight_decay

    def apply(self, gradients, variables):
        """Takes one step; the gradients are the same on all replicas."""
        count = tf.distribute.get_replica_context().num_replicas_in_sync
        if count > 1:  # Keras adds them up.
            gradients = [gradient / count for gradient in gradients]
        super().apply(gradients, variables)

    def update_step(self, gradient, variable, learning_rate):
        gradient = gradient + self.coupled_decay * tf.convert_to_tensor(
            variable
        )
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {
            "name": self.name,
            "learning_rate": float(self.learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "weight_decay": self.coupled_decay,
        }
