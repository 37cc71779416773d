"""Learners of few-shot tasks, and their baselines."""

from __future__ import annotations

from .entry import entries

_L, _B = "quickstudy.learners.", "quickstudy.learners.baseline."
_MAML = _L + "gradient.maml:MAML"

LEARNERS = entries(
    "learner",
    (
        "prototypical",
        _L + "metric.prototypical:Prototypical",
        "nearest class mean in a learned embedding",
        "arXiv:1703.05175",
    ),
    ("siamese", _L + "metric.siamese:Siamese", "a learned similarity of pairs", "doi:10.1109/CVPR.2006.100"),
    ("matching", _L + "metric.matching:Matching", "attention over the embedded examples", "arXiv:1606.04080"),
    (
        "matching-fce",
        _L + "metric.matching:Matching",
        "matching networks that embed examples in context",
        "arXiv:1606.04080",
        {"full_context": True},
    ),
    ("relation", _L + "metric.relation:Relation", "a learned comparison with each class", "arXiv:1711.06025"),
    (
        "simpleshot",
        _L + "metric.simpleshot:SimpleShot",
        "nearest class mean of centred, normalised features",
        "arXiv:1911.04623",
    ),
    (
        "soft-prototypes",
        _L + "metric.soft_prototypes:SoftPrototypes",
        "prototypes that the queries refine; transductive",
        "arXiv:1803.00676",
    ),
    ("maml", _MAML, "an initialisation a few gradient steps away from any task", "arXiv:1703.03400"),
    ("fomaml", _MAML, "MAML without second derivatives", "arXiv:1703.03400", {"gradient": "first-order"}),
    ("anil", _MAML, "MAML whose inner loop moves only the last layer", "arXiv:1909.09157", {"moves": "head"}),
    ("meta-sgd", _MAML, "MAML with a learned rate for every weight", "arXiv:1707.09835", {"rule": "meta-sgd"}),
    (
        "lstm-meta-learner",
        _MAML,
        "an LSTM whose cell state is the weights of the net",
        "openreview:rJY0-Kcll",
        {"rule": "lstm", "gradient": "first-order"},
    ),
    (
        "maml++",
        _MAML,
        "MAML with rates, losses and batch statistics of each step",
        "arXiv:1810.09502",
        {"rule": "step-rates", "multi_step": True, "statistics": "per-step"},
    ),
    (
        "imaml",
        _MAML,
        "MAML by implicit gradients, of constant memory",
        "arXiv:1909.04630",
        {"gradient": "implicit"},
    ),
    (
        "proto-maml",
        _L + "gradient.proto_maml:ProtoMAML",
        "MAML whose head begins as prototypes",
        "arXiv:1903.03096",
    ),
    (
        "generated",
        _L + "gradient.generated:Generated",
        "an initialisation made for each task",
        "arXiv:1910.13616",
    ),
    ("reptile", _L + "gradient.reptile:Reptile", "an initialisation pulled to where tasks take it", "arXiv:1803.02999"),
    ("r2d2", _L + "closed_form.ridge_head:RidgeHead", "ridge regression in a learned embedding", "arXiv:1805.08136"),
    (
        "lr-d2",
        _L + "closed_form.logistic_head:LogisticHead",
        "logistic regression by Newton steps",
        "arXiv:1805.08136",
    ),
    (
        "tabular",
        _L + "closed_form.tabular:Tabular",
        "judges in closed form, weighed as other tables taught",
        "doi:10.1023/A:1019956318069",
    ),
    ("mann", _L + "memory.mann:MANN", "a memory written where it is least used", "arXiv:1605.06065"),
    ("snail", _L + "memory.snail:SNAIL", "causal convolutions and attention over the examples", "arXiv:1707.03141"),
    (
        "meta-networks",
        _L + "memory.meta_networks:MetaNetworks",
        "fast weights made from the gradients of examples",
        "arXiv:1703.00837",
    ),
    (
        "recurrent",
        _L + "memory.recurrent:Recurrent",
        "a recurrent network that reads the support set, then the question",
        "doi:10.1007/3-540-44668-0_13",
    ),
    (
        "cnp",
        _L + "process.conditional:ConditionalProcess",
        "answers from the mean code of the examples",
        "arXiv:1807.01613",
    ),
    (
        "attentive",
        _L + "process.attentive:AttentiveProcess",
        "each query reads the examples by attention",
        "arXiv:1901.05761",
    ),
    (
        "in-context",
        _L + "process.in_context:InContext",
        "a transformer that reads the support set as its context",
        "arXiv:2207.04179",
    ),
    (
        "deep-kernel",
        _L + "bayesian.deep_kernel:DeepKernel",
        "a Gaussian process on learned features",
        "arXiv:1910.05199",
    ),
    (
        "last-layer",
        _L + "bayesian.last_layer:BayesianLastLayer",
        "Bayesian linear regression on learned features",
        "arXiv:1807.08912",
    ),
    (
        "ensemble",
        _L + "bayesian.ensemble:Ensemble",
        "several copies of a learner, whose answers are mixed",
        "arXiv:1806.03836",
    ),
    (
        "described",
        _L + "zero_shot.described:Described",
        "prototypes from descriptions, examples, or both",
        "arXiv:1703.05175",
    ),
    (
        "eszsl",
        _L + "zero_shot.eszsl:ESZSL",
        "zero-shot learning by two ridge solves",
        "doi:10.1007/978-3-319-50077-5_2",
    ),
    ("nearest", _B + "nearest:NearestNeighbour", "the most similar example", "doi:10.1109/TIT.1967.1053964"),
    ("linear", _B + "linear:LinearProbe", "logistic or ridge regression on fixed features", "arXiv:2003.11539"),
    ("scratch", _B + "scratch:FromScratch", "a network trained on the new task alone"),
    ("baseline++", _B + "finetuned:FineTuned", "ordinary classification, then a new cosine head", "arXiv:1904.04232"),
    ("pooled", _B + "pooled:Pooled", "one network for all tasks, fine-tuned or not", "arXiv:1703.03400"),
    ("trees", _B + "trees:Trees", "gradient-boosted trees grown on the new task alone", "doi:10.1214/aos/1013203451"),
    ("majority", _B + "majority:Majority", "the commonest class, or the mean target"),
    (
        "beside",
        _L + "stacking.beside:Beside",
        "two other learners, each trusted as past tasks bear it out",
        "doi:10.1214/ss/1177013825",
    ),
    ("standardised", _L + "standardised:Standardised", "another learner, with targets scaled as in meta-train"),
)
