"""How far a learner's probabilities can be believed, from what it says of examples that it has not seen."""

from __future__ import annotations

import dataclasses

import numpy as np

LOG_TEMPERATURES = np.linspace(-5, 5, 41)
GUESSES = (np.arange(200) + 0.5) / 200
_TINY = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Probabilities divided by a temperature and mixed with guessing, averaged over all that the evidence allows.

    p' = (1 - g) softmax(log p / T) + g / ways. Temperature scaling (Guo et al. 2017, arXiv:1706.04599) takes the one
    best T, which a handful of examples cannot know. Here T and g have a distribution: before any example is seen log T
    is standard normal and g uniform in 0..1, then Bayes' rule is applied. So, by Laplace's rule of succession, after n
    examples that were all answered rightly no probability is above about (n + 1) / (n + 2), and with no evidence none
    is above about (1 + 1 / ways) / 2. The likeliest class stays the likeliest.

    Args:
        weights: (temperatures,) how likely each temperature is.
        guesses: (temperatures,) the expected g at each.

    >>> right = np.eye(2)[[0, 1] * 4]
    >>> calibration = Calibration.of(right, np.full((8, 2), True), np.array([0, 1] * 4))
    >>> calibration(np.array([[1.0, 0.0]]), np.array([True, True])).round(2)
    array([[0.9, 0.1]])
    """

    weights: np.ndarray
    guesses: np.ndarray

    @classmethod
    def of(cls, answers: np.ndarray, present: np.ndarray, y: np.ndarray) -> Calibration:
        """From the answers to n examples, each by a state that was made without it.

        Args:
            answers: (n, classes) probabilities.
            present: (n, classes) whether that state had an example of the class. An example whose own class was absent
                could not be answered rightly, and so says nothing.
            y: (n,) the classes that would have been right.
        """
        fair = present[np.arange(len(y)), y]
        answers, present, y = answers[fair], present[fair], y[fair]
        own = np.stack([_tempered(answers, present, t)[np.arange(len(y)), y] for t in LOG_TEMPERATURES])
        chance = 1 / present.sum(1)
        evidence = np.stack([np.log((1 - g) * own + g * chance).sum(1) for g in GUESSES], 1)
        density = evidence - LOG_TEMPERATURES[:, None] ** 2 / 2
        joint = np.exp(density - density.max())
        weights = joint.sum(1)
        guesses = (joint @ GUESSES) / np.where(weights > 0, weights, 1)
        return cls(weights / weights.sum(), guesses)

    def __call__(self, probabilities: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Calibrated (q, classes) probabilities; a class that is not present (classes,) keeps zero."""
        present = np.broadcast_to(present, probabilities.shape)
        shares = self.weights * (1 - self.guesses)
        kept = sum(s * _tempered(probabilities, present, t) for s, t in zip(shares, LOG_TEMPERATURES, strict=True))
        guessed = float(self.weights @ self.guesses)
        return kept + guessed * present / present.sum(1, keepdims=True)


def _tempered(p: np.ndarray, present: np.ndarray, log_temperature: float) -> np.ndarray:
    """(n, classes) probabilities at a temperature."""
    logits = np.where(present, np.log(np.maximum(p, _TINY)), -np.inf)
    shares = np.exp(np.exp(-log_temperature) * (logits - logits.max(1, keepdims=True)))
    return shares / shares.sum(1, keepdims=True)
