"""Executes a notebook and writes it with its outputs: what `npm run notebook` calls.

Arguments: the notebook, where to write it. The client is taken from this clone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

source, target = sys.argv[1], sys.argv[2]
client = Path(__file__).resolve().parents[1] / "src"
os.environ["PYTHONPATH"] = os.pathsep.join([str(client), os.environ.get("PYTHONPATH", "")])

notebook = nbformat.read(source, as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False).execute()
for cell in notebook.cells:
    if cell.cell_type == "code":
        # Bars of progress are for whoever watches.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
notebook.metadata.pop("widgets", None)
notebook.metadata["language_info"] = {"name": "python"}
nbformat.write(notebook, target)
