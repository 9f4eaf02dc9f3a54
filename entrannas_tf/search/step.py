"""The search step: alpha and beta on one batch, weights on another."""

import functools
import zlib

import keras
import tensorflow as tf

from entrannas_tf.networks.execution import graphs, profiling
from entrannas_tf.networks.layers import dropout
from entrannas_tf.training import distribution, loss_scaling, losses


class SearchTrainer(keras.Model):
    """First-order bi-level search (sections 2.2 to 2.4).

    It is made, and steps are taken, in the scope of a `tf.distribute.Strategy`;
    all replicas then hold the same alpha, beta and weights at any time. Batch
    norms use the statistics of a replica's own images, and their moving
    statistics are the means over the replicas.

    Args:
        architecture: `parameters.Architecture`, alpha and beta.
        supernet: `supernet.Supernet`, the weights.
        architecture_optimizer: `optimizers.CoupledAdam` for alpha and beta.
        weight_optimizer: `optimizers.CoupledSGD` for the weights.
        threshold_penalty: lambda of Eq. 11; acts on EnTranNAS-DST only.
        scale_losses: Whether to scale the losses, which a super-net in float16
            needs. A step whose gradients are not finite is then skipped.
        skip_dropout_seed: Of the dropout behind skip connections; None for no
            dropout.

    Attributes:
        genotype: The current derivation, a `genotypes.Genotype`.
        holds_architecture: Whether alpha and beta stay as they are. Their step
            then measures its batch, forward only, and does no more.
        loss_scales: Dict of a `loss_scaling.LossScale` for each of the two
            steps, "architecture" and "weights"; empty unless `scale_losses`.
        skip_dropout: `dropout.SkipDropout`; None without.
    """

    def __init__(
        self,
        architecture,
        supernet,
        architecture_optimizer,
        weight_optimizer,
        threshold_penalty=0.0,
        scale_losses=False,
        skip_dropout_seed=None,
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
            f"{half}{name}": keras.metrics.Mean(name=f"{half}{name}")
            for half in ("validation_", "")
            for name in ("loss", "accuracy")
        }
        self.skip_dropout = None
        if skip_dropout_seed is not None:
            self.skip_dropout = dropout.SkipDropout(
                skip_dropout_seed, len(self.units)
            )
        self.genotype = None
        self.holds_architecture = False
        self._trail = 0
        self._relax_graph = distribution.graph(self._relax)
        self._draw_graphs = {
            target: distribution.graph(functools.partial(self._draw, number))
            for number, target in enumerate(("architecture", "weights"))
        }
        self._validation_graph = distribution.graph(
            functools.partial(self._count, "validation_")
        )
        self._architecture_graph = distribution.graph(self._step_architecture)
        self._weights_graph = distribution.graph(self._step_weights)
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

        To be called across replicas. Nothing is returned, as reading a number
        waits for the devices: `metrics` hold the means so far.

        Args:
            data: Pair of batches (images, labels): of the validation half,
                then of the training half. With several replicas each holds
                its share of the global batch.
        """
        validation_batch, training_batch = data
        self.update_architecture(*validation_batch)
        self.update_weights(*training_batch)

    def update_architecture(self, images, labels):
        """Takes a step on alpha and beta; no gradient is made for weights."""
        step, update = self._architecture_gradients, self._architecture_graph
        if self.holds_architecture:
            step, update = self._architecture_loss, self._validation_graph
        split = self._follow()
        found = self.distribute_strategy.run(
            step, (images, labels, split, self._drawn("architecture"))
        )
        with profiling.Part(profiling.UPDATE):
            self.distribute_strategy.run(update, found)

    def update_weights(self, images, labels):
        """Takes a step on the weights that the current derivation uses."""
        split = self._follow()
        found = self.distribute_strategy.run(
            self._weight_gradients,
            (images, labels, split, self._drawn("weights")),
        )
        with profiling.Part(profiling.UPDATE):
            self.distribute_strategy.run(self._weights_graph, found)

    def check_replicas(self):
        """Raises RuntimeError if replicas followed different derivations."""
        distribution.check_equal(
            self.distribute_strategy,
            self.architecture.trainable_variables,
            self._trail,
            "alpha and beta, or the same derivations",
        )

    def _follow(self):
        """Derives the genotype for all replicas; returns the coefficients.

        One replica's coefficients are read back. On all they are the same, as
        `check_replicas` sees by the checksum of all that were read.
        """
        coefficients, split = self.distribute_strategy.run(self._relax_graph)
        coefficients = distribution.first_local(
            self.distribute_strategy, coefficients
        )
        with profiling.Part(profiling.READING):
            values = _numpy(coefficients)
        for kind in sorted(values):
            self._trail = zlib.crc32(values[kind].tobytes(), self._trail)
        self.genotype = self.architecture.derive(values)
        return split

    def _relax(self):
        """Returns the coefficients, and split as the super-net takes them."""
        coefficients = self.architecture.coefficients()
        return coefficients, self.supernet.split(coefficients)

    def _drawn(self, target):
        """Returns what a step's runs drop, None for nothing."""
        if self.skip_dropout is None:
            return None
        return self.distribute_strategy.run(self._draw_graphs[target])

    def _draw(self, number):
        """Draws for one of an iteration's two steps, numbered from 0."""
        count = tf.convert_to_tensor(self.weight_optimizer.iterations)
        return self.skip_dropout.draw(2 * tf.cast(count, tf.int32) + number)

    @tf.function(autograph=False, jit_compile=False)
    def coefficients(self):
        """Returns dict by kind of cell of float32 [E, K]."""
        return self.architecture.coefficients()

    def derive(self, coefficients=None):
        """Returns the `Genotype` of these or the current coefficients."""
        if coefficients is None:
            coefficients = self.coefficients()
        return self.architecture.derive(_numpy(coefficients))

    def _architecture_gradients(
        self, images, labels, split, drawn, vectors=None
    ):
        """Runs one replica; returns what `_step_architecture` takes."""
        run = self.supernet.forward(
            images,
            split,
            self.genotype,
            wrt=("architecture",),
            vectors=vectors,
            drawn=drawn,
        )
        logits_gradient, loss, hits = self._measure(
            "architecture", run.logits, labels
        )
        gradients = run.gradients(logits_gradient, tf.nest.flatten(split))
        return gradients, loss, hits

    def _architecture_loss(self, images, labels, split, drawn):
        """Runs one replica forward; returns the loss and the hits."""
        run = self.supernet.forward(images, split, self.genotype, drawn=drawn)
        _, loss, hits = self._measure("architecture", run.logits, labels)
        return loss, hits

    def _weight_gradients(self, images, labels, split, drawn):
        """Runs one replica; returns what `_step_weights` takes."""
        run = self.supernet.forward(
            images, split, self.genotype, wrt=("weights",), drawn=drawn
        )
        logits_gradient, loss, hits = self._measure(
            "weights", run.logits, labels
        )
        gradients, masks = run.weight_gradients(logits_gradient, self.units)
        return gradients, masks, run.statistics(self.units), loss, hits

    def _measure(self, target, logits, labels):
        """Returns the loss's gradient to the logits, the loss, and the hits.

        float32 [B, num_classes], a scalar, and bool [B]. The loss is the mean
        over a replica's images; the gradient is scaled.
        """
        specs = [(tuple(t.shape), t.dtype) for t in (logits, labels)]
        graph = self.supernet.cache.get(
            ("measure", *specs), lambda: graphs.Graph(_measure, specs, ())
        )
        gradient, loss, hits = graph.forward(logits, labels)
        if self.loss_scales:
            gradient = self.loss_scales[target].scaled(gradient)
        return gradient, loss, hits

    def _step_architecture(self, gradients, loss, hits):
        """Steps on alpha and beta; the gradients are the coefficients'."""
        self._apply(
            "architecture",
            distribution.mean(gradients),
            self._apply_to_architecture,
            [
                *self.architecture.trainable_variables,
                *self.architecture_optimizer.variables,
            ],
        )
        self._count("validation_", loss, hits)

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
                loss += self.threshold_penalty * losses.threshold_penalty(t)
        gradients = tape.gradient(loss, [v.value for v in variables])
        self.architecture_optimizer.apply(gradients, variables)

    def _step_weights(self, gradients, masks, statistics, loss, hits):
        """Steps on the weights, and moves the batch norms' statistics."""
        self._apply(
            "weights",
            distribution.mean(gradients),
            lambda g: self.weight_optimizer.apply(g, self.vectors, masks),
            [*self.vectors, *self.weight_optimizer.variables],
        )
        self._move_statistics(statistics)
        self._count("", loss, hits)

    def _move_statistics(self, moved):
        """Assigns the units' statistics, their means over the replicas."""
        held = [unit.statistics for unit in self.units]
        if self.distribute_strategy.num_replicas_in_sync > 1:
            # Means of the changes: what did not move keeps its bits.
            before = [tf.convert_to_tensor(variable) for variable in held]
            pairs = zip(moved, before, strict=True)
            changes = distribution.mean([new - old for new, old in pairs])
            pairs = zip(before, changes, strict=True)
            moved = [old + change for old, change in pairs]
        for variable, value in zip(held, moved, strict=True):
            variable.assign(value)

    def _apply(self, target, gradients, apply, variables):
        """Calls `apply` of gradients, which moves variables."""
        if self.loss_scales:
            self.loss_scales[target].step(gradients, apply, variables)
        else:
            apply(gradients)

    def _count(self, half, loss, hits):
        self.search_metrics[f"{half}loss"].update_state(loss)
        self.search_metrics[f"{half}accuracy"].update_state(hits)


def _numpy(tensors):
    return {kind: tensor.numpy() for kind, tensor in tensors.items()}


def _measure(logits, labels):
    """Returns outputs and extras as `graphs.Graph` takes them."""
    loss = losses.cross_entropy(labels, logits)
    hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
    return [tf.gradients(loss, logits)[0], loss, hits], []
