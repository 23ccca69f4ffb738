"""TensorFlow: Keras layers and optimizer, a training step in one tf.function, (N, H, W, C). Steps, recurrent rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ..row import EMBEDDING, HIDDEN, LAYERS, RECURRENT, VOCABULARY, Row
from . import tensorflow_recurrent


def set_threads(n: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(n)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def version() -> str:
    return f"tensorflow {tf.__version__}"


class Model:
    """Keras layers under the names of torch's state_dict, so that all libraries start from the same weights."""

    def __init__(self, row: Row) -> None:
        self.row = row
        images = len(row.x) == 4
        self.x = self.y = keras.Input(
            (*row.x[2:], row.x[1]) if images else row.x[:1], dtype=None if images else "int32"
        )

    def load(self, layer: Any, name: str, convert: Callable[[np.ndarray], np.ndarray]) -> Model:
        """torch's weight and bias into a layer that has been called."""
        kernel = layer.trainable_variables[0]
        shape = self.torch_shape(layer, tuple(kernel.shape))
        kernel.assign(convert(self.row.weight(f"{name}.weight", shape)))
        for bias in layer.trainable_variables[1:]:
            bias.assign(self.row.weight(f"{name}.bias", tuple(bias.shape)))
        return self

    @staticmethod
    def torch_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        if isinstance(layer, layers.DepthwiseConv2D):
            return (shape[2], 1, *shape[:2])
        return (*shape[:1:-1], *shape[:2]) if len(shape) == 4 else shape[::-1]

    def conv(self, name: str, k: int, kernel: Any, stride: int = 1, pad: Any = 0, **options: Any) -> Model:
        """Keras knows only "same" and "valid"; other padding is a layer of its own."""
        same = stride == 1 and pad != 0
        self.y = self.y if same or pad == 0 else layers.ZeroPadding2D(pad)(self.y)
        how = {"strides": stride, "padding": "same" if same else "valid", **options}
        depthwise = how.pop("depthwise", False)
        layer = layers.DepthwiseConv2D(kernel, **how) if depthwise else layers.Conv2D(k, kernel, **how)
        self.y = layer(self.y)
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        return self.load(layer, name, lambda w: w.transpose(order))

    def norm(self, name: str) -> Model:
        layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.y = layer(self.y)
        return self.load(layer, name, lambda w: w)

    def then(self, layer: Any) -> Model:
        """A layer without weights."""
        self.y = layer(self.y)
        return self

    def relu(self) -> Model:
        return self.then(layers.ReLU())

    def linear(self, name: str, outputs: int) -> Model:
        layer = layers.Dense(outputs)
        self.y = layer(self.y)
        return self.load(layer, name, lambda w: w.T)

    def flatten_linear(self, name: str, outputs: int) -> Model:
        """torch flattens (C, H, W), Keras (H, W, C): the rows of the weight change places, not the activations."""
        h, w, c = self.y.shape[1:]
        layer = layers.Dense(outputs)
        self.y = layer(layers.Flatten()(self.y))
        return self.load(layer, name, lambda v: v.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(h * w * c, -1))

    def embedding(self, name: str, rows: int, size: int) -> Model:
        layer = layers.Embedding(rows, size)
        self.y = layer(self.y)
        layer.set_weights([self.row.weight(f"{name}.weight", (rows, size))])
        return self

    def lstm(self, suffix: str, hidden: int, both: bool = False, channels: int = 1) -> Model:
        """Features of a map are (C, pixels) in torch, (pixels, C) here: the rows of the kernel change places."""
        inputs, layer = self.y.shape[-1], tensorflow_recurrent.layer("LSTM", hidden, both)
        self.y = layer(self.y)
        weights: list[np.ndarray] = []
        for direction in ("", "_reverse")[: 1 + both]:
            kernel, *rest = tensorflow_recurrent.parameters(
                self.row, "LSTM", suffix + direction, inputs, hidden, prefix="lstm."
            )
            kernel = kernel.reshape(channels, -1, 4 * hidden).swapaxes(0, 1).reshape(kernel.shape)
            weights += [kernel, *rest]
        layer.set_weights(weights)
        return self


def char_lstm(m: Model) -> None:
    m.embedding("embedding", VOCABULARY, EMBEDDING)
    for i in range(LAYERS):
        m.lstm(f"_l{i}", HIDDEN)
    m.linear("head", VOCABULARY)


def crnn(m: Model) -> None:
    for place, k, pool in ((0, 32, 2), (4, 64, 2), (8, 128, (2, 1)), (12, 128, (2, 1))):
        conv_norm(m, "features.", place, k, 3, pad=1).relu().then(layers.MaxPooling2D(pool))
    h, w, c = m.y.shape[1:]
    m.then(layers.Permute((2, 1, 3))).then(layers.Reshape((w, h * c)))
    m.lstm("_l0", 128, both=True, channels=c).linear("head", 11)


def video(m: Model) -> None:
    for place, k in ((0, 16), (3, 32)):
        m.conv(f"features.{place}", k, 3, pad=1).relu().then(layers.MaxPooling2D(2))
    h, w, c = m.y.shape[1:]
    m.y = keras.ops.reshape(m.y, (-1, m.row.options["frames"], h * w * c))
    m.lstm("_l0", 128, channels=c).linear("head", 10)


def lenet(m: Model) -> None:
    m.conv("0", 6, 5, pad=2).relu().then(layers.MaxPooling2D(2))
    m.conv("3", 16, 5).relu().then(layers.MaxPooling2D(2))
    m.flatten_linear("7", 120).relu().linear("9", 84).relu().linear("11", 10)


def conv_norm(m: Model, name: str, place: int, *arguments: Any, **options: Any) -> Model:
    return m.conv(f"{name}{place}", *arguments, use_bias=False, **options).norm(f"{name}{place + 1}")


def residual(m: Model, name: str, k: int, stride: int) -> None:
    x = m.y
    conv_norm(m, f"{name}.body.", 0, k, 3, stride, 1).relu()
    body = conv_norm(m, f"{name}.body.", 3, k, 3, 1, 1).y
    m.y = x
    if stride > 1:
        conv_norm(m, f"{name}.shortcut.", 0, k, 1, stride)
    m.y = layers.Add()([body, m.y])
    m.relu()


def resnet(m: Model) -> None:
    conv_norm(m, "", 0, 16, 3, pad=1).relu()
    for name, k, stride in (("3", 16, 1), ("4", 32, 2), ("5", 64, 2)):
        residual(m, name, k, stride)
    m.then(layers.GlobalAveragePooling2D()).linear("8", 10)


def keyword(m: Model) -> None:
    conv_norm(m, "", 0, 64, (10, 4), 2, (5, 1)).relu()
    for place in range(3, 27, 6):
        conv_norm(m, "", place, 64, 3, pad=1, depthwise=True).relu()
        conv_norm(m, "", place + 3, 64, 1).relu()
    m.then(layers.GlobalAveragePooling2D()).linear("29", 12)


MODELS = {"char_lstm": char_lstm, "crnn": crnn, "keyword": keyword, "lenet": lenet, "resnet": resnet, "video": video}


def samples(row: Row, y: Any) -> tuple[Any, Any]:
    """Input and target as Keras has them: channels last; of sequences, (N, T)."""
    x, target = row.samples()
    if row.kind in ("char_lstm", "crnn"):
        target = target.reshape(y.shape[1], -1).T
    elif row.kind == "video":
        target = target.reshape(-1, y.shape[1])
    return tf.constant(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.T), tf.constant(target)


def build(row: Row) -> dict[str, Callable[[], Any]]:
    if row.kind in RECURRENT:
        return tensorflow_recurrent.build(row)
    if row.kind not in MODELS:
        return {}
    m = Model(row)
    MODELS[row.kind](m)
    model = keras.Model(m.x, m.y)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, target = samples(row, m.y)

    @tf.function  # XLA (jit_compile) is slower on these
    def step(x: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(target, model(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return loss

    return {"train": lambda: step(x, target).numpy()}


def to_arrays(value: Any, row: Row) -> Any:
    return tensorflow_recurrent.to_arrays(value, row) if row.kind in RECURRENT else value
