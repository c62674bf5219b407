"""JAX trains on `tfds.data_source` with Grain, as in the README."""

import ast

import numpy as np
import pytest
import readme

pytestmark = readme.needs_extra("jax")

LOSS = "loss "


def test_a_model_learns(digits, run_example):
    """The README's code; its loss falls over some epochs."""
    *losses, facts = run_example(
        readme.find_code("import jax"),
        digits.data_dir,
        """
        import sys

        print(
            {
                "batch": (batch["image"].shape, str(batch["image"].dtype)),
                "range": (float(batch["image"].min()), float(batch["image"].max())),
                "tensorflow": "tensorflow" in sys.modules,
            }
        )
        """,
        epochs=("repeat(2)", "repeat(15)"),
    )
    losses = [float(line.removeprefix(LOSS)) for line in losses]
    assert len(losses) == 15 * 288 / 32
    assert np.mean(losses[-9:]) < 0.7 * losses[0]

    facts = ast.literal_eval(facts)
    low, high = facts.pop("range")
    assert low == pytest.approx(0, abs=0.1)
    assert high == pytest.approx(1, abs=0.1)
    assert facts == {"batch": ((32, 32, 32, 3), "float32"), "tensorflow": False}


def pipeline(digits, *, seed=0, epochs=1):
    """Returns Grain's dataset of shuffled examples."""
    import grain

    return (
        grain.MapDataset.source(digits.source("train"))
        .seed(seed)
        .shuffle()
        .repeat(epochs)
        .map(lambda example: (example["image/filename"].decode(), example))
    )


def test_images_are_those_of_the_files(digits):
    """They have the pixels and the labels that the CSV names."""
    names = digits.source("train").dataset_info.features["label"].names
    examples = list(pipeline(digits).to_iter_dataset())
    assert len(examples) == 288
    for filename, example in examples:
        assert names[example["label"]] == digits.labels[filename]
        np.testing.assert_array_equal(example["image"], digits.pixels(filename))


def test_shuffled_epochs_have_each_image_once(digits):
    """Each epoch has another order, which the seed repeats."""

    def order(**kwargs):
        names = [name for name, _ in pipeline(digits, epochs=2, **kwargs)]
        return names[:288], names[288:]

    expected = sorted(one["image/filename"].decode() for one in digits.source("train"))
    first, second = order(seed=0)
    assert sorted(first) == sorted(second) == expected
    assert first != second
    assert order(seed=0) == (first, second)
    assert order(seed=1) != (first, second)


def test_processes_give_what_threads_give(digits, run_example):
    """The README's batches, in the same order, from two other processes."""
    code = readme.find_code("import jax")
    # Only reading matters here.
    definitions, source, rest = code.partition("source = ")
    pipeline = (source + rest).partition("num_classes")[0]
    lines = run_example(
        f"import os\nfrom absl import flags\n{definitions}",
        digits.data_dir,
        checks=f"""
        flags.FLAGS.mark_as_parsed()
{indent(pipeline)}
        source[0]
        options = grain.multiprocessing.MultiprocessingOptions(num_workers=2)
        expected = list(batches)
        found = list(batches.mp_prefetch(options))
        print(len(expected), len(found))
        for one, other in zip(expected, found):
            np.testing.assert_array_equal(one["image"], other["image"])
            np.testing.assert_array_equal(one["label"], other["label"])
        """,
    )
    assert lines == ["18 18"]


def test_boxes_in_batches(objects, run_example):
    """The page's code: boxes are padded; the real ones are the table's."""
    *shapes, facts = run_example(
        readme.find_code("MOST = 8"),
        objects.data_dir,
        """
        names = source.dataset_info.features["objects"].feature["label"].names
        found, padded = {}, []
        for example in source:
            arrays = to_arrays(example)
            boxes, labels = arrays["boxes"], arrays["labels"]
            padded.append(boxes.tobytes())
            count = int((labels >= 0).sum())
            assert (labels[count:] == -1).all() and not boxes[count:].any()
            height, width = example["image"].shape[:2]
            edges = boxes[:count, [1, 0, 3, 2]] * [width, height, width, height]
            found[example["image/filename"].decode()] = [
                (names[label], *edge.round(3).tolist())
                for label, edge in zip(labels, edges)
            ]
        in_batches = [boxes.tobytes() for batch in batches for boxes in batch["boxes"]]
        assert sorted(in_batches) == sorted(padded)
        print(found)
        """,
    )
    assert len(shapes) == 3
    assert all(", 8, 4)" in line and ", 64, 64, 3)" in line for line in shapes)
    found = ast.literal_eval(facts)
    assert len(found) == 38
    for name, boxes in found.items():
        assert sorted(boxes) == sorted(objects.boxes[name])


def indent(code):
    """Returns code for a block, indented by eight spaces."""
    return "".join(f"        {line}\n" for line in code.splitlines())
