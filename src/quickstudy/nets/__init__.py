"""Networks that the literature uses; a learner takes any `nn.Module` in their place."""

from .adapter import Adapter as Adapter
from .conv1d import Conv1d as Conv1d
from .conv4 import Conv4 as Conv4
from .mlp import MLP as MLP
from .relation_module import ConvMaps as ConvMaps
from .relation_module import RelationModule as RelationModule
from .resnet12 import ResNet12 as ResNet12
from .temporal import Temporal as Temporal
