"""Tests of `entrannas_tf.training`."""
