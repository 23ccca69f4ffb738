"""One adapter per library. An adapter has

version()       what was measured, for the table
set_threads(n)  before anything is built; the process is bound to n cores already
build(row)      {"forward": call, "train": call}, {} where the library has no such row. A call of forward returns y, of
                train y and all gradients, of a step the loss, of an optimizer the parameters; of a ragged row y with
                zeros beyond the end of each sequence, of a streaming row h after one time step more
to_arrays(value, row)  only where shapes differ from torch's: the returned value as arrays in torch's shapes

Every rival gets its best settings; ``INSTALL`` says how to get the libraries.
"""

INSTALL = {
    "fastnn": "pip install .",
    "jax": "pip install jax",
    "ncnn": "pip install ncnn",
    "onnxruntime": "pip install onnx onnxruntime",
    "openvino": "pip install onnx openvino",
    "tensorflow": "python -m venv tf && tf/bin/pip install tensorflow, then --python tensorflow=tf/bin/python",
    "torch": "pip install torch --index-url https://download.pytorch.org/whl/cpu",
    "torch_cl": "pip install torch --index-url https://download.pytorch.org/whl/cpu",
}
RIVALS = [name for name in INSTALL if name != "fastnn"]
