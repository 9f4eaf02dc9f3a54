"""The training step of a network, whatever its task."""

import keras
import tensorflow as tf

from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.execution import profiling
from entrannas_tf.networks.layers import batch_norm
from entrannas_tf.retraining import classification
from entrannas_tf.training import distribution, loss_scaling


class RetrainTrainer(keras.Model):
    """Trains a network from scratch, or from the weights that it has.

    Create it, and take steps, in the scope of a `tf.distribute.Strategy`.

    Args:
        network: A `target_network.TargetNetwork`, or that of another task.
        sgd: `optimizers.CoupledSGD`.
        label_smoothing: Smoothing of the labels, from 0 to below 1.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 for no
            auxiliary head.
        drop_path: Whether paths may be dropped.
        seed: Seed of the dropped paths.
        scale_losses: Whether to scale the losses, as float16 requires. A step
            whose gradients are not finite is then skipped.
        jit_compile: Whether XLA compiles the network's forward and backward
            pass, without the replicas' communication. It pays on GPUs alone.
        task: `task.Task` of the network.
        rate_factor: Maps the path of a weight to the factor of its learning
            rate; None for 1.

    Attributes:
        network: The network given; its weights are trained.
        training_network: `target_network.training_network` of it, which steps
            run.
        loss_scales: {"weights": `loss_scaling.LossScale`}; empty unless
            `scale_losses`.
    """

    def __init__(
        self,
        network,
        sgd,
        label_smoothing=0.0,
        auxiliary_weight=0.4,
        drop_path=False,
        seed=0,
        scale_losses=False,
        jit_compile=False,
        task=classification.TASK,
        rate_factor=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.network = network
        self.task = task
        self._drops_paths = drop_path
        self.training_network = target_network.training_network(
            network, auxiliary_weight > 0, drop_path, seed
        )
        self.sgd = sgd
        self.label_smoothing = label_smoothing
        self.auxiliary_weight = auxiliary_weight
        self.loss_scales = {}
        if scale_losses:
            self.loss_scales = {"weights": loss_scaling.LossScale()}
        self._run = self._differentiate
        if jit_compile:
            self._run = tf.function(
                self._differentiate, autograph=False, jit_compile=True
            )
        variables = self.training_network.trainable_variables
        sgd.build(variables)
        self._rate_factors = None
        if rate_factor is not None:
            self._rate_factors = [rate_factor(v.path) for v in variables]
        self.epoch_metrics = {
            name: keras.metrics.Mean(name=name) for name in ("loss", "accuracy")
        }
        self._step_graph = distribution.graph(self._step)
        self.test_step = distribution.graph(self.test_step, any_shape=True)
        self.built = True

    @property
    def drop_path_rate(self):
        """The variable of `dropout.DropPath`, or None without drop path."""
        if not self._drops_paths:
            return None
        return self.training_network.get_layer(target_network.DROP_PATH).rate

    @property
    def metrics(self):
        return list(self.epoch_metrics.values())

    def call(self, images, training=False):
        """Returns the network's logits, float32 [B, ..., num_classes]."""
        return self.network(images, training=training)

    def train_step(self, data):
        """Takes a step on the weights.

        Call it in cross-replica context. Nothing is returned, as reading a
        number waits for the devices: `metrics` hold the epoch's mean accuracy
        and mean loss, without the auxiliary head's.

        Args:
            data: Pair of images, float32 [B, H, W, C], and the task's labels.
                With several replicas each holds its share of the global batch.
        """
        with profiling.Part(profiling.GRAPHS):  # The update is part of it.
            self.distribute_strategy.run(self._step_graph, data)

    def _step(self, images, labels):
        count = self.task.num_labelled(labels)
        if count is not None:
            (count,) = distribution.mean([count])
        logits, loss, gradients = self._run(images, labels, count)
        gradients = distribution.mean(gradients)
        if self.loss_scales:
            self.loss_scales["weights"].step(
                gradients,
                self._update,
                [
                    *self.training_network.trainable_variables,
                    *self.sgd.variables,
                ],
            )
        else:
            self._update(gradients)
        self._average_statistics()
        hits, weights = self.task.hits(labels, logits)
        self.epoch_metrics["loss"].update_state(loss)
        self.epoch_metrics["accuracy"].update_state(hits, weights)

    def _update(self, gradients):
        variables = self.training_network.trainable_variables
        self.sgd.apply(gradients, variables, factors=self._rate_factors)

    def _average_statistics(self):
        """Makes the batch norms' moving statistics equal on all replicas."""
        if self.distribute_strategy.num_replicas_in_sync > 1:
            moved = [
                variable
                for variable in self.training_network.non_trainable_variables
                if variable.name in batch_norm.STATISTICS
            ]
            values = [tf.convert_to_tensor(variable) for variable in moved]
            means = distribution.mean(values)
            for variable, value in zip(moved, means, strict=True):
                variable.assign(value)

    def test_step(self, images, labels, weights):
        """Measures the network, with its moving statistics.

        Args:
            images: float32 [B, H, W, C].
            labels: Of the task.
            weights: float32 [B], the weight of each image.

        Returns:
            The sums of the task's `measure`.
        """
        logits = self.network(images, training=False)
        return self.task.measure(labels, logits, weights)

    def _differentiate(self, images, labels, count):
        """Returns the logits, the loss, and the weights' scaled gradients."""
        variables = self.training_network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.training_network(images, training=True)
            losses = {
                head: self.task.loss(
                    labels, logits, self.label_smoothing, count
                )
                for head, logits in outputs.items()
            }
            total = losses["logits"]
            if "auxiliary_logits" in losses:
                total += self.auxiliary_weight * losses["auxiliary_logits"]
            if self.loss_scales:
                total = self.loss_scales["weights"].scaled(total)
        gradients = tape.gradient(total, [v.value for v in variables])
        return outputs["logits"], losses["logits"], gradients
