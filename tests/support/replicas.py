"""Steps on several logical devices against one; prints JSON.

python -m tests.support.replicas NUM_DEVICES

TensorFlow splits its devices when a process begins, so this is a program.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import parameters as parameters_lib
from entrannas_tf.architecture import search_space
from entrannas_tf.networks import supernet
from entrannas_tf.networks import target as target_network
from entrannas_tf.networks.execution import graphs
from entrannas_tf.networks.layers import batch_norm, fast
from entrannas_tf.retraining import step as retraining_step
from entrannas_tf.search import second_order
from entrannas_tf.search import step as search_step
from entrannas_tf.training import distribution, optimizers, strategies
from tests.support import toy_genotype

BATCH_SIZE = 16


class KeepGradients:
    """An optimizer that writes the gradients into the variables."""

    variables = ()

    def build(self, variables):
        pass

    def apply(self, gradients, variables, masks=None, factors=None):
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(gradient)


def freeze_batch_norms():
    """Makes batch norms the same whatever images stand in a batch."""

    def standardise(x, lanes):
        mean = 0.0 * lanes.means(x)
        return x * 1.0, mean, mean + 1.0

    def call(norm, x, training=False):
        return x * norm.scale + norm.offset

    def call_of_target(norm, x, training=False, mask=None):
        return x * norm.layer.gamma + norm.layer.beta

    batch_norm._standardise = standardise
    batch_norm.BatchNorm._fused = call
    fast.FusedBatchNorm.call = call_of_target


def batch(seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(BATCH_SIZE, 32, 32, 3)).astype(np.float32)
    return images, rng.integers(10, size=BATCH_SIZE).astype(np.int32)


def make_search(
    strategy, keeps_gradients=False, precision="float32", order=1, cache=None
):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        parameters = parameters_lib.Architecture(search_space.TINY, sparse=True)
        weights = supernet.Supernet(
            parameters.searched_space,
            3,
            10,
            num_cells=3,
            init_channels=4,
            stem="imagenet",
            precision=precision,
            cache=cache,
        )
        keep = KeepGradients() if keeps_gradients else None
        make_trainer, sgd = search_step.SearchTrainer, keep
        if order == 2:  # It asks for the weights' rate and momentum.
            make_trainer, sgd = second_order.SecondOrderTrainer, None
        return make_trainer(
            parameters,
            weights,
            keep or optimizers.CoupledAdam(0.01),
            sgd or optimizers.CoupledSGD(0.05),
            threshold_penalty=0.2,
            scale_losses=precision == "float16",
        )


def make_training(strategy, make_optimizer):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        network = target_network.TargetNetwork(
            toy_genotype.GENOTYPE,
            10,
            num_cells=3,
            init_channels=4,
        )
        trainer = retraining_step.RetrainTrainer(
            network, make_optimizer(), drop_path=True
        )
        trainer.drop_path_rate.assign(0.3)
        return trainer


def flat(variables):
    return np.concatenate([v.numpy().ravel() for v in variables])


def gradients(strategy, cache):
    """Returns those of alpha and beta, of weights, and of a training.

    The last are those of alpha and beta of second order. All super-nets share
    a `GraphCache`.
    """
    options = {"keeps_gradients": True, "cache": cache}
    trainer = make_search(strategy, **options)
    before = flat(trainer.supernet.trainable_variables)
    trainer.update_architecture(*distribution.deal_batch(strategy, batch(0)))
    found = [flat(trainer.architecture.trainable_variables)]
    assert np.array_equal(before, flat(trainer.supernet.trainable_variables))
    trainer = make_search(strategy, **options)
    trainer.update_weights(*distribution.deal_batch(strategy, batch(1)))
    found.append(flat(trainer.supernet.trainable_variables))
    trainer = make_training(strategy, KeepGradients)
    trainer.train_step(distribution.deal_batch(strategy, batch(2)))
    found.append(flat(trainer.training_network.trainable_variables))
    trainer = make_search(strategy, **options, order=2)
    parts = [distribution.deal_batch(strategy, batch(seed)) for seed in (0, 1)]
    trainer.update_architecture_ahead(*parts[0], *parts[1])
    found.append(flat(trainer.architecture.trainable_variables))
    return found


def spread(strategy, variables):
    """Returns the largest difference of a variable between replicas."""
    differences = []
    for variable in variables:
        first, *others = (
            v.numpy().astype(np.float64)
            for v in strategy.experimental_local_results(variable.value)
        )
        differences += [np.abs(first - o).max() for o in others if o.size]
    return max(differences)


@graphs.without_grappler()
def main(num_devices):
    """Returns what was found; on 2 devices also what one gives."""
    mirrored = strategies.make_strategy("mirrored", num_devices)
    alone = tf.distribute.get_strategy()
    numbers = {"replicas": mirrored.num_replicas_in_sync}
    strategies_used = (alone, mirrored) if num_devices == 2 else (mirrored,)
    trainers = {s: make_search(s) for s in strategies_used}
    for strategy, trainer in trainers.items():
        for step in range(2):
            parts = [
                distribution.deal_batch(strategy, batch(step + k))
                for k in (0, 10)
            ]
            trainer.train_step(parts)
        trainer.check_replicas()
    numbers["num_graphs"] = [
        t.supernet.cache.num_built for t in trainers.values()
    ]
    trainer = trainers[mirrored]
    held = [
        *trainer.architecture.variables,
        *trainer.supernet.variables,
        *trainer.architecture_optimizer.variables,
        *trainer.weight_optimizer.variables,
    ]
    numbers["search_spread"] = spread(mirrored, held)
    training = make_training(mirrored, optimizers.CoupledSGD)
    training.train_step(distribution.deal_batch(mirrored, batch(2)))
    held = [*training.network.variables, *training.sgd.variables]
    numbers["training_spread"] = spread(mirrored, held)
    alpha = trainer.architecture.trainable_variables[0]
    mirrored.experimental_local_results(alpha.value)[1].assign_add(
        tf.fill(alpha.shape, 1e-6)
    )
    try:
        trainer.check_replicas()
    except RuntimeError as error:
        numbers["came_apart"] = str(error)
    if num_devices > 2:  # It takes minutes.
        return numbers
    freeze_batch_norms()
    cache = graphs.GraphCache()
    numbers["gradients"] = [
        {
            "difference": float(np.abs(a - b).max()),
            "largest": float(np.abs(a).max()),
        }
        for a, b in zip(
            gradients(alone, cache), gradients(mirrored, cache), strict=True
        )
    ]
    return numbers


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
