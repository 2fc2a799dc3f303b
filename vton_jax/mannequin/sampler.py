"""Training batches drawn and rendered on the device: the catalogue without the detour over files.

Every example is a pure function of its key, so a run resumes exactly from a step number, and no two steps show the same
person. The keys of training and evaluation never meet: `people_key` splits them at the root.
Conventions: batches follow the Pose-and-Dress sample (see `vton_jax.input_pipeline`): images uint8 [B, H, W, 3].
"""

import functools

import jax
import jax.numpy as jnp

from vton_jax.core import segmentation
from vton_jax.mannequin import motion, people, render

SPLITS = {"train": 0, "validation": 1, "test": 2}
# Donors: the same person in the output's outfit (as in the catalogue), another person, or the garment laid flat.
_DONORS = (0.4, 0.35, 0.25)

_DRESS, _OUTFIT = (segmentation.GARMENT_TYPES.index(name) for name in ("dress", "outfit"))


def people_key(seed: int, split: str) -> jax.Array:
    """The root key of a split's people and garments."""
    return jax.random.fold_in(jax.random.PRNGKey(seed), SPLITS[split])


def _culled() -> bool:
    # Tiles pay on CPUs; on accelerators every pixel at once is faster than bookkeeping.
    return jax.default_backend() == "cpu"


def _over_batch(function, keys):
    return jax.lax.map(function, keys) if _culled() else jax.vmap(function)(keys)


def _keys(key: jax.Array, batch_size: int, rows: tuple[int, int] | None) -> jax.Array:
    first, number = rows or (0, batch_size)
    return jax.random.split(key, batch_size)[first : first + number]


def _uint8(image: jax.Array) -> jax.Array:
    return jnp.round(image * 255).astype(jnp.uint8)


def _pick(flag, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), yes, no)


def _stack(trees):
    return jax.tree.map(lambda *a: jnp.stack(a), *trees)


def _pose(key: jax.Array, frontal: float | jax.Array) -> people.Pose:
    """A pose that shows the front with probability `frontal`, and any side otherwise."""
    keys = jax.random.split(key)
    pose, draws = motion.sample_pose(keys[0]), people.Draws(keys[1], 2)
    towards = 0.45 * draws.normal()
    return pose.replace(yaw=jnp.where(draws.chance(frontal), towards, pose.yaw))


def _case(key: jax.Array) -> dict:
    """The random choices of one example."""
    keys = jax.random.split(key, 10)
    draws = people.Draws(keys[0])
    person, other = people.each(people.sample_identity, keys[1:3])
    worn, donated = people.each(people.sample_outfit, keys[3:5])
    poses = people.each(_pose, keys[7:10], jnp.array([0.6, 0.6, 0.25]))
    wanted = draws.index(3, (0.35, 0.25, 0.4))  # upper, lower, all
    whole = (wanted == 2) | (donated.dress > 0.5) | (worn.dress > 0.5)
    donor_kind = draws.index(3, _DONORS)
    # A whole outfit of two pieces cannot lie flat as one garment: such a donor wears it.
    donor_kind = jnp.where(whole & (donated.dress < 0.5) & (donor_kind == 2), 1, donor_kind)
    output_outfit = people.exchange(worn, donated, wanted)
    scene, other_scene = people.each(people.sample_scene, keys[5:7])
    flat_pose = motion.flat_pose().replace(
        shoulder_spread=jnp.full(2, draws.uniform(0.3, 1.0)),
        sway=0.06 * draws.normal(),
        zoom=draws.uniform(0.9, 1.1),
        x=0.03 * draws.normal(),
        y=0.03 * draws.normal(),
    )
    return {
        "person": person,
        "donor": _pick(donor_kind == 0, person, other),
        "worn": worn,
        "donor_outfit": _pick(donor_kind == 1, donated, output_outfit),
        "output_outfit": output_outfit,
        "scene": scene,
        "donor_scene": _pick(donor_kind == 0, scene, other_scene),
        "input_pose": poses[0],
        "donor_pose": poses[1],
        "output_pose": poses[2],
        "flat_pose": flat_pose,
        "garment_type": jnp.where(whole, jnp.where(donor_kind == 2, _DRESS, _OUTFIT), wanted),
        "flat": donor_kind == 2,
        "lower": draws.chance(0.4),
        "white": draws.chance(0.5),
        "worn_instead": draws.chance(0.25),
    }


def _given(labels: jax.Array, garment_type: jax.Array) -> jax.Array:
    """Mask [H, W] of the garment that the donor gives."""
    types = segmentation.GARMENT_TYPES
    return jnp.stack([segmentation.region(labels, segmentation.GARMENT_LABELS[t]) for t in types])[garment_type]


def _example(key: jax.Array, size: tuple[int, int], samples: int, pose_image: bool) -> dict:
    case = _case(key)
    donor, donor_outfit = case["donor"], case["donor_outfit"]
    lower = case["garment_type"] == 1
    lying, _, _ = render.stage_flat(donor, donor_outfit, case["flat_pose"], lower, size)
    table = people.even_scene().replace(ambient=case["donor_scene"].ambient, light=case["donor_scene"].light)
    flat = case["flat"]
    scenes = {"input": case["scene"], "output": case["scene"], "donor": _pick(flat, table, case["donor_scene"])}
    people_ = {"input": case["person"], "output": case["person"], "donor": donor}
    outfits = {"input": case["worn"], "output": case["output_outfit"], "donor": donor_outfit}
    poses = {name: case[f"{name}_pose"] for name in people_}
    if pose_image:
        keys = jax.random.split(jax.random.fold_in(key, 1), 3)
        people_["pose"], outfits["pose"] = people.sample_identity(keys[0]), people.sample_outfit(keys[1])
        scenes["pose"], poses["pose"] = people.sample_scene(keys[2]), case["output_pose"]
    dressed = [_stack(things.values()) for things in (people_, outfits, poses)]
    stages = dict(zip(people_, people.each(lambda *of: render.stage_person(*of, size), *dressed), strict=True))
    stages["donor"] = _pick(flat, lying, stages["donor"])
    names = tuple(stages)
    together = _stack([(people_[n], outfits[n], scenes[n], stages[n]) for n in names])
    drawn = _over_batch(lambda a: render.shoot(*a, size=size, samples=samples, culled=_culled()), together)
    frames = {n: jax.tree.map(lambda a, i=i: a[i], drawn) for i, n in enumerate(names)}
    # A flat garment tells of its wearer's joints where they would be.
    joints = render.project(stages["donor"].camera, render.body.joints_of(donor, stages["donor"].bones))
    worn = render.wearer_joints(donor_outfit, lower)
    frames["donor"] = frames["donor"].replace(
        keypoints=jnp.where(flat, jnp.where(worn[:, None], joints, 0.0), frames["donor"].keypoints),
        visible=jnp.where(flat, worn, frames["donor"].visible),
    )
    mask = _given(frames["donor"].segmentation, case["garment_type"])
    flow, flow_visible = render.flow_between(frames["donor"].surface, frames["output"].surface, size)
    flow_visible = flow_visible & _given(frames["output"].segmentation, case["garment_type"])
    example = {
        "dress_image": _uint8(jnp.where(mask[..., None], frames["donor"].image, 1.0)),
        "garment_type": case["garment_type"].astype(jnp.int32),
        "donor_flat": flat,
        "flow": jnp.where(flow_visible[..., None], flow, 0.0).astype(jnp.float16),
        "flow_visible": flow_visible,
    }
    for name, frame in frames.items():
        example |= {
            f"{name}_image": _uint8(frame.image),
            f"{name}_segmentation": frame.segmentation,
            f"{name}_keypoints": frame.keypoints,
            f"{name}_visible": frame.visible,
        }
    return example


@functools.partial(jax.jit, static_argnames=("batch_size", "size", "samples", "rows", "pose_image"))
def training_batch(
    key: jax.Array,
    batch_size: int,
    size: tuple[int, int] = render.SIZE,
    samples: int = 2,
    rows: tuple[int, int] | None = None,
    *,
    pose_image: bool = False,
) -> dict:
    """A batch of Pose-and-Dress examples, each the counterfactual truth of its key.

    `rows` (first, number) draws only these of the batch, as they would be in the whole. `pose_image` adds one: somebody
    else, in clothes of their own, in the output's pose.
    """
    return _over_batch(lambda k: _example(k, size, samples, pose_image), _keys(key, batch_size, rows))


case_batch = functools.partial(training_batch, pose_image=True)
