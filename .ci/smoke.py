"""Run in an environment that has nothing but the wheel: trains, saves, loads, and prints what importing costs."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import fastnn as fnn
from fastnn import nn

fnn.manual_seed(0)
rng = np.random.default_rng(0)
y = rng.integers(0, 2, 64)
x = rng.standard_normal((64, 1, 12, 12)).astype(np.float32)
x[y == 0, :, :6, :6] += 1  # a bright corner: upper left, or lower right
x[y == 1, :, 6:, 6:] += 1
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 2))
optimizer = fnn.optim.Adam(model.parameters(), lr=1e-2)
losses = []
for _ in range(20):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"20 steps: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
assert losses[-1] < 0.5 * losses[0]

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    fnn.save(model, path)
    assert np.array_equal(fnn.load(path).predict(x), model.predict(x))

code = "import time, numpy; start = time.perf_counter(); import fastnn; print(time.perf_counter() - start)"
times = [
    float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    for _ in range(5)
]
print(f"import fastnn: {1000 * min(times):.0f} ms beyond NumPy's own")
assert not {"torch", "sklearn", "scipy", "matplotlib", "pytest"} & {name.split(".")[0] for name in sys.modules}
