"""Files of other libraries, known by their first bytes: what they are, and how their arrays get into a model."""

from __future__ import annotations

_TORCH = (
    'a PyTorch file: state = torch.load(path, map_location="cpu", weights_only=True), then '
    "model.load_state_dict(state), which takes torch tensors; or torch's safetensors.torch.save_file(state, path)"
)
_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # a pickle of torch's magic number, in the first bytes


def described(data: bytes) -> str | None:
    """What a file is and how to convert it, or None where that is not known."""
    if data[:4] == b"PK\x03\x04":
        return _archive(data)
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        if _LEGACY_TORCH in data[:32]:
            return _TORCH
        return "a pickle, which can run any code when it is read: write arrays with fastnn.save where it is trusted"
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        return (
            "an HDF5 file, as Keras writes: open it with h5py and give model.load_state_dict a dict of its arrays; "
            "Keras has the axes of weights in another order than fastnn"
        )
    if data[:6] == b"\x93NUMPY":
        return "a NumPy array: np.load(path)"
    if _looks_like_onnx(data):
        return (
            "an ONNX file: {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer} are its "
            "arrays, for model.load_state_dict under the names of the model"
        )
    return None


def _archive(data: bytes) -> str:
    """A zip archive is known by the names in it; the list of them is at its end, and each name is before its file."""
    if b"data.pkl" in data:
        return _TORCH
    if b".npy" in data:
        return "a NumPy archive: give np.load(path) to model.load_state_dict, or to fastnn.save as a dict"
    if b"model.weights.h5" in data:
        return (
            "a Keras file: get its arrays by keras.models.load_model(path).get_weights(); Keras has the axes of "
            "weights in another order than fastnn"
        )
    return "a zip archive"


def _looks_like_onnx(data: bytes) -> bool:
    """A protobuf message that begins with ir_version, a small number (field 1), and goes on with a field of ModelProto:
    producer_name, producer_version or domain (2 to 4, text), or graph or opset_import (7, 8)."""
    return len(data) > 8 and data[0] == 0x08 and 0 < data[1] < 32 and data[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42)
