"""Tests of `entrannas_tf.architecture`."""
