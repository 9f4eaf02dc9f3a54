"""Tests of `entrannas_tf.studies.ablations`."""
