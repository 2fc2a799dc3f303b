"""Evaluation cases: a user's photo, a donor, a pose image and the counterfactual truth, all of unseen people.

Cases are drawn uniformly over the donated garment, its pattern, the backgrounds and the yaw of the target pose. The
pose image shows a third person in clothes of their own. Half the donors are garments laid flat.
Conventions: arrays as in the Pose-and-Dress sample, without a batch axis until `draw_cases` stacks them; NumPy outside.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.batching import in_batches, stacked, unstacked
from vton_jax.mannequin import body, motion, people, render, sampler

GARMENTS = ("short sleeve", "long sleeve", "dress", "skirt", "trousers")


def _outfit(key: jax.Array, garment: jax.Array, pattern: jax.Array) -> tuple[people.Outfit, jax.Array]:
    """An outfit whose donated garment is the one asked for, and the garment type that donates it."""
    outfit = people.sample_outfit(key)
    keys = jax.random.split(jax.random.fold_in(key, 1), 4)
    draws = people.Draws(keys[3], 4)
    upper, dress = people.sample_garment(keys[0], where="upper"), people.sample_garment(keys[0], where="dress")
    short = jnp.clip(people.SHORT_SLEEVE + draws.uniform(-0.1, 0.1), 0.1, 0.6)
    sleeve = jnp.where(garment == 0, short, people.LONG_SLEEVE)
    upper = upper.replace(sleeve=jnp.where(garment < 2, sleeve, upper.sleeve))
    skirt, trousers = people.sample_garment(keys[1], where="skirt"), people.sample_garment(keys[1], where="trousers")
    is_skirt = jnp.where(garment == 3, True, jnp.where(garment == 4, False, outfit.skirt > 0.5))
    pick = lambda flag, yes, no: jax.tree.map(lambda a, b: jnp.where(flag, a, b), yes, no)  # noqa: E731
    upper, lower = pick(garment == 2, dress, upper), pick(is_skirt, skirt, trousers)
    # Lettering exists on upper garments and dresses alone; dots stand in for it below.
    below = jnp.where(pattern == 5, 4, pattern)
    upper = upper.replace(pattern=jnp.where(garment <= 2, pattern, upper.pattern))
    lower = lower.replace(pattern=jnp.where(garment >= 3, below, lower.pattern))
    outfit = outfit.replace(
        upper=upper, lower=lower, dress=(garment == 2).astype(jnp.float32), skirt=is_skirt.astype(jnp.float32)
    )
    return outfit, jnp.where(garment <= 1, 0, jnp.where(garment == 2, 2, 1))


def _parts(key: jax.Array, index: jax.Array) -> dict:
    """The choices of case `index`: who, in what, how and where; arguments of `shoot_parts`."""
    keys = jax.random.split(key, 12)
    draws = people.Draws(keys[11], 16)
    garment, pattern = index % len(GARMENTS), (index // len(GARMENTS)) % len(people.PATTERNS)
    flat = (index // 2) % 2 == 1
    user, other, model = people.each(people.sample_identity, keys[:3])
    worn, clothes = people.each(people.sample_outfit, keys[3:5])
    # A donated half needs a user who wears halves.
    donated, wanted = _outfit(keys[5], garment, pattern)
    worn = worn.replace(
        upper=jax.tree.map(lambda a, b: jnp.where((worn.dress > 0.5) & (wanted < 2), a, b),
                           people.sample_garment(keys[6], where="upper"), worn.upper),
        dress=jnp.where(wanted < 2, 0.0, worn.dress),
    )  # fmt: skip
    scene, donor_scene, pose_scene = people.each(people.sample_scene, keys[7:10])
    scene = scene.replace(background=index % 3)
    pose_keys = jax.random.split(keys[10], 3)
    input_pose, donor_pose, output_pose = people.each(motion.sample_pose, pose_keys)
    input_yaw, donor_yaw = 0.35 * draws.normal(), 0.35 * draws.normal()
    # The golden ratio spreads yaws evenly over the circle, whatever the number of cases.
    yaw = (index * 0.6180339887) % 1.0 * 2 * jnp.pi - jnp.pi
    output_pose = output_pose.replace(yaw=yaw)
    flat_pose = motion.flat_pose().replace(shoulder_spread=jnp.full(2, draws.uniform(0.35, 0.95)))
    return {
        "user": user, "worn": worn, "scene": scene, "input_pose": input_pose.replace(yaw=input_yaw),
        "other": other, "donated": donated, "donor_scene": donor_scene, "donor_pose": donor_pose.replace(yaw=donor_yaw),
        "model": model, "clothes": clothes, "pose_scene": pose_scene, "output_pose": output_pose,
        "garment": garment, "pattern": pattern, "flat": flat, "flat_pose": flat_pose,
        "garment_type": jnp.where((wanted == 2) & ~flat, 3, wanted),  # an outfit is worn
        # The pose image's person in the output's clothes: how far another body alone is from the truth.
        "more": {"other_body": (model, people.exchange(worn, donated, wanted), output_pose)},
    }  # fmt: skip


def shoot_parts(parts: dict, size: tuple[int, int], samples: int) -> dict:
    """Draws a case with its truth; `more` [name]: further frames in the photo's scene, (identity, outfit, pose)."""
    user, worn, donated, flat = parts["user"], parts["worn"], parts["donated"], parts["flat"]
    scene, donor_scene, wanted = parts["scene"], parts["donor_scene"], parts["garment_type"]
    input_pose, output_pose = parts["input_pose"], parts["output_pose"]
    output_outfit = people.exchange(worn, donated, wanted)
    lying, landmarks, present = render.stage_flat(parts["other"], donated, parts["flat_pose"], wanted == 1, size)
    stage = functools.partial(render.stage_person, size=size)
    pick = lambda yes, no: jax.tree.map(lambda a, b: jnp.where(flat, a, b), yes, no)  # noqa: E731
    table = people.even_scene().replace(ambient=donor_scene.ambient, light=donor_scene.light)
    people_of = {
        "input": (user, worn, input_pose),
        "donor": (parts["other"], donated, parts["donor_pose"]),
        "pose": (parts["model"], parts["clothes"], output_pose),
        "output": (user, output_outfit, output_pose),
        **parts["more"],
    }
    scenes = {"donor": pick(table, donor_scene), "pose": parts["pose_scene"]}
    identities, outfits, poses = stacked(*people_of.values())
    staged = dict(zip(people_of, unstacked(jax.vmap(stage)(identities, outfits, poses), len(people_of)), strict=True))
    staged["donor"] = pick(lying, staged["donor"])
    together = identities, outfits, stacked(*(scenes.get(name, scene) for name in people_of)), stacked(*staged.values())
    culled = jax.default_backend() == "cpu"
    draw = lambda row: render.shoot(*row, size=size, samples=samples, culled=culled)  # noqa: E731
    drawn = jax.lax.map(draw, together) if culled else jax.vmap(draw)(together)
    frames = dict(zip(people_of, unstacked(drawn, len(people_of)), strict=True))
    surface = frames["output"].surface
    flow, flow_visible = render.flow_between(frames["donor"].surface, surface, size)
    bone = jnp.where(surface.primitive >= 0, surface.primitives.bone[surface.primitive] + 1, 0)
    out = {
        "garment_type": wanted,
        "garment": parts["garment"],
        "pattern": parts["pattern"],
        "background": scene.background,
        "flat": flat,
        "yaw": output_pose.yaw,
        "turn": jnp.abs((output_pose.yaw - input_pose.yaw + jnp.pi) % (2 * jnp.pi) - jnp.pi),
        "sleeve_changes": (jnp.abs(worn.upper.sleeve - output_outfit.upper.sleeve) > 0.2),
        "type_changes": (worn.dress != output_outfit.dress) | (worn.skirt != output_outfit.skirt),
        "landmarks": landmarks,
        "landmarks_present": present & flat,
        "flow": flow,
        "flow_visible": flow_visible,
        "height": staged["output"].camera.scale * body.height(user),
        # Which bone each pixel of the output shows, from 1; 0: background.
        "output_bone": bone.astype(jnp.uint8),
    }
    for name, frame in frames.items():
        out |= {
            f"{name}_image": jnp.round(frame.image * 255).astype(jnp.uint8),
            f"{name}_segmentation": frame.segmentation,
            f"{name}_keypoints": frame.keypoints,
            f"{name}_visible": frame.visible,
        }
    return out


@functools.partial(jax.jit, static_argnames=("size", "samples"))
def _drawn(key, indices, size, samples):
    one = lambda i: shoot_parts(_parts(jax.random.fold_in(key, i), i), size, samples)  # noqa: E731
    return jax.lax.map(one, indices) if jax.default_backend() == "cpu" else jax.vmap(one)(indices)


def draw_cases(
    count: int,
    size: tuple[int, int] = render.SIZE,
    seed: int = 0,
    split: str = "test",
    samples: int = 2,
    *,
    first: int = 0,
) -> dict:
    """`count` cases of a split's people and garments as stacked NumPy arrays; case i is the same for any count.

    Garment, donor and yaw are functions of a case's number: draw in parts with `first`, the number of the part's first
    case, rather than with other seeds, which would show the same few of their combinations again and again.
    """
    key = sampler.people_key(seed, split)
    draw = lambda indices: _drawn(key, jnp.asarray(indices), tuple(size), samples)  # noqa: E731
    return with_masks(in_batches(draw, np.arange(first, first + count), 8, full=True))


def with_masks(cases: dict) -> dict:
    """Adds `garment_mask` [B, H, W], the donated garment in the truth, to stacked cases; flows are judged there."""
    masks = [
        segmentation.region(cases["output_segmentation"][i], segmentation.GARMENT_LABELS[segmentation.GARMENT_TYPES[t]])
        for i, t in enumerate(cases["garment_type"])
    ]
    mask = np.stack(masks)
    return cases | {"garment_mask": mask, "flow_visible": cases["flow_visible"] & mask}


@functools.partial(jax.jit, static_argnames=("count", "size"))
def _walk(key, count, size):
    keys = jax.random.split(key, 8)
    user, model, owner = (people.sample_identity(k) for k in keys[:3])
    worn, clothes = people.each(people.sample_outfit, keys[3:5])
    donated, wanted = _outfit(keys[5], jnp.int32(2), jnp.int32(3))
    scene, studio = people.sample_scene(keys[6]), people.sample_scene(keys[7])
    walk = motion.sample_motion(jax.random.fold_in(key, 1), 4.0)
    still = motion.sample_pose(jax.random.fold_in(key, 2)).replace(yaw=jnp.float32(0.1))
    culled = jax.default_backend() == "cpu"
    draw = functools.partial(render.render, size=size, samples=2, culled=culled)
    byte = lambda image: jnp.round(image * 255).astype(jnp.uint8)  # noqa: E731
    output = people.exchange(worn, donated, wanted)

    def frame(time):
        pose = motion.pose_at(walk, time)
        return byte(draw(model, clothes, pose, studio).image), byte(draw(user, output, pose, scene).image)

    poses, truth = jax.lax.map(frame, jnp.arange(count) / 15.0)
    flat = render.render_flat(
        owner, donated, motion.flat_pose(), people.even_scene(), size=size, samples=2, culled=culled
    )
    return byte(draw(user, worn, still, scene).image), byte(flat.frame.image), poses, truth


def draw_walk(index: int, count: int, size: tuple[int, int] = render.SIZE, seed: int = 0, split: str = "test"):
    """A clip case: photo [H, W, 3], flat dress [H, W, 3], pose clip [T, H, W, 3] at 15 frames/s, and the true clip."""
    key = jax.random.fold_in(sampler.people_key(seed, split), 1_000_000 + index)
    return jax.device_get(_walk(key, count, tuple(size)))
