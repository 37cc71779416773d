"""Nets and sources of tasks."""

from __future__ import annotations

from .entry import entries

_L, _N, _T = "quickstudy.learners.", "quickstudy.nets.", "quickstudy.tasks."

NETS = entries(
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
SOURCES = entries(
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
