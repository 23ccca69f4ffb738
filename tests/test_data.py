import numpy as np
import pytest

import fastnn as fnn
from fastnn import data


def test_batches_go_over_every_sample_once(rng):
    x, y = rng.standard_normal((23, 2, 3)), np.arange(23)
    for shuffle in (False, True):
        got = list(data.batches((x, y), 5, rng=1, shuffle=shuffle))
        assert [len(b) for _, b in got] == [5, 5, 5, 5, 3]
        order = np.concatenate([b for _, b in got])
        assert np.array_equal(np.sort(order), y)
        assert np.array_equal(order, y) == (not shuffle)
        assert np.array_equal(np.concatenate([a for a, _ in got]), x[order])
    assert [len(b) for b in data.batches(y, 5, drop_last=True)] == [5, 5, 5, 5]
    assert list(data.batches(np.zeros((0, 3)), 5)) == []


def test_the_order_is_that_of_the_seed():
    def order(rng):
        return np.concatenate(list(data.batches(np.arange(50), 7, rng=rng)))

    assert np.array_equal(order(3), order(np.random.default_rng(3)))
    assert not np.array_equal(order(3), order(4))
    fnn.manual_seed(5)
    first = order(None)
    second = order(None)
    fnn.manual_seed(5)
    assert np.array_equal(first, order(None))
    assert not np.array_equal(first, second)


def test_batches_are_contiguous_whatever_the_array_is(rng, tmp_path):
    x = rng.standard_normal((4, 3, 10)).astype(np.float32)
    np.save(tmp_path / "x.npy", x.transpose(2, 0, 1).copy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for array in (x.transpose(2, 0, 1), x.transpose(2, 1, 0), np.asfortranarray(x.transpose(2, 0, 1)), mapped):
        for shuffle in (False, True):
            for a, i in data.batches((array, np.arange(10)), 4, shuffle=shuffle):
                assert a.flags.c_contiguous
                assert np.array_equal(a, array[i])


def test_batches_errors():
    with pytest.raises(ValueError, match="array 0 has 3 samples but array 1 has 4"):
        data.batches((np.zeros(3), np.zeros(4)), 2)
    with pytest.raises(ValueError, match="batch_size is 0"):
        data.batches(np.zeros(3), 0)
    with pytest.raises(TypeError, match=r"batch_size is 2\.5"):
        data.batches(np.zeros(3), 2.5)
    with pytest.raises(ValueError, match="single value"):
        data.batches(np.float32(3), 1)
    with pytest.raises(ValueError, match="no arrays"):
        data.batches((), 1)


def test_split(rng):
    x, y = rng.standard_normal((10, 2)), np.arange(10)
    (a, i), (b, j) = data.split((x, y), 0.3, seed=0)
    assert (len(i), len(j)) == (7, 3)
    assert np.array_equal(np.sort(np.concatenate([i, j])), y)
    assert np.array_equal(a, x[i])
    assert np.array_equal(b, x[j])
    assert np.array_equal(data.split(y, 0.3, seed=0)[1], j)
    assert [len(part) for part in data.split(y[:2], 0.99)] == [1, 1]
    assert [len(part) for part in data.split(y, 0.01)] == [9, 1]
    for wrong in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="fraction is"):
            data.split(y, wrong)
    with pytest.raises(ValueError, match="1 samples"):
        data.split(y[:1], 0.5)


def test_vocabulary():
    text = "The übung: 'ß' \N{GRINNING FACE}\n the end"
    vocabulary = data.Vocabulary(text)
    assert vocabulary.alphabet == "".join(sorted(set(text)))
    assert len(vocabulary) == len(set(text))
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64
    assert [vocabulary.alphabet[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode([]) == ""
    assert vocabulary.encode("").shape == (0,)
    assert data.Vocabulary(vocabulary.alphabet).alphabet == vocabulary.alphabet
    for unknown in ("Thx", "Th\N{PILE OF POO}", "Th\0"):
        with pytest.raises(ValueError, match="at position 2 is not one of the"):
            vocabulary.encode(unknown)
    with pytest.raises(ValueError, match="index -1 is out of range"):
        vocabulary.decode([0, -1])
    with pytest.raises(ValueError, match=f"index {len(vocabulary)} is out of range"):
        vocabulary.decode(np.array([len(vocabulary)]))
    with pytest.raises(TypeError, match="float64"):
        vocabulary.decode([0.5])
    with pytest.raises(TypeError, match="text is a bytes"):
        data.Vocabulary(b"abc")
    with pytest.raises(ValueError, match="empty"):
        data.Vocabulary("")


def test_windows():
    x, y = data.windows(np.arange(100), 7)
    assert x.shape == y.shape == (14, 7)
    assert np.array_equal(y, x + 1)
    assert np.array_equal(x.ravel(), np.arange(98))
    x, y = data.windows(np.arange(100), 7, stride=1)
    assert x.shape == (93, 7)
    assert np.array_equal(x[:, 0], np.arange(93))
    with pytest.raises(ValueError, match="7 ids are too few for 7 steps"):
        data.windows(np.arange(7), 7)
    with pytest.raises(ValueError, match="one dimension"):
        data.windows(np.zeros((9, 9), int), 7)


@pytest.mark.parametrize(("length", "steps", "size"), [(101, 5, 4), (103, 7, 3), (12, 11, 1), (3, 1, 2)])
def test_streams_go_on_from_batch_to_batch(length, steps, size):
    got = list(data.sequence_batches(np.arange(length), steps, size))
    for x, y in got:
        assert x.shape == y.shape == (steps, size)
        assert x.flags.c_contiguous
        assert np.array_equal(y, x + 1)
    streams = np.concatenate([x for x, _ in got])
    assert np.all(np.diff(streams, axis=0) == 1)
    assert np.array_equal(streams[0], np.arange(size) * ((length - 1) // size))
    assert len(np.unique(streams)) == streams.size > length - 1 - size * steps - size


def test_shuffled_windows():
    firsts = set()
    for seed in range(20):
        got = list(data.sequence_batches(np.arange(104), 5, 4, shuffle=True, rng=seed))
        assert len(got) == 5
        everything = np.concatenate([x for x, _ in got], axis=1)
        assert all(np.array_equal(y, x + 1) for x, y in got)
        assert np.all(np.diff(everything, axis=0) == 1)
        assert np.array_equal(np.sort(everything.ravel()), everything.min() + np.arange(100))
        assert not np.all(np.diff(everything[0]) > 0)
        firsts.add(int(everything.min()))
    assert firsts == {0, 1, 2, 3}
    again = list(data.sequence_batches(np.arange(104), 5, 4, shuffle=True, rng=19))
    assert all(np.array_equal(a, b) for a, b in zip(got[0], again[0], strict=True))


def test_sequence_errors():
    for message, call in {
        "10 ids are too few for 2 streams of 5 steps": lambda: data.sequence_batches(np.arange(10), 5, 2),
        "3 ids are too few for 5 steps": lambda: data.sequence_batches(np.arange(3), 5, 1),
        "batch_size is 0": lambda: data.sequence_batches(np.arange(10), 5, 0),
        "steps is 0": lambda: data.sequence_batches(np.arange(10), 0, 1),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="float64"):
        data.sequence_batches(np.zeros(10), 5, 1)


def test_batches_made_once_serve_every_epoch(rng):
    x, y = rng.standard_normal((10, 2)), np.arange(10)
    made = data.batches((x, y), 4, rng=3)
    assert len(made) == 3
    passes = [np.concatenate([b for _, b in made]) for _ in range(3)]
    assert all(np.array_equal(np.sort(order), y) for order in passes)
    assert not np.array_equal(passes[0], passes[1])
    again = data.batches((x, y), 4, rng=3)
    assert all(np.array_equal(np.concatenate([b for _, b in again]), order) for order in passes)
    both = zip(data.batches(y, 4, shuffle=False), data.batches(y, 4, shuffle=False), strict=True)
    assert all(np.array_equal(a, b) for a, b in both)
    for shuffle in (False, True):
        text = data.sequence_batches(np.arange(104), 5, 4, shuffle=shuffle, rng=1)
        first, second = list(text), list(text)
        assert len(first) == len(second) == len(text) == 5
        assert np.array_equal(first[0][0], second[0][0]) == (not shuffle)


def test_a_list_is_ragged_sequences(rng):
    x = [rng.standard_normal((t, 3)) for t in (4, 2, 5, 1, 3)]
    y = np.arange(5)
    seen = []
    for a, b in data.batches((x, y), 2):
        assert isinstance(a, list)
        assert all(part is x[i] for part, i in zip(a, b, strict=True))
        seen += b.tolist()
    assert sorted(seen) == y.tolist()
    assert [len(part) for part in data.batches(x, 2, shuffle=False)] == [2, 2, 1]
    (a, i), (b, j) = data.split((x, y), 0.4, seed=0)
    assert all(part is x[k] for part, k in zip(a + b, [*i, *j], strict=True))
    equal = [np.zeros((4, 3)), np.zeros((4, 3))]  # two sequences, not one array
    assert [type(part) for part in data.batches(equal, 2)] == [list]
    assert next(iter(data.batches([1, 2, 3], 3, shuffle=False))).tolist() == [1, 2, 3]
    assert next(iter(data.batches([[1, 2], [3, 4]], 2, shuffle=False))).shape == (2, 2)
    assert [part.tolist() for part in next(iter(data.batches([[1, 2], [3]], 2, shuffle=False)))] == [[1, 2], [3]]
    with pytest.raises(ValueError, match=r"ragged sequences .* has shape \(4, 3\) and .* has \(4,\); .* into a tuple"):
        data.batches([np.zeros((4, 3)), np.zeros(4)], 2)


def test_batches_along_another_axis(rng):
    x, y, z = rng.standard_normal((4, 7, 2)), np.arange(7), rng.standard_normal((7, 3))
    for a, b, c in data.batches((x, y, z), 3, batch_axis=(1, 0, 0)):
        assert a.flags.c_contiguous
        assert np.array_equal(a, x[:, b])
        assert np.array_equal(c, z[b])
    for a, b in data.batches((x, y), 3, batch_axis=1, shuffle=False):
        assert np.array_equal(a, x[:, b])
    with pytest.raises(ValueError, match="array 0 has 7 samples on axis 1 but array 1 has 3 on axis 1"):
        data.batches((x, z), 3, batch_axis=1)


@pytest.mark.parametrize("function", [lambda v: data.batches(v, 2), lambda v: data.split(v, 0.5)])
def test_what_numpy_would_misread_is_refused(function):
    masked = np.ma.array([1.0, 9999.0], mask=[0, 1])
    for value in (masked, (np.zeros(2), masked), [masked, np.zeros(2)]):
        with pytest.raises(TypeError, match=r"masked array; write .*\.filled"):
            function(value)
    scipy = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"sparse matrix .*; write .*\.toarray\(\)"):
        function((scipy.csr_matrix(np.eye(2)), np.zeros(2)))
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"DataFrame of objects; encode name as numbers"):
        function(pandas.DataFrame({"name": ["a", "b"], "size": [1, 2]}))
    assert len(list(data.batches(pandas.DataFrame({"a": [1, 2], "b": [1.5, 2]}), 2))) == 1
