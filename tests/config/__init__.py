"""Tests of `entrannas_tf.config`."""
