"""DARTS's second order: alpha's step looks one step of the weights ahead.

Liu et al., "DARTS: Differentiable Architecture Search", 2019, section 2.3. Of
the weights w, the training loss falls along g = dL_train(w, alpha) / dw. Alpha
goes down the validation loss of the weights w' after that step, which depend
on alpha themselves. The matrix of second derivatives that this brings in is
never made: its product with a vector is a difference of two gradients.
"""

import tensorflow as tf

from entrannas_tf.networks.execution import profiling
from entrannas_tf.search import step as search_step
from entrannas_tf.training import distribution

_WIDTH = 0.01  # DARTS, footnote of section 2.3: times the gradient's norm.


def look_ahead(weights, velocity, gradient, rate, momentum, weight_decay):
    """Returns the weights w' after one step of SGD (within Eq. 7 of DARTS).

    The gradient is not clipped, as in the authors' program.

    Args:
        weights: float32 [n], w.
        velocity: float32 [n], the momentum's.
        gradient: float32 [n], g, of the training loss.
        rate: Step size, xi.
        momentum: 0 to 1.
        weight_decay: Factor of the L2 term.
    """
    step = momentum * velocity + gradient + weight_decay * weights
    return weights - rate * step


def width(gradients):
    """Returns epsilon, half a difference's width (within Eq. 8 of DARTS).

    Args:
        gradients: Sequence of float32 [n], of the validation loss to w'.

    Returns:
        float32 scalar, 0 where the gradients are all 0.
    """
    return tf.math.divide_no_nan(_WIDTH, tf.linalg.global_norm(gradients))


def second_derivative(above, below, epsilon):
    """Returns the matrix-vector product as a difference (DARTS, Eq. 8).

    Args:
        above: float32, the training loss's gradient to coefficients, of any
            shape, at w + epsilon * dL_val(w', alpha) / dw'.
        below: The same at w - epsilon times that.
        epsilon: float32 scalar, from `width`.
    """
    return tf.math.divide_no_nan(above - below, 2.0 * epsilon)


def total_gradient(direct, product, rate):
    """Returns the gradient through both ways to the loss (DARTS, Eq. 7).

    Args:
        direct: float32, dL_val(w', alpha) / dalpha, w' being held.
        product: float32 of that shape, from `second_derivative`.
        rate: Step size, xi.
    """
    return direct - rate * product


class SecondOrderTrainer(search_step.SearchTrainer):
    """A search whose steps on alpha and beta are of second order.

    It costs another three runs of the super-net, there and back, a step: 2.4
    times the time of first order, measured on EnTranNAS's super-net. All acts
    through the coefficients, so the gradients are those to coefficients until
    the last. Weights that the current derivation leaves out have no gradient,
    and do not take part. The validation loss that is reported is that of the
    weights w'.

    It needs float32: in half precision w + epsilon * ... is rounded to w.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._look_ahead_graph = distribution.graph(self._look_ahead)
        self._look_aside_graph = distribution.graph(self._look_aside)
        self._total_graph = distribution.graph(self._total)

    def train_step(self, data):
        validation_batch, training_batch = data
        self.update_architecture_ahead(*validation_batch, *training_batch)
        self.update_weights(*training_batch)

    def update_architecture_ahead(
        self, images, labels, training_images, training_labels
    ):
        """Takes a step on alpha and beta; weights and statistics stay.

        Args:
            images: float32 [B, H, W, C], of the validation half.
            labels: int32 [B].
            training_images: float32 [B, H, W, C], of the training half.
            training_labels: int32 [B].
        """
        self._run_half(
            self._step_architecture_ahead,
            self._follow(),
            (images, labels),
            (training_images, training_labels),
        )

    def _step_architecture_ahead(self, coefficients, validation, training):
        on_replicas = self.distribute_strategy.run
        drawn = self._drawn("architecture")
        training = (coefficients, *training, drawn)
        by_weights, *_ = on_replicas(self._weight_gradients, training)
        ahead = on_replicas(self._look_ahead_graph, (by_weights,))
        by_weights, direct, loss, hits = on_replicas(
            self._both_gradients, (coefficients, *validation, drawn, ahead)
        )
        above, below, epsilon = on_replicas(
            self._look_aside_graph, (by_weights,)
        )
        sides = [
            on_replicas(self._architecture_gradients, (*training, weights))[0]
            for weights in (above, below)
        ]
        with profiling.Part(profiling.UPDATE):
            gradients = on_replicas(
                self._total_graph, (direct, *sides, epsilon)
            )
            on_replicas(
                self._apply_to_architecture_graph, (gradients, loss, hits)
            )

    def _rate(self):
        return tf.cast(self.weight_optimizer.learning_rate, tf.float32)

    def _look_ahead(self, gradients):
        """Returns w', the same on all replicas, a list of float32 [n]."""
        sgd = self.weight_optimizer
        return [
            look_ahead(
                tf.convert_to_tensor(weights),
                tf.convert_to_tensor(velocity),
                gradient,
                self._rate(),
                sgd.momentum,
                sgd.coupled_decay,
            )
            for weights, velocity, gradient in zip(
                self.supernet.trainable_variables,
                sgd.momentums,
                distribution.mean(gradients),
                strict=True,
            )
        ]

    def _both_gradients(self, coefficients, images, labels, drawn, weights):
        """Runs one replica at w'.

        Returns:
            The loss's gradients to the weights and to the coefficients, the
            loss, and the hits.
        """
        forward, loss_gradient, loss, hits = self._forward(
            "architecture",
            coefficients,
            images,
            labels,
            drawn,
            wrt=("weights", "architecture"),
            weights=weights,
        )
        return *forward.gradients(loss_gradient), loss, hits

    def _look_aside(self, gradients):
        """Returns the weights on both sides of w, and epsilon.

        Two lists of float32 [n] and a scalar, the same on all replicas.
        """
        gradients = distribution.mean(gradients)
        epsilon = width(gradients)
        pairs = [
            (tf.convert_to_tensor(weights), epsilon * gradient)
            for weights, gradient in zip(
                self.supernet.trainable_variables, gradients, strict=True
            )
        ]
        return [w + d for w, d in pairs], [w - d for w, d in pairs], epsilon

    def _total(self, direct, above, below, epsilon):
        """Returns a replica's gradients to the coefficients, by kind."""
        return {
            kind: total_gradient(
                gradient,
                second_derivative(above[kind], below[kind], epsilon),
                self._rate(),
            )
            for kind, gradient in direct.items()
        }
