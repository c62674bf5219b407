"""A dataset can be looked at, as in the README."""

import readme


def test_a_table_and_pictures(digits, run_example):
    """Rows are examples, with thumbnails in HTML; pictures have the class below."""
    lines = run_example(
        readme.find_code("tfds.as_dataframe("),
        digits.data_dir,
        """
        for filename, label in zip(table["image/filename"], table["label"]):
            print(filename.decode(), info.features["label"].int2str(label))
        html = table._repr_html_()  # what a notebook asks for
        print(html.count('<img src="data:image/png;base64,'), html.count("digit "))
        for axes in figure.axes:
            [image] = axes.get_images()
            print(image.get_array().shape, axes.get_xlabel())
        """,
        with_tensorflow=True,
    )
    examples = list(digits.source("train"))[:10]
    assert len(lines) == 10 + 1 + 8
    for line, example in zip(lines[:10], examples, strict=True):
        filename = example["image/filename"].decode()
        assert line == f"{filename} {digits.labels[filename]}"
    assert lines[10] == "10 10"
    for line, example in zip(lines[11:], examples[:8], strict=True):
        label = digits.labels[example["image/filename"].decode()]
        assert line == f"{example['image'].shape} {label} ({example['label']})"
