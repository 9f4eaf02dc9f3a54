"""A trainer of the search that learns nothing, fast.

Its alpha walks as the batches say, so that it ends elsewhere if a batch is
missed or seen twice.
"""

import types

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.architecture import parameters
from entrannas_tf.config import search as search_config
from entrannas_tf.training import optimizers

NUM_STEPS = 3


class ToyTrainer:
    """What a search loop needs of a `search_step.SearchTrainer`."""

    def __init__(self, sparse=False):
        keras.utils.set_random_seed(0)
        self.architecture = parameters.Architecture(sparse=sparse)
        unit = keras.layers.Dense(2)
        unit.build((None, 3))
        cache = types.SimpleNamespace(num_built=0, build_seconds=0.0)
        self.kernel = unit.kernel
        self.supernet = types.SimpleNamespace(
            variables=unit.variables, cache=cache
        )
        self.architecture_optimizer = optimizers.CoupledAdam()
        self.architecture_optimizer.build(self.architecture.trainable_variables)
        self.weight_optimizer = optimizers.CoupledSGD()
        self.weight_optimizer.build(unit.trainable_variables)
        self.metrics = [
            keras.metrics.Mean(name=f"{half}{name}")
            for half in ("validation_", "")
            for name in ("loss", "accuracy")
        ]
        self.loss_scales = {}
        self.skip_dropout = None
        self.genotype = None
        self.distribute_strategy = tf.distribute.get_strategy()

    def train_step(self, data):
        rng = np.random.default_rng(data)
        rate = float(self.weight_optimizer.learning_rate)
        for alpha in self.architecture.alpha.values():
            move = rng.normal(size=alpha.shape) * rate
            alpha.assign(0.9 * alpha + move * self.architecture.temperature)
        kernel = self.kernel
        kernel.assign(kernel + rng.normal(size=kernel.shape))
        self.weight_optimizer.momentums[0].assign(kernel * 0.1)
        for metric in self.metrics:
            metric.update_state(rng.uniform())
        self.genotype = self.derive()

    def check_replicas(self):
        pass

    def coefficients(self):
        return self.architecture.coefficients()

    def derive(self, coefficients=None):
        tensors = coefficients or self.coefficients()
        return self.architecture.derive(
            {kind: c.numpy() for kind, c in tensors.items()}
        )


def make_settings(**changes):
    """Returns a `SearchConfig` of two epochs that is not evaluated before."""
    values = {
        "epochs": 2,
        "batch_size": 4,
        "eval_every_epochs": 3,
        "weight_learning_rate": 1.0,
        "weight_decay": 0.0,
        "architecture_learning_rate": 2.0,
        "initial_temperature": 2.0,
        "temperature_decay": 0.5,
        "read_every_steps": 1,
        "checkpoint_every_steps": 2,
        "checkpoints_to_keep": 2,
    }
    return search_config.SearchConfig(**{**values, **changes})


def make_batches(epoch, step):
    """Returns the batches that are left of an epoch: mere seeds."""
    return [(epoch, s) for s in range(step, NUM_STEPS)]
