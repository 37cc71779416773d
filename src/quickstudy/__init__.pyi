"""What `quickstudy` exports, for type checkers and editors (names are imported lazily at run time)."""

from . import errors as errors
from . import nets as nets
from .bundle import load_bundle as load_bundle
from .bundle import save_bundle as save_bundle
from .contract import check_learner as check_learner
from .evaluation.audit import audit as audit
from .evaluation.compare import compare as compare
from .evaluation.evaluate import evaluate as evaluate
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
from .tasks.episodes import Episodes as Episodes
from .tasks.functions import GPDraws as GPDraws
from .tasks.functions import Sinusoids as Sinusoids
from .tasks.glyphs import glyphs as glyphs
from .tasks.omniglot import omniglot as omniglot
from .tasks.pool import Pool as Pool
from .tasks.source import TaskSource as TaskSource

__version__: str

class metric:
    from .learners.metric.prototypical import Prototypical as Prototypical

class gradient:
    from .learners.gradient.maml import MAML as MAML
    from .learners.gradient.reptile import Reptile as Reptile

class baseline:
    from .learners.baseline.finetuned import FineTuned as FineTuned
    from .learners.baseline.linear import LinearProbe as LinearProbe
    from .learners.baseline.majority import Majority as Majority
    from .learners.baseline.nearest import NearestNeighbour as NearestNeighbour
    from .learners.baseline.pooled import Pooled as Pooled
    from .learners.baseline.scratch import FromScratch as FromScratch
