"""Small folders in the layouts of the field's datasets, for tests. What a file shows is a function of its name."""

import json
import zlib
from pathlib import Path

import cv2
import numpy as np

SIZE = (64, 48)


def picture(name: str, size=SIZE) -> np.ndarray:
    """A picture [H, W, 3] that no other name has: coarse noise."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    coarse = generator.integers(0, 256, (8, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def ids(name: str, count: int, size=SIZE) -> np.ndarray:
    """Label ids below `count` in blocks."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    blocks = generator.integers(0, count, (4, 3)).astype(np.uint8)
    return np.kron(blocks, np.ones((size[0] // 4, size[1] // 3), np.uint8))


def points(name: str, count: int = 18, size=SIZE) -> np.ndarray:
    """Joints (x, y) within the picture; the third of COCO's is missing: (0, 0)."""
    found = np.random.default_rng(zlib.crc32(name.encode())).uniform(4, np.array(size[::-1]) - 4, (count, 2)).round(2)
    found[2] = 0
    return found


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_openpose(path: Path, name: str, count: int, key: str) -> None:
    joints = points(name, count)
    flat = np.concatenate([joints, (joints > 0).all(-1, keepdims=True) * 0.9], -1).ravel().tolist()
    write_text(path, json.dumps({"people": [{key: flat}]}))


def garment_on_white(name: str, size=SIZE) -> np.ndarray:
    image = np.full((*size, 3), 255, np.uint8)
    image[16:48, 12:36] = np.minimum(picture(name)[16:48, 12:36], 200)
    return image


def mask(size=SIZE) -> np.ndarray:
    given = np.zeros(size, np.uint8)
    given[16:48, 12:36] = 255
    return given


def viton(folder: Path, train=("000001", "000002", "000003"), test=("000011", "000012")) -> Path:
    """CP-VTON's layout; the test list is unpaired, as the released one."""
    for split, numbers in (("train", train), ("test", test)):
        for number in numbers:
            person, garment = f"{number}_0", f"{number}_1"
            write(folder / split / "image" / f"{person}.jpg", picture(person))
            write(folder / split / "image-parse" / f"{person}.png", ids(person, 20))
            write_openpose(folder / split / "pose" / f"{person}_keypoints.json", person, 18, "pose_keypoints")
            write(folder / split / "cloth" / f"{garment}.jpg", garment_on_white(garment))
            write(folder / split / "cloth-mask" / f"{garment}.jpg", mask())
    write_text(folder / "train_pairs.txt", "".join(f"{n}_0.jpg {n}_1.jpg\n" for n in train))
    pairs = zip(test, test[1:] + test[:1], strict=True)
    write_text(folder / "test_pairs.txt", "".join(f"{a}_0.jpg {b}_1.jpg\n" for a, b in pairs))
    return folder


def viton_hd(folder: Path, newer: bool = True) -> Path:
    """The newer release or the older one; both lists are unpaired, as the released ones."""
    parse, pose = ("image-parse-v3", "openpose_json") if newer else ("image-parse", "openpose-json")
    for split, names in (("train", ("00001_00", "00002_00")), ("test", ("00006_00", "00008_00"))):
        for name in names:
            write(folder / split / "image" / f"{name}.jpg", picture(f"person {name}"))
            write(folder / split / parse / f"{name}.png", ids(name, 20))
            write_openpose(folder / split / pose / f"{name}_keypoints.json", name, 25, "pose_keypoints_2d")
            write(folder / split / "cloth" / f"{name}.jpg", garment_on_white(name))
            write(folder / split / "cloth-mask" / f"{name}.jpg", mask())
        a, b = names
        write_text(folder / f"{split}_pairs.txt", f"{a}.jpg {b}.jpg\n{b}.jpg {a}.jpg\n")
    return folder


def dress_code(folder: Path) -> Path:
    """Three categories; keypoints in 384x512 whatever the photo's size; no garment masks."""
    for category in ("upper_body", "lower_body", "dresses"):
        here = folder / category
        for number in ("000001", "000002", "000003", "000004"):
            name = f"{category} {number}"
            write(here / "images" / f"{number}_0.jpg", picture(f"person {name}"))
            write(here / "images" / f"{number}_1.jpg", garment_on_white(name))
            write(here / "label_maps" / f"{number}_4.png", ids(name, 18))
            joints = np.where(points(name) > 0, (points(name) + 0.5) * (384 / 48, 512 / 64) - 0.5, -1)
            rows = [[*joint, 0.8, float(index)] for index, joint in enumerate(joints.tolist())]
            write_text(here / "keypoints" / f"{number}_2.json", json.dumps({"keypoints": rows}))
        lists = {"train_pairs": "12", "test_pairs_paired": "34"}
        for kind, numbers in lists.items():
            write_text(here / f"{kind}.txt", "".join(f"00000{n}_0.jpg\t00000{n}_1.jpg\n" for n in numbers))
        write_text(here / "test_pairs_unpaired.txt", "000003_0.jpg\t000004_1.jpg\n000004_0.jpg\t000003_1.jpg\n")
    return folder


DEEPFASHION = {
    "train": tuple(f"fashion/WOMEN/Tees_Tanks/id_00000042/01_{view}.jpg" for view in ("1_front", "2_side")),
    "test": tuple(f"fashion/MEN/Denim/id_00000080/02_{view}.jpg" for view in ("1_front", "7_additional")),
}
DEEPFASHION_RENAMED = {
    "train": ("fashionWOMENTees_Tanksid0000004201_1front.jpg", "fashionWOMENTees_Tanksid0000004201_2side.jpg"),
    "test": ("fashionMENDenimid0000008002_1front.jpg", "fashionMENDenimid0000008002_7additional.jpg"),
}


def deepfashion(folder: Path, is_renamed: bool = True, size=(256, 176)) -> Path:
    """Photos renamed in train/ and test/, or in the original tree; the second photo's third joint is -1."""
    for split, names in DEEPFASHION_RENAMED.items():
        for name, original in zip(names, DEEPFASHION[split], strict=True):
            write(folder / split / name if is_renamed else folder / original, picture(name, size))
        a, b = names
        write_text(folder / f"fasion-pairs-{split}.csv", f"from,to\n{a},{b}\n{b},{a}\n")
        lines = ["name:keypoints_y:keypoints_x"]
        for name in names:
            joints = points(name, size=(256, 176)).round().astype(int)
            joints[2] = -1
            lines.append(f"{name}:{joints[:, 1].tolist()}:{joints[:, 0].tolist()}")
        write_text(folder / f"fasion-annotation-{split}.csv", "\n".join(lines) + "\n")
    return folder


def ccp(folder: Path, mat: bool = False) -> Path:
    """Photos 0001 to 0008; 0003 is for validation, and 0007 is a copy of it, made smaller."""
    for number in range(1, 9):
        name = f"{number:04d}"
        image = picture("0003" if number == 7 else name, (96, 72))
        write(folder / "photos" / f"{name}.jpg", cv2.resize(image, SIZE[::-1]) if number == 7 else image)
        labels = ids(name, 59, SIZE if number == 7 else (96, 72))
        if number == 8:
            continue  # has no labels
        if mat:
            import scipy.io

            path = folder / "annotations" / "pixel-level" / f"{name}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(path, {"groundtruth": labels})
        else:
            write(folder / "labels" / f"{name}.png", labels)
    return folder


def built(module, source, data_dir, **settings) -> dict[str, dict[str, dict]]:
    """{split: {person, source and garment: features}} of what is prepared from a folder."""
    import tensorflow_datasets as tfds

    from data import prepare

    place = prepare.build(module, source, data_dir, settings=module.Settings(**settings))
    builder = tfds.builder_from_directory(str(place))
    splits = {name: list(builder.as_data_source(name)) for name in builder.info.splits}
    names = ("person", "source", "garment")
    return {s: {tuple(e[n].decode() for n in names): e for e in examples} for s, examples in splits.items()}


def told(module, folder) -> tuple[str, bool]:
    """(what the doctor says, whether something is serious)."""
    from data import doctor

    findings, counts = doctor.examine(lambda f: module.Source(f, module.Settings()), folder)
    return doctor.report("it", findings, counts), any(finding.serious for finding in findings)
