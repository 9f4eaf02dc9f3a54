import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from entrannas_tf import (
    derivation,
    dropping,
    genotypes,
    objective,
    porting,
    search_space,
    supernet,
)
from tests import darts_weights

CHANNELS = 4


def make(**options):
    keras.utils.set_random_seed(0)
    options = {"num_cells": 3, "init_channels": CHANNELS, **options}
    return supernet.Supernet(search_space.STANDARD, 3, 10, **options)


def batch(size=8, side=16, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(size, side, side, 3)), tf.float32)


def random_matrix(seed):
    return np.random.default_rng(seed).random((14, 8)).astype(np.float32)


def random_genotype(seed):
    cells = (
        derivation.top_two(random_matrix(2 * seed + i), search_space.STANDARD)
        for i in range(2)
    )
    return genotypes.Genotype(*cells)


def uniform_coefficients():
    return {
        kind: tf.fill((14, 8), tf.constant(0.125)) for kind in genotypes.KINDS
    }


@pytest.fixture(scope="module")
def reference(shared_data):
    path = shared_data.parent / "reference" / "darts_supernet_c4_l8.npz"
    if not path.exists():
        pytest.skip(f"the reference values of DARTS are missing: {path.name}")
    return np.load(pathlib.Path(path))


@pytest.fixture(scope="module")
def darts(reference):
    """DARTS's super-net with its weights, and one run of it."""
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        num_cells=8,
        init_channels=4,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
    )
    weights = darts_weights.supernet_weights(reference, net)
    porting.copy_weights(weights)
    for unit in net.units:
        unit.pack()
    return net, weights


@pytest.fixture(scope="module")
def alphas(reference):
    names = {"normal": "alphas_normal", "reduction": "alphas_reduce"}
    return {kind: tf.constant(reference[n]) for kind, n in names.items()}


class TestDarts:
    """The super-net with switches off against the original."""

    def test_every_weight_of_the_original_is_used(self, darts, reference):
        _, weights = darts
        names = [k for k in reference if k.startswith("weights/")]
        assert sorted(w.name for w in weights) == sorted(names)

    def test_logits_loss_and_gradients(self, darts, alphas, reference):
        net, _ = darts
        with tf.GradientTape() as tape:
            tape.watch(alphas)
            split = net.split({k: tf.nn.softmax(a) for k, a in alphas.items()})
        run = net.forward(
            tf.constant(reference["input"]), split, None, "architecture"
        )
        logits = run.logits
        with tf.GradientTape() as loss_tape:
            loss_tape.watch(logits)
            loss = objective.cross_entropy(
                tf.constant(reference["labels"], tf.int32), logits
            )
        np.testing.assert_allclose(logits, reference["logits"], atol=1e-4)
        np.testing.assert_allclose(loss, reference["loss"], atol=1e-4)
        sources = tf.nest.flatten(split)
        gradients = run.gradients(loss_tape.gradient(loss, logits), sources)
        found = tape.gradient(sources, alphas, output_gradients=gradients)
        for kind, name in (("normal", "normal"), ("reduction", "reduce")):
            expected = reference[f"gradient_alphas_{name}"]
            np.testing.assert_allclose(found[kind], expected, atol=1e-4)

    def test_weight_gradients(self, darts, alphas, reference):
        net, _ = darts
        split = net.split({k: tf.nn.softmax(a) for k, a in alphas.items()})
        run = net.forward(
            tf.constant(reference["input"]), split, None, "weights"
        )
        probabilities = tf.nn.softmax(run.logits)
        labels = tf.one_hot(reference["labels"], 10)
        units = [net.stem, net.head]
        (stem, head), masks = run.weight_gradients(
            (probabilities - labels) / len(labels), units
        )
        # The stem's gradient is up to 1, and comes through 8 cells. The
        # reference's float32 differs by 8e-4 from our result in float64, and
        # our own float32 by 6e-4.
        expected = reference["gradient_stem"].transpose(2, 3, 1, 0)
        np.testing.assert_allclose(
            stem[: expected.size], expected.ravel(), atol=1.5e-3
        )
        expected = reference["gradient_classifier"].T
        np.testing.assert_allclose(
            head[: expected.size], expected.ravel(), atol=1e-5
        )
        assert all(np.all(mask) for mask in masks)


def test_darts_supernet_has_its_number_of_weights():
    net = supernet.Supernet(
        search_space.STANDARD,
        3,
        10,
        engine_cells="all",
        feature_sharing=False,
        bottleneck=1,
    )
    assert sum(int(np.prod(u.vector.shape)) for u in net.units) == 1_930_618


@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize(("bottleneck", "partial"), [(4, 1), (1, 1), (1, 4)])
def test_child_network_equals_engine_with_indicator(
    sharing, bottleneck, partial
):
    """A Transit-cell is an Engine-cell whose coefficients are 0 and 1."""
    net = make(
        feature_sharing=sharing,
        bottleneck=bottleneck,
        partial_channels=partial,
    )
    genotype = random_genotype(1)
    indicator = {
        kind: tf.constant(
            derivation.indicator(getattr(genotype, kind), search_space.STANDARD)
        )
        for kind in genotypes.KINDS
    }
    images = batch()
    child = net(images, coefficients=None, genotype=genotype)
    engine = net(images, coefficients=indicator, genotype=genotype)
    np.testing.assert_allclose(child, engine, atol=1e-5)
    other = net(images, coefficients=uniform_coefficients(), genotype=genotype)
    assert np.abs(child - other).max() > 1e-3


@pytest.mark.parametrize(
    "options", [{}, {"bottleneck": 1, "partial_channels": 4}]
)
def test_fold_changes_nothing(options):
    genotype = random_genotype(2)
    outputs = [
        make(max_fold=fold, **options)(
            batch(),
            coefficients=uniform_coefficients(),
            genotype=genotype,
            training=True,
        )
        for fold in (1, 4, 8)
    ]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-4)


def test_gradients_flow_through_engine_cells_only():
    net = make()
    split = net.split(uniform_coefficients())
    run = net.forward(batch(), split, random_genotype(3), "architecture")
    sources = tf.nest.flatten(split)
    gradients = run.gradients(tf.ones_like(run.logits), sources)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_mask_marks_exactly_the_weights_with_a_gradient():
    net = make()
    split = net.split(uniform_coefficients())
    run = net.forward(batch(), split, random_genotype(4), "weights")
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
        make(stem="vgg")


@pytest.mark.parametrize(
    ("stem", "side", "options"),
    [
        ("cifar", 16, {}),
        ("cifar", 16, {"bottleneck": 1, "partial_channels": 4}),
        pytest.param("imagenet", 64, {}, marks=pytest.mark.long),
    ],
)
def test_gradient_equals_that_of_the_plain_layers(stem, side, options):
    """The chain of cut graphs against TensorFlow's own tape."""
    net = make(num_cells=3, stem=stem, **options)
    split = net.split(uniform_coefficients())
    genotype = random_genotype(5)
    images = batch(side=side)
    run = net.forward(images, split, genotype, "weights")
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    chained, _ = run.weight_gradients(cotangent, net.units)
    with tf.GradientTape(persistent=True) as tape:
        outputs = tf.nest.flatten(net.stem.layer(images, training=True))
        before, x = outputs[0], outputs[-1]
        for cell in net.cells:
            kind = "reduction" if cell.layer.reduction else "normal"
            if cell.is_engine:
                last = {"coefficients": uniform_coefficients()[kind]}
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
    net = make()
    before = [u.statistics.numpy() for u in net.units]
    genotype = random_genotype(6)
    net(
        batch(),
        coefficients=uniform_coefficients(),
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
    net = make(max_graphs=20)
    for seed in range(3):
        net(
            batch(),
            coefficients=uniform_coefficients(),
            genotype=random_genotype(seed),
        )
    assert len(net.cache) == 20
    assert net.cache.num_built > 20


def test_known_derivation_builds_nothing():
    net = make()
    genotype = random_genotype(0)
    for _ in range(2):
        built = net.cache.num_built
        net(
            batch(),
            coefficients=uniform_coefficients(),
            genotype=genotype,
        )
    assert net.cache.num_built == built > 0


def few(count, seed=0):
    """Returns masks that leave so many primitives on each edge."""
    rng = np.random.default_rng(seed)
    return {
        kind: derivation.strongest(rng.normal(size=(14, 8)), count)
        for kind in genotypes.KINDS
    }


def allowed(masks):
    """Returns a genotype of primitives that masks leave."""
    cells = (
        derivation.top_two(masks[kind].astype(float), search_space.STANDARD)
        for kind in genotypes.KINDS
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


@pytest.mark.parametrize("sharing", [True, False])
def test_masked_operations_are_left_out(sharing):
    """Their coefficients are 0, so the others give the same without them."""
    masks = few(3)
    whole = make(feature_sharing=sharing)
    net = make(feature_sharing=sharing, masks=masks)
    sizes = [sum(int(u.vector.shape[0]) for u in n.units) for n in (net, whole)]
    assert sizes[0] < 0.95 * sizes[1]
    take_weights(net, whole)
    coefficients = {
        kind: tf.constant(mask / 3, tf.float32) for kind, mask in masks.items()
    }
    genotype = allowed(masks)
    outputs = [
        n(batch(), coefficients=coefficients, genotype=genotype)
        for n in (net, whole)
    ]
    np.testing.assert_allclose(*outputs, atol=1e-5)


def test_gradient_of_what_is_left_out_is_zero():
    masks = few(3, seed=1)
    net = make(feature_sharing=False, masks=masks)
    split = net.split(uniform_coefficients())
    genotype = allowed(masks)
    run = net.forward(batch(), split, genotype, "architecture")
    cotangent = tf.random.stateless_normal(run.logits.shape, (0, 1))
    found = run.gradients(cotangent, tf.nest.flatten(split))
    expected = tf.nest.flatten(
        net.split({k: tf.constant(m) for k, m in masks.items()})
    )
    for gradient, mask in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(gradient) != 0, mask)


def logits_of(net, drawn):
    split = net.split(uniform_coefficients())
    run = net.forward(
        batch(), split, random_genotype(5), "outputs", drawn=drawn
    )
    return run.logits.numpy()


def test_skips_are_dropped_as_drawn():
    net = make()
    dropout = dropping.SkipDropout(seed=3, num_units=len(net.units))
    plain = logits_of(net, None)
    # At a rate of 0 nothing is lost.
    np.testing.assert_allclose(logits_of(net, dropout.draw(0)), plain, 1e-5)
    dropout.rate.assign(0.5)
    first = logits_of(net, dropout.draw(0))
    assert np.abs(first - plain).max() > 1e-3
    assert np.abs(first - logits_of(net, dropout.draw(1))).max() > 1e-3
    np.testing.assert_array_equal(first, logits_of(net, dropout.draw(0)))


def test_dropout_needs_graphs_of_its_own_only_where_it_is():
    net = make()
    logits_of(net, None)
    before = net.cache.num_built
    dropout = dropping.SkipDropout(seed=3, num_units=len(net.units))
    logits_of(net, dropout.draw(0))
    weighted = 2 * (search_space.NUM_NODES - 1)  # Of two Engine-cells.
    assert 0 < net.cache.num_built - before <= weighted
