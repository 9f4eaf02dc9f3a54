"""Tests of `entrannas_tf.tuning`."""
