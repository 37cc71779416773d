"""Learners whose task is a data set and the candidates tried on it."""

from __future__ import annotations

from .entry import entries

_L = "quickstudy.learners."

SELECTION = entries(
    "learner",
    ("random-search", _L + "search.unordered:Unordered", "candidates in random order"),
    ("grid-search", _L + "search.unordered:Unordered", "candidates along a grid", "", {"order": "grid"}),
    (
        "quasi-random",
        _L + "search.unordered:Unordered",
        "candidates spread evenly over the space",
        "doi:10.1016/0041-5553(67)90144-9",
        {"order": "quasi-random"},
    ),
    ("cold-gp", _L + "search.cold_gp:ColdGP", "Bayesian optimisation without a past", "arXiv:1206.2944"),
    ("tpe", _L + "search.tpe:TPE", "Optuna's search without a past", "arXiv:2304.11127"),
    (
        "portfolio",
        _L + "selection.portfolio:Portfolio",
        "the order that served past data sets best",
        "arXiv:2007.04074",
    ),
    (
        "nearest-datasets",
        _L + "selection.nearest_datasets:NearestDatasets",
        "what was best on past data sets with like meta-features",
        "doi:10.1609/aaai.v29i1.9354",
    ),
    (
        "rgpe",
        _L + "selection.rgpe:RGPE",
        "Gaussian processes of past data sets, weighed by how they rank the trials",
        "arXiv:1802.02219",
    ),
    (
        "deep-kernel-surrogate",
        _L + "selection.deep_kernel_surrogate:DeepKernelSurrogate",
        "a Gaussian process whose kernel past data sets taught",
        "arXiv:2101.07667",
    ),
    (
        "in-context-surrogate",
        _L + "selection.in_context_surrogate:InContextSurrogate",
        "a transformer that reads the trials as context",
        "arXiv:2305.17535",
    ),
    (
        "candidate-gaussian",
        _L + "selection.candidate_gaussian:CandidateGaussian",
        "one Gaussian over the scores of all candidates, by empirical Bayes",
        "",
        {"likeness": 0.0},
    ),
    (
        "candidate-mixture",
        _L + "selection.candidate_gaussian:CandidateGaussian",
        "a Gaussian around each past data set, weighed by the trials",
    ),
    (
        "safe-transfer",
        _L + "selection.safe_transfer:SafeTransfer",
        "what the past says and a cold search, each trusted as the trials bear it out",
    ),
    (
        "per-algorithm",
        _L + "selection.algorithms.forest:PerAlgorithm",
        "a regression of every candidate's score on the meta-features",
        "arXiv:1111.2249",
    ),
    (
        "pairwise",
        _L + "selection.algorithms.pairwise:Pairwise",
        "cost-sensitive comparisons of pairs of candidates",
        "doi:10.1007/978-3-642-31612-8_18",
    ),
    (
        "nearest-instances",
        _L + "selection.algorithms.nearest:NearestInstances",
        "scores of the most similar past data sets",
        "doi:10.1007/978-3-642-23786-7_35",
    ),
    (
        "collaborative-filtering",
        _L + "selection.algorithms.factors:CollaborativeFiltering",
        "factors of a data set from its meta-features",
        "doi:10.1016/j.artint.2016.12.001",
    ),
    (
        "guarded",
        _L + "selection.algorithms.guarded:Guarded",
        "selectors where they pay, else the single best; with pre-solving",
        "doi:10.1613/jair.4726",
    ),
    (
        "architecture-predictor",
        _L + "selection.architectures.predictor:ArchitecturePredictor",
        "ranks architectures that were never trained",
        "arXiv:1910.11858",
    ),
    ("anomaly-stack", _L + "stacking.anomalies:AnomalyStack", "detectors weighed without labels", "arXiv:2009.10606"),
)
