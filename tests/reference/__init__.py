"""The specification: every op in float64 NumPy, a few lines each, written to be read. One file per op;
activation.py, optimizer.py and pointwise_loss.py are tables as well."""

from reference.avgpool2d import adaptive_avgpool1d, adaptive_avgpool2d, avgpool1d, avgpool2d
from reference.batchnorm import batchnorm
from reference.conv2d import conv1d, conv2d
from reference.conv_transpose2d import conv_transpose1d, conv_transpose2d
from reference.crf import crf_loss, crf_score
from reference.cross_entropy import cross_entropy
from reference.ctc import ctc_collapse, ctc_loss
from reference.embedding import embedding
from reference.gru import gru
from reference.gru_variant import gru_variant
from reference.linear import linear
from reference.lstm import lstm
from reference.lstm_variant import lstm_variant
from reference.maxpool2d import maxpool1d, maxpool2d, window_count
from reference.optimizer import adam, adamw, sgd
from reference.rnn import rnn
from reference.softmax import log_softmax, softmax

__all__ = [
    "adam",
    "adamw",
    "adaptive_avgpool1d",
    "adaptive_avgpool2d",
    "avgpool1d",
    "avgpool2d",
    "batchnorm",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "crf_loss",
    "crf_score",
    "cross_entropy",
    "ctc_collapse",
    "ctc_loss",
    "embedding",
    "gru",
    "gru_variant",
    "linear",
    "log_softmax",
    "lstm",
    "lstm_variant",
    "maxpool1d",
    "maxpool2d",
    "rnn",
    "sgd",
    "softmax",
    "window_count",
]
