import numpy as np
import pytest
import tensorflow as tf

from tests.support import plain_supernet, toy_supernet

PARTIAL = {"bottleneck": 1, "partial_channels": 4}


@pytest.mark.parametrize(
    ("sharing", "bottleneck", "partial"),
    [
        (False, 1, 1),
        (True, 1, 1),
        (True, 4, 1),
        (False, 1, 4),
        pytest.param(True, 1, 4, marks=pytest.mark.long),
        pytest.param(False, 4, 1, marks=pytest.mark.long),
    ],
)
def test_child_network_equals_engine_with_indicator(
    sharing, bottleneck, partial
):
    """A Transit-cell is an Engine-cell whose coefficients are 0 and 1."""
    net = toy_supernet.make(
        feature_sharing=sharing,
        bottleneck=bottleneck,
        partial_channels=partial,
    )
    genotype = toy_supernet.random_genotype(1)
    indicator = toy_supernet.indicator(genotype)
    images = toy_supernet.batch()
    child = net(images, coefficients=None, genotype=genotype)
    engine = net(images, coefficients=indicator, genotype=genotype)
    np.testing.assert_allclose(child, engine, atol=1e-5)
    other = net(
        images,
        coefficients=toy_supernet.uniform_coefficients(),
        genotype=genotype,
    )
    assert np.abs(child - other).max() > 1e-3


@pytest.mark.parametrize(
    "options", [{}, pytest.param(PARTIAL, marks=pytest.mark.long)]
)
def test_fold_changes_nothing(options):
    genotype = toy_supernet.random_genotype(2)
    outputs = [
        toy_supernet.make(max_fold=fold, **options)(
            toy_supernet.batch(),
            coefficients=toy_supernet.uniform_coefficients(),
            genotype=genotype,
            training=True,
        )
        for fold in (1, 4, 8)
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-4)


def test_gradients_flow_through_engine_cells_only():
    net = toy_supernet.make()
    run = net.forward(
        toy_supernet.batch(),
        toy_supernet.uniform_coefficients(),
        toy_supernet.random_genotype(3),
        wrt=("architecture",),
    )
    weights, coefficients = run.gradients(tf.ones_like(run.logits))
    assert all(np.abs(g).max() > 0 for g in coefficients.values())
    assert not any(np.any(g) for g in weights)


def test_exactly_the_used_weights_have_a_gradient():
    net = toy_supernet.make()
    run = net.forward(
        toy_supernet.batch(),
        toy_supernet.uniform_coefficients(),
        toy_supernet.random_genotype(4),
        wrt=("weights",),
    )
    rng = np.random.default_rng(0)
    cotangent = tf.constant(rng.normal(size=(8, 10)), tf.float32)
    gradients, _ = run.gradients(cotangent)
    for number, layer in enumerate(net.engine.layers):
        gradient, used = (
            np.asarray(found[number]) for found in (gradients, run.used())
        )
        assert not gradient[~used].any(), layer.name
        assert gradient[used].any(), layer.name
    assert not all(np.all(used) for used in run.used())


def test_unknown_stem_is_named():
    with pytest.raises(ValueError, match=r"stem 'vgg'; .* cifar, imagenet"):
        toy_supernet.make(stem="vgg")


@pytest.mark.parametrize(
    ("stem", "side", "options"),
    [
        ("cifar", 16, {}),
        pytest.param("cifar", 16, PARTIAL, marks=pytest.mark.long),
        pytest.param("imagenet", 64, {}, marks=pytest.mark.long),
    ],
)
def test_gradient_equals_that_of_the_plain_layers(stem, side, options):
    """The engine against the plain cells and TensorFlow's own tape."""
    net = toy_supernet.make(num_cells=3, stem=stem, **options)
    coefficients = toy_supernet.uniform_coefficients()
    genotype = toy_supernet.random_genotype(5)
    images = toy_supernet.batch(side=side)
    run = net.forward(
        images, coefficients, genotype, wrt=("weights", "architecture")
    )
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    chained, to_coefficients = run.gradients(cotangent)
    weights = plain_supernet.weights(net)
    with tf.GradientTape() as tape:
        tape.watch([weights, coefficients])
        logits = plain_supernet.logits(
            net, weights, images, coefficients, genotype
        )
    expected = tape.gradient(
        logits,
        [weights, coefficients],
        output_gradients=cotangent,
        unconnected_gradients="zero",
    )
    np.testing.assert_allclose(logits, run.logits, atol=1e-4)
    pairs = [
        (found, np.concatenate([np.ravel(part) for part in parts]))
        for found, parts in zip(chained, expected[0], strict=True)
    ]
    pairs += [(g, expected[1][kind]) for kind, g in to_coefficients.items()]
    for found, wanted in pairs:
        wanted = tf.convert_to_tensor(wanted)
        scale = 1 + np.abs(wanted).max()
        np.testing.assert_allclose(found, wanted, atol=1e-4 * scale)


def test_training_moves_statistics_of_used_operations_only():
    net = toy_supernet.make()
    genotype = toy_supernet.random_genotype(6)
    net(
        toy_supernet.batch(),
        coefficients=toy_supernet.uniform_coefficients(),
        genotype=genotype,
        training=True,
    )
    cell = net.engine.layers[-2].unpack()
    chosen = {
        c.primitive
        for node in genotype.reduction
        for c in node
        if c.source == 0
    }
    assert chosen
    for (_, name), operation in cell.nodes[0].operations.items():
        if operation.norm is not None:
            moved = np.any(operation.norm.moving_mean.numpy() != 0)
            assert moved == (name in chosen), name


def test_graphs_are_shared_and_bounded():
    net = toy_supernet.make(cache=None, max_graphs=10)
    for seed in range(3):
        net(
            toy_supernet.batch(),
            coefficients=toy_supernet.uniform_coefficients(),
            genotype=toy_supernet.random_genotype(seed),
        )
    assert len(net.cache) == 10
    assert net.cache.num_built > 10


def test_known_derivation_builds_nothing():
    net = toy_supernet.make(cache=None)
    genotype = toy_supernet.random_genotype(0)
    for _ in range(2):
        built = net.cache.num_built
        net(
            toy_supernet.batch(),
            coefficients=toy_supernet.uniform_coefficients(),
            genotype=genotype,
        )
    assert net.cache.num_built == built > 0
