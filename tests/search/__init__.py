"""Tests of `entrannas_tf.search`."""
