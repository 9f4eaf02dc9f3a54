"""The search step: alpha and beta on one batch, weights on another."""

import keras
import tensorflow as tf

from entrannas_tf import loss_scaling, objective


class SearchTrainer(keras.Model):
    """First-order bi-level search (sections 2.2 to 2.4).

    Args:
        architecture: `architecture.Architecture`, alpha and beta.
        supernet: `supernet.Supernet`, the weights.
        architecture_optimizer: `optimizers.CoupledAdam` for alpha and beta.
        weight_optimizer: `optimizers.CoupledSGD` for the weights.
        threshold_penalty: lambda of Eq. 11; acts on EnTranNAS-DST only.
        scale_losses: Whether to scale the losses, which a super-net in float16
            needs. A step whose gradients are not finite is then skipped.

    Attributes:
        genotype: The current derivation, a `genotypes.Genotype`.
        loss_scales: Dict of a `loss_scaling.LossScale` for each of the two
            steps, "architecture" and "weights"; empty unless `scale_losses`.
    """

    def __init__(
        self,
        architecture,
        supernet,
        architecture_optimizer,
        weight_optimizer,
        threshold_penalty=0.0,
        scale_losses=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.architecture = architecture
        self.supernet = supernet
        self.architecture_optimizer = architecture_optimizer
        self.weight_optimizer = weight_optimizer
        self.threshold_penalty = threshold_penalty
        self.loss_scales = {
            target: loss_scaling.LossScale()
            for target in (("architecture", "weights") if scale_losses else ())
        }
        self.units = supernet.units
        self.vectors = [unit.vector for unit in self.units]
        architecture_optimizer.build(architecture.trainable_variables)
        weight_optimizer.build(self.vectors)
        self.search_metrics = {
            f"{half}{name}": metric(name=f"{half}{name}")
            for half in ("validation_", "")
            for name, metric in (
                ("loss", keras.metrics.Mean),
                ("accuracy", keras.metrics.Mean),
            )
        }
        self.genotype = None
        self.built = True

    @property
    def metrics(self):
        return list(self.search_metrics.values())

    def call(self, images, training=False):
        """Returns the super-net's logits, float32 [B, num_classes]."""
        return self.supernet(
            images,
            coefficients=self.coefficients(),
            genotype=self.derive(),
            training=training,
        )

    def train_step(self, data):
        """One step for alpha and beta, then one for the weights.

        Args:
            data: Pair of batches (images, labels): of the validation half,
                then of the training half.

        Returns:
            Dict of the means so far: `validation_loss` and
            `validation_accuracy` from the step for alpha and beta, `loss` and
            `accuracy` from the step for the weights.
        """
        validation_batch, training_batch = data
        self.update_architecture(*validation_batch)
        self.update_weights(*training_batch)
        return {n: m.result() for n, m in self.search_metrics.items()}

    def update_architecture(self, images, labels):
        """Takes a step on alpha and beta; no gradient is made for weights."""
        coefficients, split = self._relax()
        self.genotype = self.derive(coefficients)
        run = self.supernet.forward(
            images, split, self.genotype, "architecture"
        )
        logits_gradient = self._measure("architecture", labels, run.logits)
        gradients = run.gradients(logits_gradient, tf.nest.flatten(split))
        self._step_architecture(tf.nest.pack_sequence_as(split, gradients))

    def update_weights(self, images, labels):
        """Takes a step on the weights that the current derivation uses."""
        coefficients, split = self._relax()
        self.genotype = self.derive(coefficients)
        run = self.supernet.forward(images, split, self.genotype, "weights")
        logits_gradient = self._measure("weights", labels, run.logits)
        gradients, masks = run.weight_gradients(logits_gradient, self.units)
        self._step_weights(gradients, masks)
        run.move_statistics(self.units)

    @tf.function(autograph=False, jit_compile=False)
    def _relax(self):
        """Returns the coefficients, and split as the super-net takes them."""
        coefficients = self.architecture.coefficients()
        return coefficients, self.supernet.split(coefficients)

    @tf.function(autograph=False, jit_compile=False)
    def coefficients(self):
        """Returns dict by kind of cell of float32 [E, K]."""
        return self.architecture.coefficients()

    def derive(self, coefficients=None):
        """Returns the `Genotype` of these or the current coefficients."""
        if coefficients is None:
            coefficients = self.coefficients()
        return self.architecture.derive(
            {kind: c.numpy() for kind, c in coefficients.items()}
        )

    @tf.function(autograph=False, jit_compile=False)
    def _measure(self, target, labels, logits):
        """Adds to the metrics; returns the loss's gradient to the logits."""
        half = "validation_" if target == "architecture" else ""
        loss = objective.cross_entropy(labels, logits)
        hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
        self.search_metrics[f"{half}loss"].update_state(loss)
        self.search_metrics[f"{half}accuracy"].update_state(hits)
        (gradient,) = tf.gradients(loss, logits)
        if self.loss_scales:
            gradient = self.loss_scales[target].scaled(gradient)
        return gradient

    @tf.function(autograph=False, jit_compile=False)
    def _step_architecture(self, coefficient_gradients):
        gradients = tf.nest.flatten(coefficient_gradients)
        if self.loss_scales:
            scale = self.loss_scales["architecture"]
            scale.step(gradients, self._apply_to_architecture)
        else:
            self._apply_to_architecture(gradients)

    def _apply_to_architecture(self, coefficient_gradients):
        """Goes on from the coefficients' gradients to alpha's and beta's."""
        variables = self.architecture.trainable_variables
        with tf.GradientTape() as tape:
            coefficients = self.supernet.split(self.architecture.coefficients())
            pairs = zip(
                tf.nest.flatten(coefficients),
                coefficient_gradients,
                strict=True,
            )
            loss = tf.add_n([tf.reduce_sum(c * g) for c, g in pairs])
            for t in self.architecture.thresholds().values():
                loss += self.threshold_penalty * objective.threshold_penalty(t)
        gradients = tape.gradient(loss, [v.value for v in variables])
        self.architecture_optimizer.apply(gradients, variables)

    @tf.function(autograph=False, jit_compile=False)
    def _step_weights(self, gradients, masks):
        def apply(gradients):
            self.weight_optimizer.apply(gradients, self.vectors, masks)

        if self.loss_scales:
            self.loss_scales["weights"].step(gradients, apply)
        else:
            apply(gradients)
