"""What there is by name: where it lives, which keywords a name stands for, one line, and the paper. Plain data."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

KINDS = ("learner", "net", "source")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name.

    Args:
        kind: 'learner', 'net' or 'source'.
        name: what recipes and the command line call it.
        target: 'module:Class', imported only when it is built; a function for a source that makes a pool.
        line: what it is, for people.
        paper: where it comes from.
        preset: keywords that the name stands for.
    """

    kind: str
    name: str
    target: str
    line: str
    paper: str = ""
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self) -> Any:
        """The class or function itself."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


_L, _B, _N, _T = "quickstudy.learners.", "quickstudy.learners.baseline.", "quickstudy.nets.", "quickstudy.tasks."
_MAML = _L + "gradient.maml:MAML"


def _of(kind: str, *rows: tuple[Any, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(kind, *row) for row in rows)


LEARNERS = _of(
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
    ("standardised", _L + "standardised:Standardised", "another learner, with targets scaled as in meta-train"),
)
NETS = _of(
    "net",
    ("conv4", _N + "conv4:Conv4", "four blocks of convolution, for small images", "arXiv:1606.04080"),
    ("resnet12", _N + "resnet12:ResNet12", "four residual blocks of three convolutions", "arXiv:1805.10123"),
    ("mlp", _N + "mlp:MLP", "linear layers with ReLU between them"),
    ("adapter", _N + "adapter:Adapter", "good features, changed as far as tasks teach", "arXiv:2110.04544"),
    ("conv1d", _N + "conv1d:Conv1d", "blocks of convolution along time, for series", "arXiv:1611.06455"),
    ("lstm-cell", _L + "memory.cells:LSTMCell", "one step of an LSTM", "doi:10.1162/neco.1997.9.8.1735"),
    (
        "fast-weights-cell",
        _L + "memory.cells:FastWeightsCell",
        "attends to its recent past through decaying Hebbian weights",
        "arXiv:1610.06258",
    ),
    ("delta-cell", _L + "memory.cells:DeltaCell", "corrects what it holds under a key", "arXiv:2102.11174"),
    ("conv-maps", _N + "relation_module:ConvMaps", "four blocks of convolution that keep places", "arXiv:1711.06025"),
    (
        "relation-module",
        _N + "relation_module:RelationModule",
        "how well two feature maps go together",
        "arXiv:1711.06025",
    ),
    ("temporal", _N + "temporal:Temporal", "causal convolutions and attention over a sequence", "arXiv:1707.03141"),
    ("flatten", "torch.nn:Flatten", "the input itself, as a vector"),
)
SOURCES = _of(
    "source",
    ("glyphs", _T + "drawn.glyphs:glyphs", "characters of many scripts, drawn by the library itself; no download"),
    (
        "omniglot",
        _T + "datasets.omniglot:omniglot",
        "handwritten characters of 50 alphabets",
        "doi:10.1126/science.aab3050",
    ),
    (
        "cifar-fs",
        _T + "datasets.cifar_fs:cifar_fs",
        "photographs of 100 classes, 32 pixels; also FC100",
        "arXiv:1805.08136",
    ),
    (
        "mini-imagenet",
        _T + "datasets.mini_imagenet:mini_imagenet",
        "100 classes of ImageNet, 84 pixels; bring the images",
        "arXiv:1606.04080",
    ),
    ("sinusoids", _T + "functions:Sinusoids", "sine curves of random amplitude and phase", "arXiv:1703.03400"),
    ("movielens", _T + "datasets.movielens:movielens", "films rated by a user, who is a task", "doi:10.1145/2827872"),
    (
        "fs-mol",
        _T + "datasets.fs_mol:fs_mol",
        "molecules measured in an assay, which is a task",
        "openreview:701FtuyLlAd",
    ),
    ("retrieval", _T + "retrieval:Retrieval", "letters with digits: which digit had this letter?", "arXiv:1610.06258"),
    ("gp", _T + "gp_draws:GPDraws", "curves drawn from a Gaussian process", "arXiv:1807.01622"),
)
SELECTION = _of(
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
CATALOGUE = (*LEARNERS, *SELECTION, *NETS, *SOURCES)
