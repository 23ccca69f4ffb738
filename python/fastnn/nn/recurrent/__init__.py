"""Recurrent layers and cells, what goes in and out of them, and streams."""

from fastnn.nn.recurrent.base import Recurrent
from fastnn.nn.recurrent.cells import Cell, GRUCell, LSTMCell, RNNCell
from fastnn.nn.recurrent.gru import GRU
from fastnn.nn.recurrent.lstm import LSTM
from fastnn.nn.recurrent.rnn import RNN
from fastnn.nn.recurrent.steps import LastStep, Output

__all__ = ["GRU", "LSTM", "RNN", "Cell", "GRUCell", "LSTMCell", "LastStep", "Output", "RNNCell", "Recurrent"]
