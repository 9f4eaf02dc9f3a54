"""What a super-net of P-DARTS's stages has more: masks, and dropped skips."""

import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf.architecture import derivation, genotypes, search_space
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
    cells = (
        derivation.top_two(masks[kind].astype(float), toy_supernet.SPACE)
        for kind in search_space.KINDS
    )
    return genotypes.Genotype(*cells)


def take_weights(net, whole):
    """Gives a super-net with masks the weights of one without."""
    for own, others in zip(net.units, whole.units, strict=True):
        layer, other = own.layer, others.layer
        groups = getattr(layer, "groups", [])
        pairs = [(layer, other)]
        if groups:
            parts = ("form", "squeeze")
            pairs = [(getattr(layer, n), getattr(other, n)) for n in parts]
            pairs += [
                (operation, other.groups[number][name])
                for number, group in enumerate(groups)
                for name, operation in group.items()
            ]
        for mine, its in pairs:
            if mine is not None:
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
    sizes = [sum(int(u.vector.shape[0]) for u in n.units) for n in (net, whole)]
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
    split = net.split(toy_supernet.uniform_coefficients())
    genotype = allowed(masks)
    run = net.forward(
        toy_supernet.batch(), split, genotype, wrt=("architecture",)
    )
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    found = run.gradients(cotangent, tf.nest.flatten(split))
    expected = tf.nest.flatten(
        net.split({k: tf.constant(m) for k, m in masks.items()})
    )
    for gradient, mask in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(gradient) != 0, mask)


def logits_of(net, drawn):
    split = net.split(toy_supernet.uniform_coefficients())
    run = net.forward(
        toy_supernet.batch(),
        split,
        toy_supernet.random_genotype(5),
        drawn=drawn,
    )
    return run.logits.numpy()


def test_skips_are_dropped_as_drawn():
    net = toy_supernet.make()
    dropout = dropout_lib.SkipDropout(seed=3, num_units=len(net.units))
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
    dropout = dropout_lib.SkipDropout(seed=3, num_units=len(net.units))
    logits_of(net, dropout.draw(0))
    weighted = 2 * (search_space.STANDARD.num_nodes - 1)  # Of two Engine-cells.
    assert 0 < net.cache.num_built - before <= weighted
