"""PyTorch trains on `tfds.data_source`, as in the README."""

import ast

import numpy as np
import pytest
import readme

pytestmark = readme.needs_extra("torch")


def test_a_model_learns_and_sees_each_image_once(digits, run_example):
    """The README's code, whose two workers go on for some epochs after a look."""
    code = readme.find_code("DataLoader(")
    line = '    source = tfds.data_source("image_csv/pets_arrays", split="train")\n'
    assert line in code
    *losses, facts = run_example(
        # Workers that are forked die of that look.
        code.replace(line, f"{line}    source[0]\n"),
        digits.data_dir,
        """
        import sys

        expected, labels = to_batch(list(source))
        keys = sorted(pixels.numpy().tobytes() for pixels in expected)
        epochs = [torch.cat([images for images, _ in loader]) for _ in range(2)]
        print(
            {
                "images": len(expected),
                "different": len(set(keys)),
                "shape": tuple(expected.shape),
                "dtypes": (str(expected.dtype), str(labels.dtype)),
                "range": (expected.min().item(), expected.max().item()),
                "each once": [
                    sorted(pixels.numpy().tobytes() for pixels in epoch) == keys
                    for epoch in epochs
                ],
                "same order": torch.equal(*epochs),
                "labels": labels.tolist(),
                "workers": loader.num_workers,
                "tensorflow": "tensorflow" in sys.modules,
            }
        )
        """,
        epochs=("range(2)", "range(10)"),
    )
    first, *_, last = [float(loss.rpartition(" ")[2]) for loss in losses]
    assert len(losses) == 10
    assert last < 0.7 * first

    facts = ast.literal_eval(facts)
    low, high = facts.pop("range")
    assert low == pytest.approx(0, abs=0.1)
    assert high == pytest.approx(1, abs=0.1)
    assert facts == {
        "images": 288,
        "different": 288,
        "shape": (288, 3, 32, 32),
        "dtypes": ("torch.float32", "torch.int64"),
        "each once": [True, True],
        "same order": False,
        "labels": [one["label"] for one in digits.source("train")],
        "workers": 2,
        "tensorflow": False,
    }


def test_images_are_those_of_the_files(digits):
    """Batches have the pixels and the labels that the CSV names."""
    import torch

    source = digits.source("train")
    names = source.dataset_info.features["label"].names
    loader = torch.utils.data.DataLoader(source, batch_size=32, collate_fn=list)
    examples = [example for batch in loader for example in batch]
    assert len(examples) == len(source)
    for example in examples:
        filename = example["image/filename"].decode()
        assert names[example["label"]] == digits.labels[filename]
        np.testing.assert_array_equal(
            torch.tensor(example["image"]).numpy(), digits.pixels(filename)
        )


def test_a_seed_repeats_the_order(digits):
    """Two loaders with one seed are alike, another seed isn't."""
    import torch

    def order(seed):
        loader = torch.utils.data.DataLoader(
            digits.source("train"),
            batch_size=32,
            shuffle=True,
            collate_fn=lambda batch: [one["image/filename"] for one in batch],
            generator=torch.Generator().manual_seed(seed),
        )
        return [name for batch in loader for name in batch]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))
