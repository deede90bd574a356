"""Closed forms: EDM on Gaussians, the DDPM and multinomial posteriors by enumeration, masked diffusion's marginals."""

import itertools
import math

import numpy as np
import pytest
import torch

from baselines.diffusion import masked
from baselines.diffusion.edm import (
    SIGMA_MAX,
    SIGMA_MIN,
    Preconditioning,
    heun,
    noise_label,
    sigma_at,
    time_of,
    training_sigma,
)
from baselines.diffusion.gaussian import GaussianDiffusion, cosine_betas
from baselines.diffusion.multinomial import MultinomialDiffusion, log_one_hot
from baselines.diffusion.plateau import Plateau
from baselines.diffusion.ragged import Ragged


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("deviation", [0.5, 1.0])
def test_preconditioning_keeps_input_and_target_at_unit_variance(deviation):
    scales = Preconditioning(deviation)
    sigma = torch.tensor([0.01, 0.3, 1.0, 20.0], dtype=torch.float64)
    assert torch.allclose(scales.into(sigma) ** 2 * (deviation**2 + sigma**2), torch.ones(4, dtype=torch.float64))
    # The network's target is (y − c_skip·x) / c_out with x = y + σε.
    variance = ((1 - scales.skip(sigma)) ** 2 * deviation**2 + (scales.skip(sigma) * sigma) ** 2) / scales.out(
        sigma
    ) ** 2
    assert torch.allclose(variance, torch.ones(4, dtype=torch.float64))
    assert torch.allclose(scales.weight(sigma) * scales.out(sigma) ** 2, torch.ones(4, dtype=torch.float64))
    # A network that says nothing denoises N(0, σ_d²) rightly: the posterior mean is c_skip·x.
    assert torch.allclose(scales.skip(sigma), deviation**2 / (deviation**2 + sigma**2))


def test_training_noise_is_log_normal():
    logs = training_sigma(200_000, source()).log()
    assert float(logs.mean()) == pytest.approx(-1.2, abs=0.01)
    assert float(logs.std()) == pytest.approx(1.2, abs=0.01)
    assert noise_label(torch.tensor(math.e**4)) == pytest.approx(1.0)


def test_noise_levels_run_from_the_greatest_to_the_least():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    for rho in (5.0, 7.0, 12.0):
        sigma = sigma_at(t, rho)
        assert float(sigma[0]) == pytest.approx(SIGMA_MIN)
        assert float(sigma[-1]) == pytest.approx(SIGMA_MAX)
        assert torch.allclose(time_of(sigma, rho), t, atol=1e-9)
    # Karras et al.'s grid: (σ_max^{1/ρ} + i/(N−1)·(σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ.
    expected = (80 ** (1 / 7) + 0.3 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert float(sigma_at(torch.tensor(0.7, dtype=torch.float64))) == pytest.approx(expected)


MEAN, DEVIATION = 0.7, 0.5


def ideal(x, sigma):
    """E[y | x] for y ~ N(MEAN, DEVIATION²)."""
    return (DEVIATION**2 * x + sigma**2 * MEAN) / (DEVIATION**2 + sigma**2)


def test_heun_follows_the_flow_of_a_gaussian():
    x = heun(ideal, 500, 3, 50, source(3), gamma=0.0)
    start = torch.randn(500, 3, generator=source(3)) * SIGMA_MAX
    exact = MEAN + (start - MEAN) * DEVIATION / math.sqrt(DEVIATION**2 + SIGMA_MAX**2)
    assert float((x - exact).abs().max()) < 0.02
    coarse = heun(ideal, 500, 3, 10, source(3), gamma=0.0)
    # Second order: a fifth of the steps, some 25 times the error.
    assert 8 < float((coarse - exact).abs().max()) / float((x - exact).abs().max()) < 80


def test_heun_with_churn_samples_the_gaussian():
    x = heun(ideal, 100_000, 1, 50, source(), gamma=None)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(x.std()) == pytest.approx(DEVIATION, rel=0.02)


@pytest.mark.parametrize("steps", [1, 10, 1000])
def test_cosine_schedule(steps):
    betas = cosine_betas(steps)
    assert len(betas) == steps
    assert bool(((betas > 0) & (betas <= 0.999)).all())
    if steps == 1000:  # ᾱ in the middle is cos² of half of the way
        half = float((1 - betas[:500]).prod())
        ends = [math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0.5, 0.0)]
        assert half == pytest.approx(ends[0] / ends[1])


def test_gaussian_posterior_is_bayes_rule():
    diffusion, beta = GaussianDiffusion(10), cosine_betas(10)
    kept = (1 - beta).cumprod(0)
    t, clean, noised = 6, 0.4, -1.1
    grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    # q(x_{t−1} | x_0)·q(x_t | x_{t−1}), normalised on a grid
    log_density = -((grid - kept[t - 1].sqrt() * clean) ** 2) / (2 * (1 - kept[t - 1]))
    log_density -= (noised - (1 - beta[t]).sqrt() * grid) ** 2 / (2 * beta[t])
    density = log_density.softmax(0)
    mean = float((density * grid).sum())
    found = diffusion.posterior_mean(torch.tensor([[clean]]), torch.tensor([[noised]]), torch.tensor([t]))
    assert float(found) == pytest.approx(mean, abs=1e-4)


def test_predicted_noise_gives_the_clean_row_back():
    diffusion = GaussianDiffusion(50)
    clean, noise = (torch.randn(100, 2, generator=source(seed)) for seed in (1, 2))
    t = torch.randint(0, 30, (100,), generator=source(3))
    assert torch.allclose(diffusion.clean(diffusion.noised(clean, t, noise), t, noise), clean, atol=1e-3)


def transition(beta, size):
    """q(x_t | x_{t−1}) as a matrix."""
    return (1 - beta) * np.eye(size) + beta / size


def test_multinomial_posterior_and_marginal_by_enumeration():
    sizes, steps = (3, 2), 8
    diffusion = MultinomialDiffusion(steps, Ragged(sizes))
    betas = cosine_betas(steps).numpy()
    for t, clean, noised in itertools.product((1, 4, 7), ((0, 1), (2, 0)), ((0, 0), (1, 1))):
        logs = [log_one_hot(Ragged(sizes).one_hot(torch.tensor([codes]))) for codes in (clean, noised)]
        found = diffusion.posterior(*logs, torch.tensor([t])).exp().numpy()[0]
        marginal = diffusion.marginal(logs[0], torch.tensor([t])).exp().numpy()[0]
        place = 0
        for size, x0, xt in zip(sizes, clean, noised, strict=True):
            before = np.linalg.multi_dot([np.eye(size), *(transition(beta, size) for beta in betas[:t])])[x0]
            joint = before * transition(betas[t], size)[:, xt]
            assert found[place : place + size] == pytest.approx(joint / joint.sum(), abs=1e-5)
            assert marginal[place : place + size] == pytest.approx(before @ transition(betas[t], size), abs=1e-5)
            place += size
    first = diffusion.posterior(logs[0], logs[1], torch.tensor([0])).exp().numpy()[0]
    assert first == pytest.approx([0, 0, 1, 1, 0], abs=1e-6)  # at t = 0 the posterior is the clean row


def test_multinomial_noise_has_its_marginal():
    diffusion = MultinomialDiffusion(10, Ragged((4,)))
    codes, t = torch.zeros(100_000, 1, dtype=torch.long), torch.full((100_000,), 5)
    drawn = diffusion.noised(codes, t, source()).flatten()
    expected = diffusion.marginal(log_one_hot(Ragged((4,)).one_hot(codes[:1])), t[:1]).exp().numpy()[0]
    assert np.bincount(drawn.numpy(), minlength=4) / 100_000 == pytest.approx(expected, abs=0.006)


def test_multinomial_bound_is_the_entropy_where_the_chain_is_reversed_exactly():
    """Of one column, predicting its distribution makes p(x_{t−1} | x_t) ∝ q(x_t | x_{t−1})·q(x_{t−1}), Bayes' rule.

    At t = 0 the prediction itself is p(x_0 | x_1), again by Bayes' rule.
    """
    share, steps = torch.tensor([0.7, 0.2, 0.1]), 100
    ragged = Ragged((3,))
    diffusion = MultinomialDiffusion(steps, ragged)
    rows = 200_000
    codes = torch.multinomial(share, rows, replacement=True, generator=source(1))[:, None]
    t = torch.randint(steps, (rows,), generator=source(2))
    noised = diffusion.noised(codes, t, source(3))
    seen = torch.stack(
        [diffusion.marginal(log_one_hot(torch.eye(3)[[x0]]), torch.zeros(1).long())[0] for x0 in range(3)]
    )
    last = (share.log() + seen[:, noised[:, 0]].T).log_softmax(1)
    losses = diffusion.loss(torch.where((t == 0)[:, None], last, share.log()), codes, noised, t)
    entropy = -float((share * share.log()).sum())
    assert float(losses.mean()) == pytest.approx(entropy, abs=4 * float(losses.std()) / rows**0.5)
    worse = diffusion.loss(torch.tensor([0.2, 0.7, 0.1]).log().expand(rows, -1), codes, noised, t)
    assert float(worse.mean()) > entropy + 0.1


def test_masked_share_and_its_weight():
    t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64, requires_grad=True)
    for power in (1.0, 2.5):
        share = masked.masked_share(t, power)
        slope = torch.autograd.grad(share.sum(), t)[0]
        assert torch.allclose(masked.weight(t, power), slope / share)
    assert float(masked.masked_share(torch.tensor(0.0), 1.0)) == pytest.approx(1e-5)
    assert float(masked.masked_share(torch.tensor(1.0), 3.0)) == pytest.approx(0.999)
    # σ_cat = −ln(1 − p): the weight is the bound's (dσ/dt)/(e^σ − 1).
    time = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    sigma = -torch.log1p(-masked.masked_share(time, 1.7))
    bound = torch.autograd.grad(sigma, time)[0] / sigma.expm1()
    assert float(masked.weight(time, 1.7).detach()) == pytest.approx(float(bound.detach()))
    half = masked.half_time(torch.tensor([1.0, 2.0]))
    assert masked.masked_share(half, torch.tensor([1.0, 2.0])).tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


def test_masks_are_hard_have_their_share_and_carry_a_gradient():
    share = torch.full((100_000, 2), 0.3, requires_grad=True)
    masks = masked.draw_masks(share, source())
    assert set(masks.detach().unique().tolist()) == {0.0, 1.0}
    assert float(masks.detach().mean()) == pytest.approx(0.3, abs=0.005)
    masks.sum().backward()
    assert bool((share.grad >= 0).all())
    assert float(share.grad.sum()) > 0


def test_unmasking_and_masking_again_keep_the_marginals():
    """Going down from one share to another, and up again, each cell is masked with the share of its time."""
    rows = 200_000
    shares = torch.tensor([0.9, 0.5])
    hidden = torch.rand(rows, 2, generator=source(1)) < shares
    lower, higher = torch.tensor([0.45, 0.4]), torch.tensor([0.6, 0.7])
    down = masked.unmask(hidden, shares, lower, source(2))
    assert down.float().mean(0).tolist() == pytest.approx(lower.tolist(), abs=0.005)
    assert not bool((down & ~hidden).any())
    up = masked.remask(down, lower, higher, source(3))
    assert up.float().mean(0).tolist() == pytest.approx(higher.tolist(), abs=0.005)
    assert not bool((down & ~up).any())
    assert not bool(masked.unmask(up, higher, torch.zeros(2), source(4)).any())


def test_ragged_columns_agree_with_a_loop_over_columns():
    sizes = (3, 1, 5)
    ragged = Ragged(sizes)
    values = torch.randn(7, 9, generator=source()) * 30
    values[:, 1] = -torch.inf
    parts = values.split(sizes, 1)
    assert torch.allclose(ragged.logsumexp(values), torch.stack([part.logsumexp(1) for part in parts], 1))
    together = torch.cat([part.log_softmax(1) for part in parts], 1)
    assert torch.allclose(ragged.log_softmax(values), together, atol=1e-5)
    codes = torch.stack([torch.randint(size, (7,), generator=source(size)) for size in sizes], 1)
    picked = torch.stack([part.gather(1, codes[:, [i]])[:, 0] for i, part in enumerate(parts)], 1)
    assert torch.equal(ragged.pick(values, codes), picked)
    assert torch.equal(ragged.argmax(ragged.one_hot(codes)), codes)
    drawn = Ragged((3,)).draw(torch.tensor([[0.2, 0.5, 0.3]]).log().expand(100_000, -1), source())
    assert (np.bincount(drawn.flatten().numpy()) / 100_000).tolist() == pytest.approx([0.2, 0.5, 0.3], abs=0.006)


def test_plateau_waits_then_lowers_to_its_floor():
    plateau = Plateau(1.0, 0.5, patience=2, floor=0.2)
    values = []
    for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        plateau.update(loss)
        values.append(plateau.value)
    assert values == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2]
