"""The notebook runs from its first cell to its last, as it is in the repository."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_pose.ipynb"
TIMEOUT_S = 600
"""Of a cell, on a busy machine; a quiet one takes less than a minute for all of them."""


def read_notebook():
    nbformat = pytest.importorskip("nbformat", reason="skipped: nbclient is not installed (the extra `dev`)")
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_stored_without_outputs():
    cells = [cell for cell in read_notebook().cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_the_notebook_finds_its_objects(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="skipped: nbclient is not installed (the extra `dev`)")
    pytest.importorskip("ipykernel", reason="skipped: ipykernel is not installed (the extra `dev`)")
    notebook = read_notebook()
    client = nbclient.NotebookClient(
        notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    shown = [output.data for output in outputs if "data" in output]
    html = "".join(data.get("text/html", "") for data in shown)
    assert "<figcaption>demo 0/0, 640x480 pixels; " in html
    assert html.count("mm (camera: right, down, forward)") >= 2
    picture = next(data["image/png"] for data in shown if "image/png" in data)
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).shape == (480, 640, 3)
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    errors_mm = [
        float(line.split(", ")[1].split()[0]) for line in printed.splitlines() if ": certified, " in line
    ]
    assert errors_mm
    assert max(errors_mm) < 10
    for said in (
        "depth_m must be in metres",
        "it is transposed",
        "depth_m must have the 320x240 pixels of rgb",
    ):
        assert said in printed
