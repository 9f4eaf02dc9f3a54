"""Classification of images, by a target network (sections 4.2 and 4.3)."""

import keras
import tensorflow as tf

from entrannas_tf.config import retrain as retrain_config
from entrannas_tf.data import augment, datasets, pipeline
from entrannas_tf.networks import cost
from entrannas_tf.networks import target as target_network
from entrannas_tf.retraining import task
from entrannas_tf.training import losses

_NUM_COMPARED = 64


class Classification(task.Task):
    """A label for each image: labels are int32 [B]."""

    name = "classification"
    config_kind = retrain_config.RetrainConfig
    scores = ("test_accuracy", "test_top5_accuracy", "test_loss")

    def load_data(self, config):
        train, test, indices = datasets.load(
            config.data.name,
            data_dir=config.data.data_dir,
            directory=config.data.dir,
            num_examples=config.data.num_examples,
            image_size=config.data.image_size,
        )
        shares = config.data.train_fraction, config.data.validation_fraction
        return datasets.for_retraining(train, test, indices, *shares)

    def augmentation(self, config):
        return augment.Augmentation.of(config.data)

    def evaluation_batches(self, source, indices, batch_size, **shares):
        return pipeline.evaluation_batches(
            source, indices, batch_size, **shares
        )

    def describe_data(self, config, data):
        use = "choose by" if config.data.validation_fraction else "test"
        return (
            f"{len(data.indices)} images to train and {len(data.test_indices)} "
            f"to {use}"
        )

    def describe_network(self, config, totals):
        return (
            f"{config.network.num_cells} cells, {config.network.init_channels} "
            f"channels at first, {totals['parameters']} weights, "
            f"{totals['parameters_with_auxiliary']} with the auxiliary head"
        )

    def make_network(self, config, cells, source):
        return target_network.TargetNetwork(
            cells,
            source.num_classes,
            source.image_shape,
            num_cells=config.network.num_cells,
            init_channels=config.network.init_channels,
            stem=config.network.stem,
        )

    def trainer_options(self, config):
        training = config.training
        return {
            "label_smoothing": training.label_smoothing,
            "auxiliary_weight": training.auxiliary_weight,
            "drop_path": training.drop_path_rate > 0,
        }

    def count(self, config, cells, source):
        """Returns the totals; None for multiply-adds of images not square."""
        height, width, channels = source.image_shape
        network = cost.Network(
            config.network.stem,
            config.network.num_cells,
            config.network.init_channels,
            source.num_classes,
            min(height, width),
            channels,
        )
        totals = cost.count(cells, network).totals()
        if height != width:
            totals |= {k: None for k in totals if k.startswith("multiply_adds")}
        return totals

    def num_labelled(self, labels):
        return None

    def loss(self, labels, logits, smoothing, count):
        del count
        return losses.cross_entropy(labels, logits, smoothing)

    def hits(self, labels, logits):
        return tf.equal(tf.argmax(logits, -1, labels.dtype), labels), None

    def measure(self, labels, logits, weights):
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = [
            tf.cast(tf.math.in_top_k(labels, logits, k), values.dtype)
            for k in (1, min(5, logits.shape[-1]))
        ]
        sums = tf.linalg.matvec(tf.stack([*hits, values]), weights)
        return dict(zip(self.scores, tf.unstack(sums), strict=True))

    def test(self, sums, num_examples, label_names):
        del label_names
        return {
            name: float(total / num_examples) for name, total in sums.items()
        }

    def summary(self, scores):
        return (
            f"test {scores['test_accuracy']:.1%}, top-5 "
            f"{scores['test_top5_accuracy']:.1%}"
        )

    def make_server(self, network, mean, std):
        """Returns a model of "probabilities", float32 [B, num_classes]."""
        images = keras.Input(network.input_shape[1:], name="images")
        logits = network(task.normalize(images, mean, std))
        probabilities = keras.layers.Softmax(name="probabilities")(logits)
        return keras.Model(images, probabilities, name="classifier")

    def samples(self, data):
        chosen = tf.constant(data.test_indices[:_NUM_COMPARED], tf.int64)
        images, _ = data.test_source.fetch(chosen)
        yield images


TASK = Classification()
