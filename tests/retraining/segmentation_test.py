import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from entrannas_tf.config import schema
from entrannas_tf.config import segment as segment_config
from entrannas_tf.data import voc
from entrannas_tf.retraining import segmentation, tasks
from entrannas_tf.training import evaluation
from tests.support import toy_genotype, toy_segment_config, voc_folder

TASK = segmentation.TASK
NAMES = ("sky", "road", "car", "sign")


def read(directory="voc", **training):
    config = toy_segment_config.get_config()
    config.data.dir = str(directory)
    for name, value in training.items():
        config.training[name] = value
    return schema.read(segment_config.SegmentConfig, config)


def draw(seed, shape=(2, 7, 5)):
    """Returns (labels, some ignored; logits; predictions)."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 3, voc.IGNORED], shape).astype(np.int32)
    logits = rng.normal(size=(*shape, len(NAMES))).astype(np.float32)
    return labels, logits, logits.argmax(-1)


def measure(labels, logits, weights):
    sums = TASK.measure(
        tf.constant(labels), tf.constant(logits), tf.constant(weights)
    )
    return {name: value.numpy() for name, value in sums.items()}


def test_scores_are_scikit_learns():
    labels, logits, predicted = draw(0)
    scores = TASK.test(measure(labels, logits, [1.0, 1.0]), 2, NAMES)
    counted = labels != voc.IGNORED
    truth, guess = labels[counted], predicted[counted]
    ious = metrics.jaccard_score(truth, guess, average=None)
    assert scores["test_iou"] == pytest.approx(
        dict(zip(NAMES, ious, strict=True))
    )
    assert scores["test_miou"] == pytest.approx(ious.mean())
    accuracy = metrics.accuracy_score(truth, guess)
    assert scores["test_pixel_accuracy"] == pytest.approx(accuracy)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_p[counted], truth[:, None], 1)
    assert scores["test_loss"] == pytest.approx(-chosen.mean(), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_confusion_matrix_is_scikit_learns(seed):
    labels, logits, predicted = draw(seed, (3, 11, 6))
    found = measure(labels, logits, [1.0, 0.0, 1.0])["confusion"]
    labels[1] = voc.IGNORED  # Its weight is 0.
    counted = labels != voc.IGNORED
    expected = metrics.confusion_matrix(
        labels[counted], predicted[counted], labels=range(len(NAMES))
    )
    assert found.tolist() == expected.tolist()


def test_sums_of_batches_are_those_of_all():
    labels, logits, _ = draw(1)
    whole = measure(labels, logits, [1.0, 1.0])
    parts = [measure(labels[i, None], logits[i, None], [1.0]) for i in (0, 1)]
    for name, value in whole.items():
        assert sum(p[name] for p in parts) == pytest.approx(value)


def test_a_class_that_is_not_there_does_not_count():
    confusion = np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]])
    ious = segmentation.intersections_over_unions(confusion)
    assert ious[:2] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(ious[2])
    sums = {"loss": 2.0, "confusion": confusion}
    scores = TASK.test(sums, 1, ("a", "b", "c"))
    assert scores["test_miou"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores["test_iou"]["c"] is None
    assert scores["test_loss"] == 0.5
    assert "NaN" not in json.dumps(scores)


def test_the_loss_of_replicas_is_that_of_the_batch():
    """Their mean, though one of them has fewer labelled pixels."""
    labels, logits, _ = draw(2)
    labels[0, :5] = voc.IGNORED
    tensors = tf.constant(labels), tf.constant(logits)
    count = TASK.num_labelled(tensors[0])
    whole = TASK.loss(*tensors, 0.0, count)
    parts = [
        TASK.loss(tensors[0][i, None], tensors[1][i, None], 0.0, count / 2)
        for i in (0, 1)
    ]
    assert float(whole) == pytest.approx(float(sum(parts)) / 2, rel=1e-6)


def test_a_batch_without_labels_has_no_loss():
    labels = tf.fill([1, 2, 2], voc.IGNORED)
    logits = tf.ones([1, 2, 2, 3])
    assert float(TASK.loss(labels, logits, 0.0, 0.0)) == 0.0


def make_trainer(directory, **training):
    keras.utils.set_random_seed(0)  # Of the dropout, too.
    config = read(directory, **training)
    data = TASK.load_data(config)
    cells = toy_genotype.GENOTYPE
    return tasks.make_trainer(config, cells, data.source), data


def batch(seed, size=2):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(size, 33, 33, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, voc.IGNORED], (size, 33, 33))
    return tf.constant(images), tf.constant(labels.astype(np.int32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("segmentation") / "voc"
    voc_folder.write(root)
    return root


def moved(trainer):
    """Returns how far a step moves the weights: {path: largest change}."""
    variables = trainer.training_network.variables
    before = [v.numpy() for v in variables]
    trainer.train_step(batch(0))
    return {
        v.path: np.abs(v.numpy().astype(np.float64) - old).max()
        for v, old in zip(variables, before, strict=True)
        if "seed" not in v.path
    }


def test_the_backbone_has_a_rate_of_its_own(folder):
    settings = {"weight_decay": 0.0, "gradient_clip_norm": 1e6}
    with_one, _ = make_trainer(folder, **settings)
    with_tenth, _ = make_trainer(folder, backbone_rate_factor=0.1, **settings)
    with_tenth.training_network.set_weights(
        with_one.training_network.get_weights()
    )
    ones, tenths = moved(with_one), moved(with_tenth)
    for path, change in ones.items():
        if path.startswith("head") or "moving" in path:
            assert tenths[path] == pytest.approx(change, rel=1e-3), path
        else:
            assert tenths[path] == pytest.approx(change / 10, rel=0.02), path
    assert min(ones.values()) > 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("frozen", "of_backbone", "of_head"),
    [("none", True, True), ("backbone", False, True), ("all", False, False)],
)
def test_frozen_batch_norms_stay_as_they_are(
    folder, frozen, of_backbone, of_head
):
    trainer, _ = make_trainer(folder, frozen_batch_norms=frozen)
    changes = moved(trainer)
    for word in ("moving_mean", "moving_variance", "gamma", "beta"):
        found = {path: c for path, c in changes.items() if word in path}
        for is_head, moves in ((False, of_backbone), (True, of_head)):
            chosen = [
                c for p, c in found.items() if p.startswith("head") == is_head
            ]
            assert chosen
            assert all((c > 0) == moves for c in chosen), (word, is_head)


def test_a_rate_factor_of_0_leaves_the_backbone_as_it_is(folder):
    trainer, _ = make_trainer(folder, backbone_rate_factor=0.0)
    changes = moved(trainer)
    heads = {p: c for p, c in changes.items() if p.startswith("head")}
    assert all(c > 0 for c in heads.values())
    assert not any(c for p, c in changes.items() if p not in heads)


def test_whole_photographs_are_tested_one_by_one_or_together(folder):
    trainer, data = make_trainer(folder)
    alone, together = (
        evaluation.test(trainer, data.test_source, data.test_indices, size)
        for size in (1, 4)
    )
    assert alone.pop("test_iou") == pytest.approx(together.pop("test_iou"))
    assert alone == pytest.approx(together, rel=1e-5)


def test_photographs_of_many_sizes_take_one_graph(folder):
    trainer, data = make_trainer(folder)
    for size in (1, 2):
        evaluation.test(trainer, data.test_source, data.test_indices, size)
    count = trainer.test_step.experimental_get_tracing_count()
    for shape in ((1, 50, 60), (3, 20, 70), (2, 33, 35)):
        labels, logits, _ = draw(0, shape)
        trainer.test_step(logits[..., :3], labels % 3, np.ones(shape[0], "f"))
    assert trainer.test_step.experimental_get_tracing_count() <= count + 1


@pytest.mark.long
def test_scores_against_the_network_called_by_hand(folder):
    trainer, data = make_trainer(folder)
    source = data.test_source
    confusion = np.zeros((3, 3), np.int64)
    for index in data.test_indices:
        images, labels = source.fetch(tf.constant([index], tf.int64))
        pixels = (images.numpy() / 255.0 - source.mean) / source.std
        predicted = trainer.network(pixels).numpy().argmax(-1)
        truth = labels.numpy()
        for i in range(3):
            for j in range(3):
                confusion[i, j] += ((truth == i) & (predicted == j)).sum()
    scores = evaluation.test(trainer, source, data.test_indices, 2)
    found = list(scores["test_iou"].values())
    expected = segmentation.intersections_over_unions(confusion)
    assert found == pytest.approx(expected.tolist(), abs=0.01)
    assert scores["test_pixel_accuracy"] == pytest.approx(
        confusion.trace() / confusion.sum(), abs=0.01
    )


def test_an_empty_folder_is_refused():
    with pytest.raises(ValueError, match=r"data\.dir is empty; expected a fol"):
        TASK.load_data(read(""))
