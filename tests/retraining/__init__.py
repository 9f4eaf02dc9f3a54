"""Tests of `entrannas_tf.retraining`."""
