import numpy as np
import tensorflow as tf

from entrannas_tf.networks.execution import engine as engine_lib
from entrannas_tf.networks.execution import graphs
from entrannas_tf.networks.layers import blocks
from tests.support import toy_supernet


def test_layers_alike_share_a_graph():
    cache = graphs.GraphCache()
    x = tf.ones((2, 3, 3, 4))
    for name in ("one", "other"):
        layer = blocks.Conv1x1BN(4, 2, name=name)
        engine_lib.Engine(cache).graph(layer, (x,), True)
    assert cache.num_built == 1


def test_a_run_in_a_function_is_that_of_the_chain():
    """A search runs so when a derivation stays."""
    net = toy_supernet.make()
    images = toy_supernet.batch()
    coefficients = toy_supernet.uniform_coefficients()
    genotype = toy_supernet.random_genotype(7)

    def run(images):
        run = net.forward(
            images, coefficients, genotype, wrt=("weights", "architecture")
        )
        found = run.gradients(tf.sin(run.logits))
        return run.logits, found, run.statistics(), run.used()

    chained = tf.nest.flatten(run(images))
    whole = tf.nest.flatten(tf.function(run, autograph=False)(images))
    for one, other in zip(chained, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_nothing_is_remembered_without_gradients():
    net = toy_supernet.make()
    run = net.forward(
        toy_supernet.batch(),
        toy_supernet.uniform_coefficients(),
        toy_supernet.random_genotype(8),
    )
    weights, coefficients = run.gradients(tf.ones_like(run.logits))
    assert not any(np.any(g) for g in (*weights, *coefficients.values()))
