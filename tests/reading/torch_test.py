"""PyTorch trains on `tfds.data_source`, as in the README."""

import ast

import numpy as np
import pytest
import readme

pytestmark = readme.needs_extra("torch")


def test_a_model_learns_and_sees_each_image_once(digits, run_example):
    """The README's code: two workers run for some epochs after a first read."""
    code = readme.find_code("persistent_workers")
    line = '    source = tfds.data_source("image_csv/pets_arrays", split="train")\n'
    assert line in code
    *losses, facts = run_example(
        # That read would kill forked workers.
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
    """Two loaders with one seed are alike, but not one with another seed."""
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


def test_a_detector_learns_from_boxes_as_torchvision_takes_them(objects, run_example):
    """The page's code: its targets are the table's boxes, and its loss falls."""
    *losses, facts = run_example(
        readme.find_code("class Detector"),
        objects.data_dir,
        """
        import sys

        found = {}
        for example in source:
            image, target = to_target(example)
            assert image.dtype == target["boxes"].dtype == torch.float32
            assert target["labels"].dtype == torch.int64
            assert target["boxes"].shape == (*target["labels"].shape, 4)
            names_of = [names[label - 1] for label in target["labels"]]
            edges = target["boxes"].round(decimals=3).tolist()
            found[example["image/filename"].decode()] = [
                (name, *box) for name, box in zip(names_of, edges)
            ]
            assert image.shape == example["image"].transpose(2, 0, 1).shape
            assert 0 <= image.min() and image.max() <= 1
        print((found, "tensorflow" in sys.modules))
        """,
        epochs=("range(2)", "range(8)"),
    )
    losses = [float(loss.rpartition(" ")[2]) for loss in losses]
    assert len(losses) == 8
    assert min(losses[-3:]) < 0.7 * losses[0]
    found, has_tensorflow = ast.literal_eval(facts)
    assert not has_tensorflow
    assert len(found) == 38
    for name, boxes in found.items():
        assert sorted(boxes) == sorted(objects.boxes[name])


def test_a_model_learns_which_text_belongs_to_an_image(objects, run_example):
    """The page's code: texts are the table's, and the loss falls below guessing."""
    *losses, facts = run_example(
        readme.find_code("class Pairs"),
        objects.data_dir,
        """
        print({one["image/filename"].decode(): to_batch([one])[1][0] for one in source})
        """,
        epochs=("range(2)", "range(12)"),
    )
    losses = [float(loss.rpartition(" ")[2]) for loss in losses]
    assert len(losses) == 12
    assert min(losses[-3:]) < 0.8 * losses[0]
    found = ast.literal_eval(facts)
    assert found
    assert found == {name: objects.captions[name] for name in found}


def test_a_u_net_learns_masks_as_torchvision_takes_them(masked, run_example):
    """The page's code: masks are those of the records, and its loss falls."""
    *losses, facts = run_example(
        readme.find_code("class Segmenter"),
        masked,
        """
        import sys

        import numpy as np

        for example in source:
            images, masks = to_batch([example])
            assert (images.shape, images.dtype) == ((1, 3, 32, 32), torch.float32)
            assert (masks.shape, masks.dtype) == ((1, 32, 32), torch.int64)
            assert 0 <= images.min() and images.max() <= 1
            # Nearest to centers, as the builder and TensorFlow resize masks.
            whole = example["segmentation_mask"][..., 0]
            rows, columns = (
                ((np.arange(32) + 0.5) * side / 32).astype(int) for side in whole.shape
            )
            assert (masks[0].numpy() == whole[rows][:, columns]).all()
        print((len(source), "tensorflow" in sys.modules))
        """,
        epochs=("range(2)", "range(8)"),
    )
    losses = [float(loss.rpartition(" ")[2]) for loss in losses]
    assert len(losses) == 8
    assert losses[-1] < 0.5 * losses[0]
    assert ast.literal_eval(facts) == (32, False)
