"""Photo + garment + poses -> results: the path that `render.py`, `invert.py` and the evaluation call.

Alphabet: frames are uint8 [H, W, 3] or [T, H, W, 3] of the network's size (`TryOn.size`, bring photos there with
`framing.fit`); layouts are `types.Layout` at that size. RGB alone enters: layouts and keypoints are read from pixels.

The way: read user, donor and pose frames (forward procedure) -> coarse target segmentation -> backward procedure ->
TripleGuidedCNN and ReMapCNN in one of four arms.
"""

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vton_jax.compositing import kept_parts
from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.batching import in_batches
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Dressed, Garment, Layout, Result, Target
from vton_jax.layout import composition, garment_landmarks, inversion
from vton_jax.models import latent_prior_cnn, weights
from vton_jax.models.garment_cnn import GarmentCNN
from vton_jax.models.latent_prior_cnn import LatentPriorCNN
from vton_jax.models.multi_path_cnn import POSE_SIGMA, MultiPathCNN
from vton_jax.models.weights import load_network
from vton_jax.reading.photo_parser import PhotoParser
from vton_jax.systems.lab126.painting import ARMS, LEAST_GARMENT, Painter

PARSERS = ("multi_path", "photo")
PARSER_HELP = (
    "What labels people: photo (ParserCNN, which has learned from photos of real people) or multi_path (MultiPathCNN, "
    "which knows mannequins alone); auto: photo for a --person of one's own."
)
LEARNING_RATE = 0.1
PRIOR_WEIGHT, POSE_WEIGHT = 1.0, 100.0
LEAST_SCALE = 0.3  # of what LatentPriorCNN expects, in standard deviations of the latents: never surer than this
CHUNK = 4  # frames of a clip that are painted in one batch
FIRST_ITERATIONS, NEXT_ITERATIONS = 60, 10  # for a first frame, and for one that starts from the frame before


class TryOn(Painter):
    """The released networks of one arm, compiled on first use.

    Args: arm: one of `ARMS`. folder: where the weights lie (default: the released ones). parser: what labels people in
    pictures, `multi_path` (MultiPathCNN's forward procedure) or `photo` (ParserCNN); joints are MultiPathCNN's. With
    `photo` the target layouts of `targets` keep what the coarse maps know (`composition.reconcile`).
    """

    def __init__(self, arm: str = "joint", folder: str | Path | None = None, parser: str = "multi_path"):
        if parser not in PARSERS:
            raise UserError(f"--parser={parser} is none of {', '.join(PARSERS)}.")
        if arm not in ARMS:
            raise UserError(f"--remap={arm} is none of {', '.join(ARMS)}.")
        at = functools.partial(weights.path_of, folder=folder)
        self.multi_path, self._multi_path, extra, settings = load_network(
            "multi_path_cnn", MultiPathCNN, at("multi_path_cnn")
        )
        self.size = tuple(settings["size"])
        self.garment_cnn, self._garment, _, settings = load_network("garment_cnn", GarmentCNN, at("garment_cnn"))
        self._garment_size = tuple(settings["size"])
        super().__init__(arm, at, self.size)
        self._whiten, self._colour = inversion.whitening(extra["latent_mean"], extra["latent_covariance"])
        self._prior_file = at("latent_prior_cnn")
        self.photo_parser = PhotoParser(at("parser_cnn")) if parser == "photo" else None
        self._small = (self.size[0] // 2, self.size[1] // 2)
        self._optimizer = optax.adam(LEARNING_RATE, b1=0.8, b2=0.95)
        loss = inversion.layout_loss(self._decode, self._whiten, PRIOR_WEIGHT, POSE_WEIGHT)
        self._steps = inversion.make_steps(loss, self._optimizer)

    # ------------------------------------------------------------------------------------------------ reading pixels

    def _decode(self, z: jax.Array, paths: tuple[str, ...] = ("segmentation", "pose")) -> dict[str, jax.Array]:
        return self.multi_path.apply(self._multi_path, z, paths, method="decode")

    @functools.cached_property
    def _forward(self):
        def forward(params, images):
            z = self.multi_path.apply(params, to_float(images), method="encode")
            out = self.multi_path.apply(params, z, ("segmentation", "pose"), method="decode")
            labels = geometry.resize(out["segmentation"], self.size).argmax(-1).astype(jnp.uint8)
            points, visible, _ = keypoints.read_pose_map(out["pose"])
            points = keypoints.scale(points, self._small, self.size)
            layout = Layout(labels, jnp.where(visible[..., None], points, 0.0), visible)
            return layout, z

        return jax.jit(forward)

    def read_people(self, frames: np.ndarray, batch: int = 8) -> tuple[Layout, np.ndarray]:
        """The forward procedure on frames [T, H, W, 3]: layouts [T] and latents [T, N]; `smoothed` shows these."""
        return in_batches(lambda part: self._forward(self._multi_path, part), np.asarray(frames), batch)

    def read_layouts(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """`read_people`, with the labels of the parser that was asked for: what is visible is read sharply."""
        layouts, z = self.read_people(frames)
        if self.photo_parser is not None:
            layouts = layouts.replace(segmentation=self.photo_parser.parse(np.asarray(frames))[0])
        return layouts, z

    @functools.cached_property
    def _encode(self):
        encode = functools.partial(self.multi_path.apply, method="encode")
        return jax.jit(lambda params, images: encode(params, to_float(images)))

    def latents(self, frames: np.ndarray, batch: int = 8) -> np.ndarray:
        """The latents [T, N] alone of frames [T, H, W, 3]."""
        return in_batches(lambda part: self._encode(self._multi_path, part), np.asarray(frames), batch)

    @functools.cached_property
    def smoothed(self):
        """Latents [T, N] -> the smoothed pictures of the forward procedure, float [T, H, W, 3]."""
        return jax.jit(lambda z: self._decode(z, ("image",))["image"])

    @functools.cached_property
    def _read_flat(self):
        def read(params, image):
            small = geometry.resize(to_float(image), self._garment_size)
            out = self.garment_cnn.apply(params, small[None])
            labels = geometry.resize(out["segmentation"], self.size)[0].argmax(-1).astype(jnp.uint8)
            points, present, _ = keypoints.read_pose_map(out["landmarks"][0], radius=2)
            points = keypoints.scale(points, out["landmarks"].shape[1:3], self.size)
            return labels, jnp.where(present[:, None], points, 0.0), present

        return jax.jit(read)

    def read_flat(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """GarmentCNN on a picture [H, W, 3]: labels [H, W], landmarks [12, 2], and which are present [12]."""
        return jax.device_get(self._read_flat(self._garment, frame))

    def looks_flat(self, frame: np.ndarray) -> bool:
        """Whether a picture shows a garment laid flat rather than a person, as GarmentCNN sees it."""
        labels, _, present = self.read_flat(frame)
        return bool((labels > 0).mean() > 0.03 and present.sum() >= 3)

    def read_donor(self, frame: np.ndarray, garment_type: str = "auto", flat: bool | None = None) -> Garment:
        """Reads the garment's picture [H, W, 3]: a person wearing it, or the garment alone (`flat`; None: look).

        Raises: UserError where no garment is found, and for an outfit laid flat.
        """
        require_content(frame, "the garment picture")
        flat = self.looks_flat(frame) if flat is None else flat
        if flat and garment_type == "outfit":
            raise UserError("A garment laid flat is no outfit; give another --garment_type, or --garment_is=person.")
        if flat:
            labels, landmarks, present = self.read_flat(frame)
            kind = composition.garment_type_of(labels, True) if garment_type == "auto" else garment_type
            points, visible = garment_landmarks.keypoints_from_landmarks(landmarks, present, kind)
            # One garment lies there: stray labels of another kind are its own.
            own = {"upper": "upper-clothes", "dress": "dress"}.get(kind)
            lower = [n for n in ("skirt", "pants") if own is None]
            if lower:
                own = max(lower, key=lambda n: int((labels == segmentation.ID[n]).sum()))
            labels = np.where(labels > 0, segmentation.ID[own], 0).astype(np.uint8)
            layout = Layout(labels, np.asarray(points), np.asarray(visible))
        else:
            layout = jax.tree.map(lambda a: a[0], self.read_layouts(frame[None])[0])
            kind = composition.garment_type_of(layout.segmentation, False)
        chosen = kind if garment_type == "auto" else garment_type
        mask = segmentation.region(layout.segmentation, segmentation.GARMENT_LABELS[chosen])
        if mask.mean() < LEAST_GARMENT:
            what = "garment laid flat" if flat else "person"
            raise UserError(
                f"No garment of type '{chosen}' was found in the garment picture, read as a {what}; try another "
                "--garment_type, --garment_is=flat or --garment_is=person, or a clearer picture."
            )
        image = np.where(mask[..., None], to_float(frame), 1.0)
        index = np.int32(segmentation.GARMENT_TYPES.index(chosen))
        return Garment(image=image, layout=layout, garment_type=index, flat=np.bool_(flat))

    # --------------------------------------------------------------------------------------------- the target layout

    @functools.cached_property
    def _compose(self):
        one = composition.coarse_target_segmentation
        return jax.jit(jax.vmap(one, in_axes=(None, None, 0, None)))

    @functools.cached_property
    def _compose_pairs(self):
        return jax.jit(jax.vmap(composition.coarse_target_segmentation))

    def coarse(self, user: Layout, donor: Garment, poses: Layout, batch: int = 8):
        """The eight steps for pose layouts [T]: coarse maps uint8 [T, H, W] and all steps."""
        return in_batches(lambda p: self._compose(user, donor.layout, p, donor.garment_type), poses, batch)

    def coarse_pairs(self, users: Layout, donors: Garment, poses: Layout, batch: int = 8):
        """The same for many users, each with a donor and a pose of their own: all have a leading axis B."""
        pairs = (users, donors.layout, poses, donors.garment_type)
        return in_batches(lambda part: self._compose_pairs(*part), pairs, batch)

    @functools.cached_property
    def _prior(self):
        # Read on first use: data/latents.py, which it learns from, comes before it.
        network, params, _, _ = load_network("latent_prior_cnn", LatentPriorCNN, self._prior_file)
        return functools.partial(network.apply, params)

    @functools.cached_property
    def _target(self):
        def target(coarse, points, visible, z_user, z_pose):
            maps = keypoints.pose_map(keypoints.scale(points, self.size, self._small), visible, self._small, POSE_SIGMA)
            labels = coarse.astype(jnp.int32)
            shares = segmentation.soft_maps(labels, latent_prior_cnn.BLOCK)
            z_user = jnp.broadcast_to(z_user, z_pose.shape)
            expected = self._prior(shares, self._whiten(z_user), self._whiten(z_pose))
            return {
                "segmentation": segmentation.soft_maps(labels, 2),
                "pose": maps,
                "visible": visible.astype(jnp.float32),
                "mean": expected["mean"],
                "scale": jnp.maximum(jnp.exp(expected["log_scale"]), LEAST_SCALE),
            }

        return jax.jit(target)

    @functools.cached_property
    def _layout_of(self):
        def layout(z):
            logits = self._decode(z, ("segmentation",))["segmentation"]
            return geometry.resize(logits, self.size).argmax(-1).astype(jnp.uint8)

        return jax.jit(layout)

    @functools.cached_property
    def shares(self):
        """Latents [B, N] -> how likely the decoder takes each label to be, float [B, H, W, 18]."""

        def shares(z):
            return jax.nn.softmax(geometry.resize(self._decode(z, ("segmentation",))["segmentation"], self.size))

        return jax.jit(shares)

    def expected(self, coarse: np.ndarray, poses: Layout, z_user: np.ndarray, z_pose: np.ndarray) -> np.ndarray:
        """The layouts uint8 [B, H, W] that LatentPriorCNN expects, before any iteration. Arguments as in `backward`."""
        target = self._target(coarse, poses.keypoints, poses.visible, z_user, z_pose)
        return np.asarray(self._layout_of(self._colour(target["mean"])))

    def backward(
        self,
        coarse: np.ndarray,
        poses: Layout,
        z_user: np.ndarray,
        z_pose: np.ndarray,
        start: np.ndarray | None = None,
        max_iterations: int = FIRST_ITERATIONS,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The backward procedure for coarse maps [B, H, W] of pose layouts [B].

        Args: z_user, z_pose: latents [B, N] (z_user also [1, N]) of the user's photo and of the pose images. start:
        where to begin, by default z_pose.
        Returns: latents [B, N], final maps uint8 [B, H, W], Err [iterations, B].
        """
        target = self._target(coarse, poses.keypoints, poses.visible, z_user, z_pose)
        z, errors = inversion.invert(
            None,
            target,
            z_pose if start is None else start,
            optimizer=self._optimizer,
            max_iterations=max_iterations,
            steps=self._steps,
        )
        return np.asarray(z), np.asarray(self._layout_of(z)), errors

    def iterations(
        self, coarse: np.ndarray, poses: Layout, z_user: np.ndarray, z_pose: np.ndarray, max_iterations: int
    ) -> Iterator[tuple[np.ndarray, float]]:
        """The backward procedure on one frame (leading axis 1), watched: (map uint8 [H, W], Err) before every step."""
        target = self._target(coarse, poses.keypoints, poses.visible, z_user, z_pose)
        state = inversion.start(jnp.array(z_pose), self._optimizer)
        layout = np.asarray(self._layout_of(state.z))[0]
        for current, errors in inversion.iterate(self._steps, state, target, max_iterations):
            yield layout, float(errors[-1, 0])
            layout = np.asarray(self._layout_of(current.z))[0]

    # ---------------------------------------------------------------------------------------------------- all together

    def clip(
        self,
        user_frame: np.ndarray,
        donor: Garment,
        pose_frames: np.ndarray,
        background: str = "inpaint",
        shown: np.ndarray | None = None,
    ) -> Iterator[Result]:
        """Dresses the user [H, W, 3] in the donor's garment in every pose of `pose_frames` [T, H, W, 3].

        background: one of `kept_parts.BACKGROUNDS`. shown: bool [H, W], what of the user's frame is not made up
        (`normalisation.Place.shown`), by default all. Raises: UserError where no person is found.
        """
        user, z_user = self.read_user(user_frame)
        user = composition.split_dress(user, donor.garment_type)
        poses, z_pose = self.read_poses(pose_frames)
        user_image = to_float(user_frame)
        behind = kept_parts.backdrop(user_image, np.asarray(user.segmentation)) if background == "inpaint" else None
        targets = self.targets(user, z_user, donor, poses, z_pose)
        for first in range(0, len(pose_frames), CHUNK):
            part = list(itertools.islice(targets, CHUNK))
            seen = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], poses)
            painted = self.paint(user_image, user, donor, np.stack([t.final for t in part]), seen, behind, shown)
            for target, dressed in zip(part, painted, strict=True):
                yield Result(dressed=dressed, target=target)

    def read_user(self, frame: np.ndarray) -> tuple[Layout, np.ndarray]:
        """The layout of the photo [H, W, 3] and its latent [1, N]. Raises: UserError where no person is found."""
        require_content(frame, "the photo")
        layouts, z = self.read_layouts(frame[None])
        user = jax.tree.map(lambda a: a[0], layouts)
        require_person(user, "the photo")
        return user, z

    def read_poses(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """All that leaves the pose frames [T, H, W, 3]: layouts [T] and their latents [T, N]. Raises: UserError."""
        poses, z = self.read_layouts(frames)
        for index in range(len(frames)):
            require_content(frames[index], f"frame {index} of the pose clip")
            require_person(jax.tree.map(lambda a, i=index: a[i], poses), f"frame {index} of the pose clip")
        return poses, z

    def targets(
        self, user: Layout, z_user: np.ndarray, donor: Garment, poses: Layout, z_pose: np.ndarray
    ) -> Iterator[Target]:
        """The target layout of every pose [T], for what `read_user` and `read_poses` have read.

        Frame by frame z starts from the frame before, moved by what the pose image's latent moved.
        """
        z, before = None, None
        for first in range(0, len(z_pose), CHUNK):
            part = jax.tree.map(lambda a, f=first: a[f : f + CHUNK], poses)
            coarse, steps = self.coarse(user, donor, part)
            for index in range(len(coarse)):
                now = z_pose[first + index][None]
                begin = now if z is None else z + now - before
                number = FIRST_ITERATIONS if z is None else NEXT_ITERATIONS
                pose = jax.tree.map(lambda a, i=index: a[i : i + 1], part)
                z, final, error = self.backward(coarse[index][None], pose, z_user, now, begin, number)
                if self.photo_parser is not None:
                    # What was read sharply stays; the decoder says what was never photographed.
                    final = composition.reconcile(coarse[index], np.asarray(self.shares(z))[0])[None]
                before = now
                here = {name: maps[index] for name, maps in steps.items()}
                yield Target(coarse=coarse[index], final=final[0], errors=error[:, 0], steps=here)

    def paint(
        self,
        user_image: np.ndarray,
        user: Layout,
        donor: Garment,
        finals: np.ndarray,
        poses: Layout,
        behind: tuple[np.ndarray, np.ndarray] | None,
        shown: np.ndarray | None = None,
    ) -> Iterator[Dressed]:
        """`dress`, and what is kept of the photo [H, W, 3].

        Args: behind: the photo's `kept_parts.backdrop`, or None. shown: see `clip`.
        Yields frames without the leading axis, with the labels of the head that was carried there.
        """
        seen = [jax.tree.map(lambda a, i=index: a[i], poses) for index in range(len(finals))]
        heads = [kept_parts.carried_head(user_image, user, pose, shown) for pose in seen]
        finals = np.stack([kept_parts.with_head(*pair) for pair in zip(finals, heads, strict=True)])
        dressed = self.dress(user_image, user, donor, finals, poses)
        dressed = self.keep_other_garment(dressed, user_image, user, donor, finals, poses, shown)
        for index, (pose, head) in enumerate(zip(seen, heads, strict=True)):
            one = jax.tree.map(lambda a, i=index: a[i], dressed)
            yield kept_parts.restore(one, user_image, behind, user, pose, head, int(donor.garment_type))


def choose_parser(wanted: str, person: str | None) -> str:
    """The parser that --parser=`wanted` and --person mean, see `PARSER_HELP`."""
    return wanted if wanted != "auto" else "photo" if person else "multi_path"


def require_content(frame: np.ndarray, where: str) -> None:
    """Raises UserError where a picture [H, W, 3] is one colour throughout: networks see people in emptiness too."""
    if np.asarray(frame, np.float32).std((0, 1)).max() < 3:
        raise UserError(f"There is nothing in {where}: all its pixels have one colour.")


def require_person(layout: Layout, where: str) -> None:
    """Raises UserError where a layout shows no person: hardly any body, or fewer than four joints."""
    share = float((np.asarray(layout.segmentation) > 0).mean())
    if share < 0.02 or int(np.asarray(layout.visible).sum()) < 4:
        raise UserError(f"No person was found in {where}; use a picture that shows one person from head to foot.")
