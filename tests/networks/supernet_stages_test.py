"""Masks and dropout of skips, in the super-nets of P-DARTS's stages."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import derivation, genotypes, search_space
from entrannas_tf.networks import cells
from entrannas_tf.networks.layers import dropout as dropout_lib
from tests.support import toy_supernet


def few(count, seed=0):
    """Returns masks that leave so many primitives on each edge."""
    rng = np.random.default_rng(seed)
    return {
        kind: derivation.strongest(
            rng.normal(
                size=(toy_supernet.NUM_EDGES, toy_supernet.NUM_PRIMITIVES)
            ),
            count,
        )
        for kind in search_space.KINDS
    }


def allowed(masks):
    """Returns a genotype of primitives that masks leave."""
    derived = (
        derivation.top_two(masks[kind].astype(float), toy_supernet.SPACE)
        for kind in search_space.KINDS
    )
    return genotypes.Genotype(*derived)


def take_weights(net, whole):
    """Gives a super-net with masks the weights of one without."""
    for own, others in zip(net.engine.layers, whole.engine.layers, strict=True):
        pairs = [(own.layer, others.layer)]
        if isinstance(own.layer, cells.SearchCell):
            pairs = [
                (part, other.parts[name])
                for node, other in zip(
                    own.layer.nodes, others.layer.nodes, strict=True
                )
                for name, part in node.parts.items()
            ]
        for mine, its in pairs:
            mine.set_weights(its.get_weights())
        own.pack()


@pytest.mark.parametrize(
    "sharing", [False, pytest.param(True, marks=pytest.mark.long)]
)
def test_masked_operations_are_left_out(sharing):
    """Their coefficients are 0, so the others give the same without them."""
    masks = few(2)
    for mask in masks.values():  # No edge from node 0 has the convolution.
        mask[list(search_space.STANDARD.edges_from(0))] = [
            False,
            True,
            True,
            False,
        ]
    whole = toy_supernet.make(feature_sharing=sharing)
    net = toy_supernet.make(feature_sharing=sharing, masks=masks)
    sizes = [n.count_params() for n in (net, whole)]
    assert sizes[0] < sizes[1]
    take_weights(net, whole)
    coefficients = {
        kind: tf.constant(mask / 2, tf.float32) for kind, mask in masks.items()
    }
    genotype = allowed(masks)
    outputs = [
        n(toy_supernet.batch(), coefficients=coefficients, genotype=genotype)
        for n in (net, whole)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_gradient_of_what_is_left_out_is_zero():
    masks = few(2, seed=1)
    net = toy_supernet.make(feature_sharing=False, masks=masks)
    run = net.forward(
        toy_supernet.batch(),
        toy_supernet.uniform_coefficients(),
        allowed(masks),
        wrt=("architecture",),
    )
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    _, found = run.gradients(cotangent)
    none = toy_supernet.SPACE.primitives.index("none")
    for kind, mask in masks.items():
        mask[:, none] = False  # It adds nothing.
        np.testing.assert_array_equal(found[kind].numpy() != 0, mask)


def logits_of(net, drawn):
    run = net.forward(
        toy_supernet.batch(),
        toy_supernet.uniform_coefficients(),
        toy_supernet.random_genotype(5),
        skip_dropout=drawn,
    )
    return run.logits.numpy()


def test_skips_are_dropped_as_drawn():
    net = toy_supernet.make()
    dropout = dropout_lib.SkipDropout(seed=3)
    plain = logits_of(net, None)
    # At a rate of 0 nothing is lost.
    np.testing.assert_allclose(logits_of(net, dropout.draw(0)), plain, 1e-5)
    dropout.rate.assign(0.5)
    first = logits_of(net, dropout.draw(0))
    assert np.abs(first - plain).max() > 1e-3
    assert np.abs(first - logits_of(net, dropout.draw(1))).max() > 1e-3
    again = logits_of(net, dropout.draw(0))
    np.testing.assert_allclose(first, again, atol=1e-5)


def test_dropout_needs_graphs_of_its_own_only_where_it_is():
    net = toy_supernet.make(cache=None)
    logits_of(net, None)
    before = net.cache.num_built
    dropout = dropout_lib.SkipDropout(seed=3)
    logits_of(net, dropout.draw(0))
    assert net.cache.num_built - before == 2  # Of two Engine-cells.
