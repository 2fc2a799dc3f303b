"""What is trained, and how: a task ties networks, losses and pictures together, as `protocol.Task` says.

Conventions: `params` is {module: {'params': ...}}; batches as in `input_pipeline`; a loss is
`loss_fn(params, frozen, batch, rng) -> (scalar, {'name': term})`. Images enter as uint8 and become floats here. Every
field of a task is a flag; `size`, `dtype` and `export` are those of the training.
"""

from vton_jax.tasks.clothflow import ClothFlowFlowTask, ClothFlowLayoutTask, ClothFlowRenderTask
from vton_jax.tasks.finet import FinetAppearanceTask, FinetShapeTask
from vton_jax.tasks.first_order import FirstOrderTask
from vton_jax.tasks.latent_prior import LatentPriorTask
from vton_jax.tasks.layout_refinement import LayoutRefinementTask
from vton_jax.tasks.multi_path import MultiPathTask
from vton_jax.tasks.protocol import Task
from vton_jax.tasks.re_map import ReMapTask
from vton_jax.tasks.reader import ReaderTask
from vton_jax.tasks.shading import ShadingTask
from vton_jax.tasks.triple_guided import TripleGuidedTask

TASKS: dict[str, type[Task]] = {
    "multi_path_cnn": MultiPathTask,
    "latent_prior_cnn": LatentPriorTask,
    "layout_refinement_cnn": LayoutRefinementTask,
    "shading_cnn": ShadingTask,
    "reader_cnn": ReaderTask,
    "re_map_cnn": ReMapTask,
    "triple_guided_cnn": TripleGuidedTask,
    "clothflow_layout": ClothFlowLayoutTask,
    "clothflow_flow": ClothFlowFlowTask,
    "clothflow_render": ClothFlowRenderTask,
    "finet_shape": FinetShapeTask,
    "finet_appearance": FinetAppearanceTask,
    "first_order": FirstOrderTask,
}
