"""Tests of `entrannas_tf.drawing`."""
