import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.training import optimizers


def variable(values):
    return keras.Variable(np.asarray(values, np.float32))


class TestCoupledSGD:
    def test_two_steps_equal_the_formula_of_pytorch(self):
        w, v = np.array([1.0, -2.0]), np.zeros(2)
        weights = variable(w)
        optimizer = optimizers.CoupledSGD(0.1, 0.9, 0.01, clip_norm=100.0)
        optimizer.build([weights])
        for g in (np.array([0.5, 1.0]), np.array([-1.0, 2.0])):
            v = 0.9 * v + g + 0.01 * w
            w = w - 0.1 * v
            gradient = tf.constant(g, tf.float32)
            optimizer.apply([gradient], [weights], [tf.constant([True] * 2)])
        np.testing.assert_allclose(weights.numpy(), w, rtol=1e-6)

    def test_without_masks_all_entries_move(self):
        masked, unmasked = variable([1.0, 2.0]), variable([1.0, 2.0])
        for weights, masks in (
            (masked, [tf.constant([True, True])]),
            (unmasked, None),
        ):
            optimizer = optimizers.CoupledSGD(0.1, 0.9, 0.01)
            optimizer.build([weights])
            for _ in range(2):
                optimizer.apply([tf.ones(2)], [weights], masks)
        np.testing.assert_array_equal(masked.numpy(), unmasked.numpy())

    def test_masked_out_entries_keep_value_and_momentum(self):
        weights = variable([1.0, 1.0])
        optimizer = optimizers.CoupledSGD(0.1, 0.9, 0.01)
        optimizer.build([weights])
        ones = tf.ones(2)
        optimizer.apply([ones], [weights], [tf.constant([True, True])])
        before = weights.numpy()
        momentum = optimizer.momentums[0].numpy()
        optimizer.apply([ones], [weights], [tf.constant([True, False])])
        assert weights.numpy()[1] == before[1]
        assert optimizer.momentums[0].numpy()[1] == momentum[1]
        assert weights.numpy()[0] != before[0]

    def test_factors_scale_the_steps_of_their_variables(self):
        values = [1.0, -2.0]
        alone, *weights = (variable(values) for _ in range(4))
        made = []
        for variables, factors in (
            ([alone], None),
            (weights, (1.0, 0.1, 0.0)),
        ):
            # Without L2, which would follow the weights.
            optimizer = optimizers.CoupledSGD(0.1, 0.9, 0.0, clip_norm=100.0)
            optimizer.build(variables)
            for g in ([0.5, 1.0], [-1.0, 2.0]):
                gradients = [tf.constant(g)] * len(variables)
                optimizer.apply(gradients, variables, factors=factors)
            made.append(optimizer)
        moved = alone.numpy() - values
        whole, tenth, kept = (v.numpy() for v in weights)
        np.testing.assert_array_equal(whole, alone.numpy())
        np.testing.assert_allclose(tenth - values, 0.1 * moved, rtol=1e-3)
        np.testing.assert_array_equal(kept, values)
        # The momentum does not have the factor in it.
        for momentum in made[1].momentums:
            np.testing.assert_array_equal(momentum, made[0].momentums[0])

    def test_clips_the_global_norm_and_returns_it(self):
        a, b = variable([0.0]), variable([0.0])
        optimizer = optimizers.CoupledSGD(1.0, 0.0, 0.0, clip_norm=5.0)
        optimizer.build([a, b])
        norm = optimizer.apply(
            [tf.constant([30.0]), tf.constant([40.0])],
            [a, b],
            [tf.constant([True])] * 2,
        )
        assert float(norm) == 50.0
        np.testing.assert_allclose(a.numpy(), [-3.0], rtol=1e-6)
        np.testing.assert_allclose(b.numpy(), [-4.0], rtol=1e-6)


def test_coupled_adam_adds_decay_to_the_gradient():
    """Against NumPy's Adam on g + decay * w."""
    w, m, v = np.array([1.0, -3.0]), np.zeros(2), np.zeros(2)
    weights = variable(w)
    optimizer = optimizers.CoupledAdam(0.1, 0.5, 0.999, weight_decay=0.2)
    optimizer.build([weights])
    for step, g in enumerate(([0.5, 1.0], [-1.0, 0.3]), start=1):
        coupled = np.array(g) + 0.2 * w
        m = 0.5 * m + 0.5 * coupled
        v = 0.999 * v + 0.001 * coupled**2
        scaled = (m / (1 - 0.5**step)) / np.sqrt(v / (1 - 0.999**step))
        w = w - 0.1 * scaled
        optimizer.apply([tf.constant(g)], [weights])
    np.testing.assert_allclose(weights.numpy(), w, rtol=1e-4)


def test_configs_round_trip():
    for optimizer in (optimizers.CoupledSGD(0.3), optimizers.CoupledAdam(0.2)):
        config = optimizer.get_config()
        assert type(optimizer).from_config(config).get_config() == config
