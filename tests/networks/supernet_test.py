import numpy as np
import pytest
import tensorflow as tf

from tests.support import toy_supernet

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
    split = net.split(toy_supernet.uniform_coefficients())
    run = net.forward(
        toy_supernet.batch(),
        split,
        toy_supernet.random_genotype(3),
        wrt=("architecture",),
    )
    sources = tf.nest.flatten(split)
    gradients = run.gradients(tf.ones_like(run.logits), sources)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_mask_marks_exactly_the_weights_with_a_gradient():
    net = toy_supernet.make()
    split = net.split(toy_supernet.uniform_coefficients())
    run = net.forward(
        toy_supernet.batch(),
        split,
        toy_supernet.random_genotype(4),
        wrt=("weights",),
    )
    rng = np.random.default_rng(0)
    cotangent = tf.constant(rng.normal(size=(8, 10)), tf.float32)
    gradients, masks = run.weight_gradients(cotangent, net.units)
    for unit, gradient, mask in zip(net.units, gradients, masks, strict=True):
        outside = np.asarray(gradient)[~np.asarray(mask)]
        assert not outside.any(), unit.name
        if np.any(mask):
            assert np.asarray(gradient)[np.asarray(mask)].any(), unit.name
    assert not all(np.all(mask) for mask in masks)


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
    """The chain of cut graphs against TensorFlow's own tape."""
    net = toy_supernet.make(num_cells=3, stem=stem, **options)
    split = net.split(toy_supernet.uniform_coefficients())
    genotype = toy_supernet.random_genotype(5)
    images = toy_supernet.batch(side=side)
    run = net.forward(images, split, genotype, wrt=("weights",))
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    chained, _ = run.weight_gradients(cotangent, net.units)
    with tf.GradientTape(persistent=True) as tape:
        outputs = tf.nest.flatten(net.stem.layer(images, training=True))
        before, x = outputs[0], outputs[-1]
        for cell in net.cells:
            kind = "reduction" if cell.layer.reduction else "normal"
            if cell.is_engine:
                last = {
                    "coefficients": toy_supernet.uniform_coefficients()[kind]
                }
            else:
                last = {"cell": getattr(genotype, kind)}
            plain = type(cell.layer).from_config(cell.layer.get_config())
            plain.nodes = [unit.layer for unit in cell.nodes]
            y = plain((before, x), **last, training=True)
            before, x = x, y
        logits = net.head.layer(x)
    np.testing.assert_allclose(logits, run.logits, atol=1e-4)
    for unit, found in zip(net.units, chained, strict=True):
        parts = tape.gradient(
            logits,
            [v.value for v in unit.layer.trainable_variables],
            output_gradients=cotangent,
            unconnected_gradients="zero",
        )
        if not parts:  # The last node of a cell without a bottleneck.
            continue
        expected = np.concatenate([np.ravel(part) for part in parts])
        np.testing.assert_allclose(
            found, expected, atol=1e-4 * (1 + np.abs(expected).max())
        )


def test_training_moves_statistics_of_used_operations_only():
    net = toy_supernet.make()
    before = [u.statistics.numpy() for u in net.units]
    genotype = toy_supernet.random_genotype(6)
    net(
        toy_supernet.batch(),
        coefficients=toy_supernet.uniform_coefficients(),
        genotype=genotype,
        training=True,
    )
    unit = net.cells[-1].nodes[0]
    layer = unit.unpack()
    place = net.units.index(unit)
    assert np.any(unit.statistics.numpy() != before[place])
    chosen = {
        c.primitive
        for node in genotype.reduction
        for c in node
        if c.source == 0
    }
    for name, operation in layer.groups[0].items():
        norm = operation.norm
        if norm is not None:
            moved = bool(np.any(norm.moving_mean.numpy() != 0))
            assert moved == (name in chosen), name


def test_graphs_are_shared_and_bounded():
    net = toy_supernet.make(cache=None, max_graphs=20)
    for seed in range(3):
        net(
            toy_supernet.batch(),
            coefficients=toy_supernet.uniform_coefficients(),
            genotype=toy_supernet.random_genotype(seed),
        )
    assert len(net.cache) == 20
    assert net.cache.num_built > 20


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
