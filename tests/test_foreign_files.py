"""Files of other libraries: the error says what the file is and how to convert it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn
from fastnn.files.checkpoint import CheckpointError

READERS = (fnn.load, fnn.load_state, fnn.load_metadata)


def archive(names, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name in names:
            file.writestr(name, b"content of " + name.encode())
    return buffer.getvalue()


def saved_by_numpy(save, *args, **kwargs):
    buffer = io.BytesIO()
    save(buffer, *args, **kwargs)
    return buffer.getvalue()


FILES = {
    "torch": (archive(["model/data.pkl", "model/version", "model/data/0"]), r"PyTorch.*torch\.load\(.*load_state_dict"),
    "torch script": (archive(["m/constants.pkl", "m/code/m.py", "m/data.pkl"], zipfile.ZIP_DEFLATED), "PyTorch"),
    "legacy torch": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps([1], protocol=2), "PyTorch"),
    "pickle": (pickle.dumps({"weight": np.ones(3)}), "a pickle, which can run any code"),
    "keras": (archive(["metadata.json", "config.json", "model.weights.h5"]), r"Keras.*get_weights\(\)"),
    "npz": (saved_by_numpy(np.savez, weight=np.ones(3)), r"NumPy archive.*np\.load"),
    "npy": (saved_by_numpy(np.save, np.ones(3)), r"NumPy array: np\.load"),
    "zip": (archive(["readme.txt"]), "a zip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5.*h5py"),
    "onnx": (b"\x08\x0a\x12\x07pytorch\x1a\x03 2.9" + bytes(100), r"ONNX.*to_array"),
    "unknown": (b"\xff" * 100, "not a whole safetensors file"),
    "text": (json.dumps({"weight": [1, 2, 3]}).encode(), "not a whole safetensors file"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_foreign_file_is_named(kind, tmp_path):
    content, reason = FILES[kind]
    path = tmp_path / "model.pt"
    for data in (content, content[: max(40, len(content) - 60)]):
        path.write_bytes(data)
        for read in READERS:
            with pytest.raises(CheckpointError, match="not a whole safetensors file") as caught:
                read(path)
            assert str(path) in str(caught.value)
            if data is content:
                assert caught.match(reason)
    assert ("It is" in str(caught.value)) == (kind not in ("unknown", "text"))


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_what_torch_saves_and_the_way_that_the_error_shows(options, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for value in (theirs.state_dict(), theirs):
        torch.save(value, path, **options)
        for read in READERS:
            with pytest.raises(CheckpointError, match=r"PyTorch file: state = torch\.load\(path"):
                read(path)
    torch.save(theirs.state_dict(), path, **options)
    ours = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert ours.load_state_dict(state) == ([], [])
    np.testing.assert_array_equal(ours[0].weight.data, theirs[0].weight.detach().numpy())


def test_what_onnx_saves(tmp_path):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "weight")
    shapes = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "graph", [shapes[0]], [shapes[1]], [weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(CheckpointError, match="ONNX file"):
        fnn.load(tmp_path / "model.onnx")
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "model.onnx").graph.initializer}
    layer = nn.Linear(2, 3, bias=False)
    layer.load_state_dict(found)
    assert (layer.weight.data == 1).all()
