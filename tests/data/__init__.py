"""Tests of `entrannas_tf.data`."""
