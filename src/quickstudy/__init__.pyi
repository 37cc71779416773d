"""What `quickstudy` exports, for type checkers and editors (names are imported lazily at run time)."""

from . import errors as errors
from . import nets as nets
from .bundle import load_bundle as load_bundle
from .bundle import save_bundle as save_bundle
from .contract import check_learner as check_learner
from .estimators import FewShotClassifier as FewShotClassifier
from .estimators import FewShotRegressor as FewShotRegressor
from .evaluation.audit import audit as audit
from .evaluation.compare import compare as compare
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.protocols.stream import evaluate_stream as evaluate_stream
from .evaluation.protocols.verification import verify as verify
from .learner import Learner as Learner
from .loops import schedules as schedules
from .loops.checkpoint import Checkpoint as Checkpoint
from .loops.meta_train import meta_train as meta_train
from .outputs import Gaussian as Gaussian
from .recipe import Recipe as Recipe
from .registry import build as build
from .rng import Rng as Rng
from .study import Study as Study
from .task import Examples as Examples
from .task import Task as Task
from .tasks.class_groups import ClassGroups as ClassGroups
from .tasks.datasets.cifar_fs import cifar_fs as cifar_fs
from .tasks.datasets.fs_mol import fs_mol as fs_mol
from .tasks.datasets.mini_imagenet import mini_imagenet as mini_imagenet
from .tasks.datasets.movielens import movielens as movielens
from .tasks.datasets.omniglot import omniglot as omniglot
from .tasks.drawn.glyphs import glyphs as glyphs
from .tasks.episodes import Episodes as Episodes
from .tasks.fixed import FixedTasks as FixedTasks
from .tasks.functions import Sinusoids as Sinusoids
from .tasks.gp_draws import GPDraws as GPDraws
from .tasks.groups import Groups as Groups
from .tasks.own.reading import read_rows as read_rows
from .tasks.pool import Pool as Pool
from .tasks.retrieval import Retrieval as Retrieval
from .tasks.source import TaskSource as TaskSource

__version__: str

class metric:
    from .learners.metric.matching import Matching as Matching
    from .learners.metric.prototypical import Prototypical as Prototypical
    from .learners.metric.relation import Relation as Relation
    from .learners.metric.siamese import Siamese as Siamese
    from .learners.metric.simpleshot import SimpleShot as SimpleShot
    from .learners.metric.soft_prototypes import SoftPrototypes as SoftPrototypes

class gradient:
    from .learners.gradient.generated import Generated as Generated
    from .learners.gradient.maml import MAML as MAML
    from .learners.gradient.proto_maml import ProtoMAML as ProtoMAML
    from .learners.gradient.reptile import Reptile as Reptile

class closed_form:
    from .learners.closed_form.logistic_head import LogisticHead as LogisticHead
    from .learners.closed_form.ridge_head import RidgeHead as RidgeHead
    from .learners.closed_form.tabular import Tabular as Tabular

class memory:
    from .learners.memory.cells import DeltaCell as DeltaCell
    from .learners.memory.cells import FastWeightsCell as FastWeightsCell
    from .learners.memory.cells import LSTMCell as LSTMCell
    from .learners.memory.mann import MANN as MANN
    from .learners.memory.meta_networks import MetaNetworks as MetaNetworks
    from .learners.memory.recurrent import Recurrent as Recurrent
    from .learners.memory.snail import SNAIL as SNAIL

class process:
    from .learners.process.attentive import AttentiveProcess as AttentiveProcess
    from .learners.process.conditional import ConditionalProcess as ConditionalProcess
    from .learners.process.in_context import InContext as InContext

class bayesian:
    from .learners.bayesian.deep_kernel import DeepKernel as DeepKernel
    from .learners.bayesian.ensemble import Ensemble as Ensemble
    from .learners.bayesian.last_layer import BayesianLastLayer as BayesianLastLayer

class zero_shot:
    from .learners.zero_shot.described import Described as Described
    from .learners.zero_shot.eszsl import ESZSL as ESZSL

class baseline:
    from .learners.baseline.finetuned import FineTuned as FineTuned
    from .learners.baseline.linear import LinearProbe as LinearProbe
    from .learners.baseline.majority import Majority as Majority
    from .learners.baseline.nearest import NearestNeighbour as NearestNeighbour
    from .learners.baseline.pooled import Pooled as Pooled
    from .learners.baseline.scratch import FromScratch as FromScratch
    from .learners.baseline.trees import Trees as Trees
