"""Tests of `entrannas_tf.networks.execution`."""
