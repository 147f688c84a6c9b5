"""Beliefs written into a network that is known: the law follows Bayes, and controls do not."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.mechanisms import donors
from beliefgeo.mechanisms import interventions as write
from tests.mechanisms.ideal import made

KEY = jax.random.key(3)


class Case:
    def __init__(self, process, length):
        self.process, self.length = process, length
        self.network, self.params = made(process)
        self.rows = reading.rows(KEY, process, length + 3)
        self.reading = reading.read(self.network, self.params, self.rows)
        self.site = reading.site_of(self.network, self.params, "layer 1")
        self.held = write.encode(self.reading.features["layer 1"], self.rows, self.rows.counts)
        self.pairs = donors.reachable(KEY, self.rows, length, 3)

    def effect(self, values, pairs=None, **options):
        pairs = self.pairs if pairs is None else pairs
        given = (self.process, self.network, self.params, self.rows, self.site, pairs, values)
        return write.effect(*given, **options)


@pytest.fixture(scope="module")
def mess3():
    return Case(bg.mess3(0.1, 0.7), 4)


@pytest.fixture(scope="module")
def rrxor():
    return Case(bg.rrxor(), 6)


EDITS = (write.covariance_least, write.regressed, write.patch)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", ["mess3", "rrxor"])
def test_the_law_follows_what_is_written(edit, name, request):
    case = request.getfixturevalue(name)
    found = case.effect(edit(case.held, case.pairs))
    assert (found.a[0], found.c[0]) == pytest.approx((1, 0), abs=0.02) and found.closed[0] > 0.99
    assert found.total_variation[0] < 0.01 and found.divergence[0] > 0.1
    # By hand: what there is to close is the divergence between Bayes for the new belief and the network.
    new, old = case.rows.laws[case.pairs.source], np.exp(np.asarray(case.reading.log_laws)[case.pairs.row])
    shares = case.rows.probabilities[case.pairs.row]
    kl = (new * (np.log(np.maximum(new, 1e-300)) - np.log(old))).sum(1)
    assert found.divergence[0] == pytest.approx(shares @ kl / shares.sum(), rel=1e-3)
    assert found.moved[0] == pytest.approx(shares @ abs(new - old).sum(1) / 2 / shares.sum(), abs=0.01)


def test_beliefs_that_no_prefix_reaches(mess3):
    mixed = donors.mixtures(KEY, mess3.rows, 4, 2)
    assert mixed.source is None and len(mixed.row) == 2 * 81
    assert mess3.effect(write.covariance_least(mess3.held, mixed), mixed).closed[0] > 0.99
    near = write.nearest(mess3.held, mixed, count=1)
    nearest = abs(mixed.beliefs[:, None] - mess3.rows.beliefs[mess3.rows.length == 4][None]) ** 2
    chosen = np.flatnonzero(mess3.rows.length == 4)[nearest.sum(2).argmin(1)]
    np.testing.assert_allclose(near, mess3.held.features[chosen], atol=1e-6)
    with pytest.raises(ValueError, match="take them from reachable"):
        write.patch(mess3.held, mixed)


def test_controls_do_not_steer(mess3):
    relabelled = mess3.effect(write.covariance_least(mess3.held, donors.relabelled(mess3.pairs)))
    assert relabelled.a[0] == pytest.approx(-0.5, abs=0.1) and relabelled.closed[0] < 0
    written = write.covariance_least(mess3.held, mess3.pairs)
    drawn = write.random_change(KEY, mess3.held, mess3.pairs, written)
    size = lambda values: np.linalg.norm(values - mess3.held.features[mess3.pairs.row], axis=1)
    np.testing.assert_allclose(size(drawn), size(written), rtol=1e-5)
    assert mess3.effect(drawn).a[0] < 0.4
    unchanged = mess3.effect(mess3.held.features[mess3.pairs.row])
    assert (unchanged.a[0], unchanged.c[0], unchanged.closed[0]) == pytest.approx((0, 1, 0), abs=1e-3)


def test_later_positions_read_the_tokens(mess3):
    found = mess3.effect(write.covariance_least(mess3.held, mess3.pairs), ahead=3)
    np.testing.assert_allclose(found.a, [1, 0, 0, 0], atol=0.02)
    np.testing.assert_allclose(found.c[1:], 1, atol=0.02)
    past = write.patch_past(mess3.network, mess3.params, mess3.rows, mess3.site, mess3.pairs)
    assert past.shape == (len(mess3.pairs.row), 4, 7)
    np.testing.assert_allclose(past[:, -1], write.patch(mess3.held, mess3.pairs), atol=1e-5)
    assert mess3.effect(past).closed[0] > 0.99


def test_along_the_kernel_the_law_stays(rrxor):
    pairs = donors.along_kernel(KEY, rrxor.process, rrxor.rows, 6, 3)
    assert abs(pairs.beliefs - rrxor.rows.beliefs[pairs.row]).sum(1).mean() > 0.3 and pairs.beliefs.min() >= 0
    found = rrxor.effect(write.regressed(rrxor.held, pairs), pairs, ahead=1)
    assert found.moved[0] < 1e-3 and np.isnan([found.a[0], found.closed[0]]).all()
    same = donors.same_law(KEY, rrxor.rows, 6, 2)
    assert abs(rrxor.rows.laws[same.source] - rrxor.rows.laws[same.row]).max() < 1e-6
    assert abs(same.beliefs - rrxor.rows.beliefs[same.row]).max(1).min() > 1e-3


def test_pairs_continue_in_words_of_their_prefix(rrxor):
    for pairs in (rrxor.pairs, donors.mixtures(KEY, rrxor.rows, 6, 5)):
        prefix = lambda words: rrxor.rows.words[words, :6]
        np.testing.assert_array_equal(prefix(pairs.word), prefix(rrxor.rows.word[pairs.row]))
    assert len(np.unique(pairs.word)) > len(np.unique(pairs.row))  # not always the first
    assert not (rrxor.pairs.source == rrxor.pairs.row).any()


def test_words_that_a_new_belief_forbids_are_left_out(rrxor):
    found = rrxor.effect(write.patch(rrxor.held, rrxor.pairs), ahead=2)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("edit", [write.covariance_least, write.least_norm], ids=lambda edit: edit.__name__)
def test_the_probe_sees_what_is_written(edit, mess3):
    written = edit(mess3.held, mess3.pairs)
    np.testing.assert_allclose(written @ mess3.held.kernel + mess3.held.bias, mess3.pairs.beliefs, atol=1e-4)
    # The least change of all that the probe sees is no longer than the change along the covariance.
    size = lambda values: np.linalg.norm(values - mess3.held.features[mess3.pairs.row], axis=1)
    assert (size(write.least_norm(mess3.held, mess3.pairs)) <= size(written) + 1e-6).all()


def test_least_norm_within_components(mess3):
    few = write.least_norm(mess3.held, mess3.pairs, 2)
    axes = np.linalg.eigh(mess3.held.covariance)[1][:, -2:]
    change = few - mess3.held.features[mess3.pairs.row]
    np.testing.assert_allclose(change - change @ axes @ axes.T, 0, atol=1e-6)
    for count in (0, 8):
        with pytest.raises(ValueError, match="components must be from 1 to the 7 features"):
            write.least_norm(mess3.held, mess3.pairs, count)


def test_mistakes(mess3, rrxor):
    wrong = mess3.pairs._replace(beliefs=mess3.pairs.beliefs + 0.1)
    values = mess3.held.features[mess3.pairs.row]
    with pytest.raises(ValueError, match="a belief must be normalised"):
        mess3.effect(values, wrong)
    with pytest.raises(ValueError, match="3 entries"):
        mess3.effect(values, mess3.pairs._replace(beliefs=mess3.pairs.beliefs[:, :2]))
    with pytest.raises(ValueError, match="ahead must be from 0 to 3"):
        mess3.effect(values, ahead=4)
    with pytest.raises(ValueError, match="values must be"):
        mess3.effect(values[:-1])
    with pytest.raises(ValueError, match="whole belief: the two are equivalent"):
        donors.along_kernel(KEY, mess3.process, mess3.rows, 4, 1)
    with pytest.raises(ValueError, match="hidden states of an HMM"):
        donors.along_kernel(KEY, bg.bloch_walk(), reading.rows(KEY, bg.bloch_walk(), 3), 2, 1)
    with pytest.raises(ValueError, match="one next-token law and two beliefs"):
        donors.same_law(KEY, mess3.rows, 4, 1)
    with pytest.raises(ValueError, match="choose a length from 1 to 9"):
        donors.reachable(KEY, rrxor.rows, 12, 1)
    with pytest.raises(ValueError, match="prefixes of one length"):
        write.patch_past(mess3.network, mess3.params, mess3.rows, mess3.site, donors.mixtures(KEY, mess3.rows, 4, 1))
