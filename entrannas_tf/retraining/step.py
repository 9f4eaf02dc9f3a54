"""The training step of a target network (sections 4.2 and 4.3)."""

import keras
import tensorflow as tf

from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.execution import profiling
from entrannas_tf.networks.layers import batch_norm
from entrannas_tf.training import distribution, loss_scaling
from entrannas_tf.training import losses as losses_lib


class RetrainTrainer(keras.Model):
    """Trains a target network from scratch.

    Create it, and take steps, in the scope of a `tf.distribute.Strategy`.

    Args:
        network: A `target_network.TargetNetwork`.
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.network = network
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
        sgd.build(self.training_network.trainable_variables)
        self.epoch_metrics = {
            name: keras.metrics.Mean(name=name) for name in ("loss", "accuracy")
        }
        self._step_graph = distribution.graph(self._step)
        self.test_step = distribution.graph(self.test_step)
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
        """Returns the network's logits, float32 [B, num_classes]."""
        return self.network(images, training=training)

    def train_step(self, data):
        """Takes a step on the weights.

        Call it in cross-replica context. Nothing is returned, as reading a
        number waits for the devices: `metrics` hold the epoch's mean accuracy
        and mean loss, without the auxiliary head's.

        Args:
            data: Pair of images, float32 [B, H, W, C], and labels, int32 [B].
                With several replicas each holds its share of the global batch.
        """
        with profiling.Part(profiling.GRAPHS):  # The update is part of it.
            self.distribute_strategy.run(self._step_graph, data)

    def _step(self, images, labels):
        logits, loss, gradients = self._run(images, labels)
        variables = self.training_network.trainable_variables
        gradients = distribution.mean(gradients)
        if self.loss_scales:
            self.loss_scales["weights"].step(
                gradients,
                lambda g: self.sgd.apply(g, variables),
                [*variables, *self.sgd.variables],
            )
        else:
            self.sgd.apply(gradients, variables)
        self._average_statistics()
        hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
        self.epoch_metrics["loss"].update_state(loss)
        self.epoch_metrics["accuracy"].update_state(hits)

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
            labels: int32 [B].
            weights: float32 [B], the weight of each image.

        Returns:
            float32 [3]: weighted sums of the cross entropy in nats, the top-1
            and the top-5 accuracy of each image.
        """
        logits = self.network(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = [
            tf.cast(tf.math.in_top_k(labels, logits, k), losses.dtype)
            for k in (1, min(5, logits.shape[-1]))
        ]
        return tf.linalg.matvec(tf.stack([losses, *hits]), weights)

    def _differentiate(self, images, labels):
        """Returns the logits, the loss, and the weights' scaled gradients."""
        variables = self.training_network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.training_network(images, training=True)
            losses = {
                head: losses_lib.cross_entropy(
                    labels, logits, self.label_smoothing
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
