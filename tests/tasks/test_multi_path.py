"""MultiPathTask: with a discriminator both modules learn, and a flat donor leaves its place to the output."""

import flax.linen as nn
import jax
import numpy as np
import optax
from quick_kernels import quick_kernels

from vton_jax.core import segmentation
from vton_jax.tasks.multi_path import MultiPathTask
from vton_jax.training import train_state

SIZE = (64, 32)
# The tests wait for the compiler, not for the arithmetic.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class TinyPaths(nn.Module):
    """What the task needs of MultiPathCNN, quick to compile."""

    size: tuple[int, int] = SIZE

    @nn.compact
    def __call__(self, image):
        x = nn.avg_pool(image, (2, 2), (2, 2))
        pose, labels = nn.Dense(18)(x), nn.Dense(18)(x)
        return {"z": nn.Dense(4)(x.mean((1, 2))), "image": nn.Dense(3)(image), "segmentation": labels, "pose": pose}


@quick_kernels()
def test_the_adversarial_option_gives_both_modules_their_gradient():
    task = MultiPathTask(TinyPaths(), SIZE, adversarial_weight=0.1)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, segmentation.NUM_LABELS, (2, *SIZE)).astype(np.uint8)
    points = generator.random((2, 18, 2), np.float32) * min(SIZE)
    batch = {"garment_type": np.array([0, 3]), "donor_flat": np.array([True, False])}
    for seed, person in enumerate(("input", "donor", "output")):
        batch |= {
            f"{person}_image": np.random.default_rng(seed).integers(0, 256, (2, *SIZE, 3)).astype(np.uint8),
            f"{person}_segmentation": labels,
            f"{person}_keypoints": points,
            f"{person}_visible": np.ones((2, 18), bool),
        }
    assert task.modules == ("multi_path_cnn", "discriminator") and MultiPathTask().modules == ("multi_path_cnn",)
    params = jax.device_get(task.init(jax.random.PRNGKey(0), batch))
    optimizer = optax.sgd(0.1)
    step = jax.jit(train_state.make_train_step(task, optimizer), compiler_options=QUICK)
    state, found = jax.device_get(step(train_state.create(params, optimizer), {}, batch, jax.random.PRNGKey(1)))
    assert found["finite"] == 1
    assert {"adversarial", "discriminator_real", "discriminator_fake"} <= set(found)
    for name in task.modules:
        assert found[f"gradient_norm/{name}"] > 0
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), params[name], state.params[name])
        assert max(jax.tree.leaves(moved)) > 0
    # A flat donor shows no person: its place is the output's.
    people = jax.device_get(jax.jit(task._people)(batch))
    np.testing.assert_array_equal(people["image"][1], batch["output_image"][0])
    np.testing.assert_array_equal(people["image"][4], batch["donor_image"][1])
