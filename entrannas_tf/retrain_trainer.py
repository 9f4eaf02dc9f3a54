"""The training step of a target network (sections 4.2 and 4.3)."""

import keras
import tensorflow as tf

from entrannas_tf import loss_scaling, objective


class RetrainTrainer(keras.Model):
    """Trains a target network from scratch.

    Args:
        network: `target_network.TargetNetwork`; its auxiliary head, if it has
            one, is trained along.
        sgd: `optimizers.CoupledSGD`.
        label_smoothing: Of the losses, from 0 to below 1.
        auxiliary_weight: Weight of the auxiliary head's loss.
        scale_losses: Whether to scale the losses, which a network in float16
            needs. A step whose gradients are not finite is then skipped.
        jit_compile: Whether XLA compiles the network's run, there and back;
            what replicas do together, it cannot. It pays on GPUs alone.

    Attributes:
        loss_scales: Dict of the `loss_scaling.LossScale`, "weights"; empty
            unless `scale_losses`.
    """

    def __init__(
        self,
        network,
        sgd,
        label_smoothing=0.0,
        auxiliary_weight=0.4,
        scale_losses=False,
        jit_compile=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.network = network
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
        sgd.build(network.trainable_variables)
        self.epoch_metrics = {
            name: keras.metrics.Mean(name=name) for name in ("loss", "accuracy")
        }
        self.built = True

    @property
    def metrics(self):
        return list(self.epoch_metrics.values())

    def call(self, images, training=False):
        """Returns the network's logits, float32 [B, num_classes]."""
        return self.network(images, training=training)

    @tf.function(autograph=False, jit_compile=False)
    def train_step(self, data):
        """Takes a step on the weights.

        Args:
            data: Pair of images, float32 [B, H, W, C], and labels, int32 [B].

        Returns:
            Dict of the means so far: `loss`, without the auxiliary head's, and
            `accuracy`.
        """
        images, labels = data
        logits, loss, gradients = self._run(images, labels)
        if self.loss_scales:
            self.loss_scales["weights"].step(gradients, self._apply)
        else:
            self._apply(gradients)
        hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
        self.epoch_metrics["loss"].update_state(loss)
        self.epoch_metrics["accuracy"].update_state(hits)
        return {n: m.result() for n, m in self.epoch_metrics.items()}

    @tf.function(autograph=False, jit_compile=False)
    def predict_step(self, images):
        """Returns logits, float32 [B, num_classes], in evaluation mode."""
        return self.network(images, training=False)

    def _differentiate(self, images, labels):
        """Returns the logits, the loss, and the weights' scaled gradients."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits, loss, auxiliary_loss = self._run_heads(images, labels)
            total = loss + self.auxiliary_weight * auxiliary_loss
            if self.loss_scales:
                total = self.loss_scales["weights"].scaled(total)
        return logits, loss, tape.gradient(total, [v.value for v in variables])

    def _apply(self, gradients):
        self.sgd.apply(gradients, self.network.trainable_variables)

    def _run_heads(self, images, labels):
        """Returns the logits, and the losses of both heads."""
        smoothing = self.label_smoothing
        if self.network.auxiliary_head is None:
            logits = self.network(images, training=True)
            auxiliary_loss = 0.0
        else:
            logits, auxiliary_logits = self.network(
                images, training=True, auxiliary=True
            )
            auxiliary_loss = objective.cross_entropy(
                labels, auxiliary_logits, smoothing
            )
        loss = objective.cross_entropy(labels, logits, smoothing)
        return logits, loss, auxiliary_loss
