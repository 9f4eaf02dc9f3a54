"""The search step: alpha and beta on one batch, weights on another."""

import functools
import zlib

import keras
import tensorflow as tf

from entrannas_tf.networks.execution import profiling
from entrannas_tf.networks.layers import dropout
from entrannas_tf.training import distribution, loss_scaling, losses


class SearchTrainer(keras.Model):
    """First-order bi-level search (sections 2.2 to 2.4).

    It is made, and steps are taken, in the scope of a `tf.distribute.Strategy`;
    all replicas then hold the same alpha, beta and weights at any time. Batch
    norms use the statistics of a replica's own images, and their moving
    statistics are the means over the replicas.

    The forward and backward passes of half a step are a chain of graphs, see
    `networks.execution`. When a derivation stays, each half becomes one graph
    for all replicas, which computes the same.

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
        graph_after_steps: Number of steps with the same derivation after which
            a step becomes a graph of its own; 0 for never.

    Attributes:
        genotype: The current derivation, a `genotypes.Genotype`.
        holds_architecture: Whether alpha and beta stay as they are. Their step
            then measures its batch, forward only, and does no more.
        loss_scales: Dict of a `loss_scaling.LossScale` for each of the two
            steps, "architecture" and "weights"; empty unless `scale_losses`.
        skip_dropout: `dropout.SkipDropout`; None without.
        graph_after_steps: As given.
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
        graph_after_steps=0,
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
        architecture_optimizer.build(architecture.trainable_variables)
        weight_optimizer.build(supernet.trainable_variables)
        self.search_metrics = {
            f"{half}{name}": keras.metrics.Mean(name=f"{half}{name}")
            for half in ("validation_", "")
            for name in ("loss", "accuracy")
        }
        self.skip_dropout = None
        if skip_dropout_seed is not None:
            self.skip_dropout = dropout.SkipDropout(skip_dropout_seed)
        self.genotype = None
        self.holds_architecture = False
        self._checksum = 0
        self.graph_after_steps = graph_after_steps
        self._num_followed = 0
        self._whole_graphs = {}  # Of halves of a step, for this derivation.
        self._coefficients_graph = distribution.graph(architecture.coefficients)
        self._draw_graph = distribution.graph(self._draw)
        self._count_validation_graph = distribution.graph(
            functools.partial(self._count, "validation_")
        )
        self._apply_to_architecture_graph = distribution.graph(
            self._apply_to_architecture
        )
        self._apply_to_weights_graph = distribution.graph(
            self._apply_to_weights
        )
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
        step = self._step_architecture
        if self.holds_architecture:
            step = self._measure_architecture
        self._run_half(step, self._follow(), images, labels)

    def update_weights(self, images, labels):
        """Takes a step on the weights that the current derivation uses."""
        self._run_half(self._step_weights, self._follow(), images, labels)

    def check_replicas(self):
        """Raises RuntimeError if replicas followed different derivations."""
        distribution.check_equal(
            self.distribute_strategy,
            self.architecture.trainable_variables,
            self._checksum,
            "alpha and beta, or the same derivations",
        )

    @tf.function(autograph=False, jit_compile=False)
    def coefficients(self):
        """Returns dict by kind of cell of float32 [E, K]."""
        return self.architecture.coefficients()

    def derive(self, coefficients=None):
        """Returns the `Genotype` of these or the current coefficients."""
        if coefficients is None:
            coefficients = self.coefficients()
        return self.architecture.derive(_numpy(coefficients))

    def _follow(self):
        """Derives the genotype that all replicas run next (Eqs. 4 and 10).

        One replica's coefficients are read back. On all they are the same, as
        `check_replicas` sees by the checksum of all that were read.

        Returns:
            The coefficients of each replica, {kind of cell: float32 [E, K]}.
        """
        coefficients = self.distribute_strategy.run(self._coefficients_graph)
        local = distribution.first_local(self.distribute_strategy, coefficients)
        with profiling.Part(profiling.READING):
            values = _numpy(local)
        for kind in sorted(values):
            self._checksum = zlib.crc32(values[kind].tobytes(), self._checksum)
        genotype = self.architecture.derive(values)
        self._num_followed += 1
        if genotype != self.genotype:
            self.genotype = genotype
            self._num_followed = 0
            self._whole_graphs.clear()
        return coefficients

    def _run_half(self, half_step, *tensors):
        """Runs half a step, as one graph if its derivation has stayed.

        Args:
            half_step: Method of the tensors, to be called across replicas.
            *tensors: Its arguments.
        """
        steps = self.graph_after_steps
        if not steps or self._num_followed < 2 * steps:  # Two halves a step.
            half_step(*tensors)
            return
        name = half_step.__name__
        if name not in self._whole_graphs:
            self._whole_graphs[name] = distribution.graph(half_step)
        with profiling.Part(profiling.GRAPHS):
            self._whole_graphs[name](*tensors)

    def _step_architecture(self, *tensors):
        self._step(
            "architecture",
            self._architecture_gradients,
            self._apply_to_architecture_graph,
            tensors,
        )

    def _measure_architecture(self, *tensors):
        self._step(
            "architecture",
            self._architecture_loss,
            self._count_validation_graph,
            tensors,
        )

    def _step_weights(self, *tensors):
        self._step(
            "weights",
            self._weight_gradients,
            self._apply_to_weights_graph,
            tensors,
        )

    def _step(self, half, run, update, tensors):
        """Runs the replicas; updates all of them by what they return.

        Args:
            half: "architecture" or "weights".
            run: Method for one replica of the tensors and the dropout.
            update: Graph of what it returns.
            tensors: The coefficients, the images, the labels.
        """
        on_replicas = self.distribute_strategy.run
        found = on_replicas(run, (*tensors, self._drawn(half)))
        with profiling.Part(profiling.UPDATE):
            on_replicas(update, found)

    def _drawn(self, half):
        """Returns the dropout of each replica, None without."""
        if self.skip_dropout is None:
            return None
        return self.distribute_strategy.run(self._draw_graph, (half,))

    def _architecture_gradients(
        self, coefficients, images, labels, drawn, weights=None
    ):
        """Runs one replica; returns what `_apply_to_architecture` takes."""
        forward, loss_gradient, loss, hits = self._forward(
            "architecture",
            coefficients,
            images,
            labels,
            drawn,
            wrt=("architecture",),
            weights=weights,
        )
        _, gradients = forward.gradients(loss_gradient)
        return gradients, loss, hits

    def _architecture_loss(self, coefficients, images, labels, drawn):
        """Runs one replica forward; returns the loss and the hits."""
        _, _, loss, hits = self._forward(
            "architecture", coefficients, images, labels, drawn
        )
        return loss, hits

    def _weight_gradients(self, coefficients, images, labels, drawn):
        """Runs one replica; returns what `_apply_to_weights` takes."""
        forward, loss_gradient, loss, hits = self._forward(
            "weights", coefficients, images, labels, drawn, wrt=("weights",)
        )
        gradients, _ = forward.gradients(loss_gradient)
        return gradients, forward.used(), forward.statistics(), loss, hits

    def _forward(
        self, half, coefficients, images, labels, drawn, wrt=(), weights=None
    ):
        """Runs the super-net on one replica.

        Args:
            half: "architecture" or "weights", the half of a step.
            coefficients: {kind of cell: float32 [E, K]}.
            images: float32 [B, H, W, C].
            labels: int32 [B].
            drawn: Dropout as for `supernet.Supernet.forward`.
            wrt: Gradients to ask for, as for `supernet.Supernet.forward`.
            weights: Weights to run with, None for the super-net's own.

        Returns:
            The `engine.ForwardPass`; the loss's gradient to the logits, scaled,
            float32 [B, num_classes]; the loss, the mean over the replica's
            images; and bool [B], whether the largest logit is the label's.
        """
        forward = self.supernet.forward(
            images,
            coefficients,
            self.genotype,
            wrt=wrt,
            weights=weights,
            skip_dropout=drawn,
        )
        loss_gradient, loss, hits = _measure(forward.logits, labels)
        if self.loss_scales:
            loss_gradient = self.loss_scales[half].scaled(loss_gradient)
        return forward, loss_gradient, loss, hits

    def _draw(self, half):
        step = tf.convert_to_tensor(self.weight_optimizer.iterations)
        is_second = ("architecture", "weights").index(half)
        return self.skip_dropout.draw(2 * tf.cast(step, tf.int32) + is_second)

    def _apply_to_architecture(self, gradients, loss, hits):
        """Goes on from the coefficients' gradients to alpha and beta."""
        kinds = sorted(gradients)
        means = distribution.mean([gradients[kind] for kind in kinds])
        variables = self.architecture.trainable_variables

        def take_step(means):
            with tf.GradientTape() as tape:
                coefficients = self.architecture.coefficients()
                products = [
                    tf.reduce_sum(coefficients[kind] * mean)
                    for kind, mean in zip(kinds, means, strict=True)
                ]
                objective = tf.add_n(products)
                for t in self.architecture.thresholds().values():
                    penalty = losses.threshold_penalty(t)
                    objective += self.threshold_penalty * penalty
            found = tape.gradient(objective, [v.value for v in variables])
            self.architecture_optimizer.apply(found, variables)

        moved = [*variables, *self.architecture_optimizer.variables]
        self._scale_and_step("architecture", means, take_step, moved)
        self._count("validation_", loss, hits)

    def _apply_to_weights(self, gradients, used, statistics, loss, hits):
        """Steps on the weights, and moves the batch norms' statistics."""
        variables = self.supernet.trainable_variables
        self._scale_and_step(
            "weights",
            distribution.mean(gradients),
            lambda g: self.weight_optimizer.apply(g, variables, used),
            [*variables, *self.weight_optimizer.variables],
        )
        self._move_statistics(statistics)
        self._count("", loss, hits)

    def _move_statistics(self, moved):
        """Assigns the batch norms' statistics, their means over replicas."""
        held = self.supernet.non_trainable_variables
        if self.distribute_strategy.num_replicas_in_sync > 1:
            # Means of the changes: what did not move keeps its bits.
            before = [tf.convert_to_tensor(variable) for variable in held]
            pairs = zip(moved, before, strict=True)
            changes = distribution.mean([new - old for new, old in pairs])
            pairs = zip(before, changes, strict=True)
            moved = [old + change for old, change in pairs]
        for variable, value in zip(held, moved, strict=True):
            variable.assign(value)

    def _scale_and_step(self, half, gradients, take_step, variables):
        """Takes a step that moves variables, perhaps with a scaled loss."""
        if self.loss_scales:
            self.loss_scales[half].step(gradients, take_step, variables)
        else:
            take_step(gradients)

    def _count(self, prefix, loss, hits):
        self.search_metrics[f"{prefix}loss"].update_state(loss)
        self.search_metrics[f"{prefix}accuracy"].update_state(hits)


def _numpy(tensors):
    return {kind: tensor.numpy() for kind, tensor in tensors.items()}


@tf.function(autograph=False, jit_compile=False)
def _measure(logits, labels):
    """Returns the loss's gradient to the logits, the loss, and the hits."""
    loss = losses.cross_entropy(labels, logits)
    hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
    return tf.gradients(loss, logits)[0], loss, hits
