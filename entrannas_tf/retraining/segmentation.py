"""Semantic segmentation, by DeepLabV3's head on a backbone (Table 5)."""

import os

import keras
import numpy as np
import tensorflow as tf

from entrannas_tf.config import segment as segment_config
from entrannas_tf.data import datasets, pipeline, scale_crop, voc
from entrannas_tf.networks import cost
from entrannas_tf.networks import segmentation as segmentation_network
from entrannas_tf.retraining import task
from entrannas_tf.training import losses

_NUM_COMPARED = 8


class Segmentation(task.Task):
    """A label for each pixel: labels are int32 [B, H, W].

    Those that are `voc.IGNORED` take no part in the loss or in the scores.
    """

    name = "segmentation"
    config_kind = segment_config.SegmentConfig
    scores = ("test_miou", "test_pixel_accuracy", "test_loss")

    def load_data(self, config):
        if not config.data.dir:
            raise ValueError(
                "data.dir is empty; expected a folder in the layout of Pascal "
                "VOC 2012, which holds JPEGImages/, SegmentationClass/ and "
                "ImageSets/Segmentation/: --config.data.dir=PATH."
            )
        train, test = voc.load(
            os.path.expanduser(config.data.dir), config.data.train_list
        )
        return datasets.RetrainData(
            train,
            np.arange(train.num_examples),
            test,
            np.arange(test.num_examples),
        )

    def augmentation(self, config):
        data = config.data
        return scale_crop.Augmentation(
            data.crop_size, data.min_scale, data.max_scale, data.flip
        )

    def steps_per_epoch(self, config):
        return config.training.steps_per_epoch or None

    def evaluation_batches(self, source, indices, batch_size, **shares):
        return pipeline.evaluation_batches_by_size(
            source, indices, batch_size, **shares
        )

    def describe_data(self, config, data):
        return (
            f"{len(data.indices)} photographs to train and "
            f"{len(data.test_indices)} to test"
        )

    def describe_network(self, config, totals):
        network = config.network
        backbone = "ResNet-50"
        if network.backbone == "cells":
            backbone = (
                f"{network.num_cells} cells, {network.init_channels} channels "
                "at first"
            )
        return (
            f"{backbone}, output stride {network.output_stride}, "
            f"{totals['parameters']} weights with DeepLabV3's head"
        )

    def make_network(self, config, cells, source):
        network, output_stride = config.network, config.network.output_stride
        if network.backbone == "resnet50":
            backbone = segmentation_network.ResNet50(
                source.image_shape, output_stride
            )
        else:
            backbone = segmentation_network.Backbone(
                cells,
                source.image_shape,
                network.num_cells,
                network.init_channels,
                output_stride,
            )
        made = segmentation_network.SegmentationNetwork(
            backbone,
            source.num_classes,
            output_stride,
            network.head_channels,
            network.dropout,
        )
        _freeze(made, config.training)
        return made

    def trainer_options(self, config):
        factor = config.training.backbone_rate_factor
        return {
            "auxiliary_weight": 0.0,
            "rate_factor": lambda path: (
                1.0 if segmentation_network.is_of_head(path) else factor
            ),
        }

    def count(self, config, cells, source):
        network, size = config.network, config.data.crop_size
        if network.backbone == "resnet50":
            return segmentation_network.count_resnet50(
                source.num_classes,
                size,
                network.output_stride,
                network.head_channels,
            )
        made = cost.Network(
            network.stem,
            network.num_cells,
            network.init_channels,
            source.num_classes,
            size,
            output_stride=network.output_stride,
            head_channels=network.head_channels,
        )
        return cost.count(cells, made).totals()

    def num_labelled(self, labels):
        return tf.reduce_sum(_is_labelled(labels))

    def loss(self, labels, logits, smoothing, count):
        del smoothing
        return tf.reduce_sum(
            losses.pixel_cross_entropies(labels, logits, voc.IGNORED)
        ) / tf.maximum(count, 1.0)

    def hits(self, labels, logits):
        hits = tf.equal(tf.argmax(logits, -1, labels.dtype), labels)
        return hits, _is_labelled(labels)

    def measure(self, labels, logits, weights):
        """Returns "loss", float32, and "confusion", int64 [true, predicted]."""
        labels = tf.where(weights[:, None, None] > 0, labels, voc.IGNORED)
        values = losses.pixel_cross_entropies(labels, logits, voc.IGNORED)
        is_labelled = tf.not_equal(labels, voc.IGNORED)
        confusion = tf.math.confusion_matrix(
            tf.reshape(tf.where(is_labelled, labels, 0), [-1]),
            tf.reshape(tf.argmax(logits, -1, labels.dtype), [-1]),
            logits.shape[-1],
            weights=tf.reshape(tf.cast(is_labelled, tf.int64), [-1]),
            dtype=tf.int64,
        )
        return {"loss": tf.reduce_sum(values), "confusion": confusion}

    def test(self, sums, num_examples, label_names):
        del num_examples
        confusion = sums["confusion"]
        ious = intersections_over_unions(confusion)
        num_pixels = max(1, confusion.sum())
        return {
            "test_miou": float(np.nanmean(ious)),
            "test_pixel_accuracy": float(confusion.trace() / num_pixels),
            "test_loss": float(sums["loss"] / num_pixels),
            "test_iou": {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(label_names, ious, strict=True)
            },
        }

    def summary(self, scores):
        return (
            f"test mIoU {scores['test_miou']:.1%}, pixels "
            f"{scores['test_pixel_accuracy']:.1%}"
        )

    def make_server(self, network, mean, std):
        """Returns a model of "class_map" and "probabilities".

        They are int32 [B, H, W], the likeliest class of each pixel, and
        float32 [B, H, W, num_classes].
        """
        images = keras.Input(network.input_shape[1:], name="images")
        logits = network(task.normalize(images, mean, std))
        outputs = {
            "class_map": keras.ops.argmax(logits, -1),
            "probabilities": keras.layers.Softmax(name="probabilities")(logits),
        }
        return keras.Model(images, outputs, name="segmenter")

    def samples(self, data):
        for index in data.test_indices[:_NUM_COMPARED]:
            images, _ = data.test_source.fetch(tf.constant([index], tf.int64))
            yield images


TASK = Segmentation()


def intersections_over_unions(confusion):
    """Returns the IoU of each class (Everingham et al., 2015).

    Args:
        confusion: Integers [C, C], number of pixels by true and by predicted
            class.

    Returns:
        float64 [C], from 0 to 1; NaN for a class that is neither there nor
        predicted.
    """
    right = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return np.divide(
        right, union, out=np.full(len(right), np.nan), where=union > 0
    )


def _freeze(network, training):
    """Makes the layers untrainable that are to stay as they are."""
    frozen = training.frozen_batch_norms
    for layer in network.layers:
        in_backbone = not segmentation_network.is_of_head(layer.name)
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if is_norm and (
            frozen == "all" or (frozen == "backbone" and in_backbone)
        ):
            layer.trainable = False
        if in_backbone and training.backbone_rate_factor == 0:
            layer.trainable = False


def _is_labelled(labels):
    return tf.cast(tf.not_equal(labels, voc.IGNORED), tf.float32)
