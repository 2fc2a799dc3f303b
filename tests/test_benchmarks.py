"""What the benchmarks count: FLOPs against a formula, bytes of collectives against a program of known ones; and the
tables of the results page.
"""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import (
    calibration,
    drive,
    faces,
    leaving_people,
    program_costs,
    reading_flats,
    recipe_memory,
    results_page,
)
from vton_jax.core import keypoints, segmentation
from vton_jax.models import layers


def test_flops_of_convolutions_products_and_loops():
    def program(x, kernel, matrix):
        y = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y @ matrix), y)

    x, kernel, matrix = jnp.ones((2, 8, 6, 5)), jnp.ones((3, 3, 5, 7)), jnp.ones((7, 7))
    convolution, product = 2 * (2 * 4 * 3 * 7) * 9 * 5, 2 * (2 * 4 * 3 * 7) * 7
    assert program_costs.matmul_flops(jax.jit(program), x, kernel, matrix) == convolution + 3 * product


def test_the_gradient_of_a_strided_convolution_costs_what_the_convolution_does():
    x, kernel = jnp.ones((2, 8, 6, 5)), jnp.ones((2, 2, 5, 7))
    convolve = lambda x: jax.lax.conv_general_dilated(  # noqa: E731
        x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    forward = 2 * (2 * 4 * 3 * 7) * 4 * 5
    assert program_costs.matmul_flops(convolve, x) == forward
    back = program_costs.matmul_flops(lambda x, y: jax.vjp(convolve, x)[1](y), x, convolve(x))
    assert back == 2 * forward  # the convolution itself is still in the program


@pytest.mark.parametrize(("arm", "most"), [("none", 5.6), ("post", 9.4), ("pre", 9.4), ("joint", 9.4)])
def test_a_frame_of_a_try_on_costs_what_its_stages_do(capsys, monkeypatch, arm, most):
    monkeypatch.setattr(sys, "argv", ["program_costs.py", "--path", "--json", f"--arm={arm}"])
    program_costs.main()
    told = json.loads(capsys.readouterr().out)
    stages = told["stages"]
    assert told["unit"] == "GMAC" and told["arm"] == arm
    of_flow = [] if arm == "none" else ["flow", "flow_kept"]
    assert list(stages) == ["reading", "layout_refined", *of_flow, "painting", "shading", "total", "a_frame_of_30"]
    shown = stages.pop("a_frame_of_30")
    assert stages["total"] == pytest.approx(sum(stages.values()) / 2, abs=0.01)
    assert stages["total"] < most  # each frame that is painted
    assert shown == pytest.approx(stages["total"] / 3, abs=0.01) and shown < 4  # in a clip of 30 a second
    assert 0.9 < stages["reading"] < 1.1  # a look of ReaderCNN, which vton_jax/weights/reader_cnn.md says


def test_collectives_are_read_from_hlo():
    hlo = """
      %a = (f32[1000,25]{1,0}, /*index=1*/f32[100]{0}) all-reduce(%x, %y), replica_groups={{0,1,2,3},{4,5,6,7}}, to=%add
      ROOT %b = bf16[8,1000]{1,0} all-gather(%z), channel_id=2, replica_groups=[2,4]<=[8], dimensions={0}
      %c = f32[250]{0} reduce-scatter(%w), replica_groups=[1,8]<=[8], dimensions={0}, to_apply=%add
      %d = (f32[10]{0}, f32[80]{0}) all-gather-start(%v), replica_groups={}, dimensions={0}
      %e = f32[80]{0} all-gather-done(%d)
    """
    found = program_costs.collectives(hlo, 8)
    assert found["all-reduce"] == pytest.approx({"times": 1, "megabytes": 0.1004, "sent_megabytes": 0.1506})
    assert found["reduce-scatter"] == pytest.approx({"times": 1, "megabytes": 0.008, "sent_megabytes": 0.007})
    gathered, sent = 0.016 + 320e-6, 0.012 + 280e-6
    assert found["all-gather"] == pytest.approx({"times": 2, "megabytes": gathered, "sent_megabytes": sent})


def test_a_pointwise_convolution_is_a_convolution():
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 4, 6, 8))
    kernel = jax.random.normal(jax.random.PRNGKey(1), (1, 1, 8, 5))

    def convolution(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert np.allclose(layers.pointwise(x, kernel), convolution(x, kernel), atol=1e-5)
    gradients = [
        jax.grad(lambda x, k, fn=fn: jnp.sum(jnp.sin(fn(x, k))), (0, 1))(x, kernel)
        for fn in (layers.pointwise, convolution)
    ]
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(*gradients, strict=True))


def test_a_recipes_memory_is_that_of_its_compiled_step(monkeypatch, tmp_path, capsys):
    recipe = recipe_memory.FOLDER / "reader_cnn_smoke.flags"
    (tmp_path / "narrow.flags").write_text(f"--flagfile={recipe}\n--reader_cnn.widths=8,8,8\n")
    monkeypatch.setattr(recipe_memory, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["recipe_memory.py", "narrow"])
    recipe_memory.main()
    said = capsys.readouterr().out.splitlines()
    heads, row = ([cell.strip() for cell in said[line].split("|")[1:-1]] for line in (0, -1))
    found = dict(zip(heads, row, strict=True))
    million, state, arguments, temporary = (
        float(found[name]) for name in ("million parameters", "state", "arguments", "temporary")
    )
    assert found["size, batch"] == "64x64, 2" and found["process"] == ""
    np.testing.assert_allclose(state, 16 * million, atol=0.15)  # float32: weight, two moments, moving average
    batch = 2 * 64 * 64 * (3 + 1) / 1e6  # picture and labels
    assert state + batch - 0.1 < arguments < state + batch + 0.2 and temporary > 1
    script = recipe_memory.__file__
    unknown = subprocess.run([sys.executable, script, "garment"], capture_output=True, text=True, timeout=60)
    assert unknown.returncode == 1 and "There is no recipe garment" in unknown.stderr


def test_claims_are_judged_by_their_intervals():
    results = {"try_on.joint.ssim_garment": 0.4, "try_on.none.ssim_garment": 0.3, "try_on.pre.ssim_garment": 0.5}
    name = "try_on.joint_minus_none.ssim_garment"
    judged = lambda other, more={}: results_page.verdict(  # noqa: E731
        results | more, "try_on.joint.ssim_garment", f"try_on.{other}.ssim_garment"
    )
    assert judged("none") == "for" and judged("pre") == "against"
    assert judged("none", {f"{name}.low": -0.1, f"{name}.high": 0.3}) == "undecided"
    assert judged("none", {f"{name}.low": 0.05, f"{name}.high": 0.3}) == "for"
    less = {"try_on.joint.lpips": 0.1, "try_on.none.lpips": 0.2}
    assert results_page.verdict(less, *less) == "for"  # a distance
    rates = {"critic.joint.fooling_5s": 0.2, "critic.post.fooling_5s": 0.3}
    difference = {"critic.joint_minus_post_5s.low": -0.2, "critic.joint_minus_post_5s.high": 0.1}
    assert results_page.verdict(rates, *rates) == "against"
    assert results_page.verdict(rates | difference, *rates) == "undecided"


def test_tables_stand_between_their_marks():
    page = "above\n<!-- a -->\nold\n<!-- end of a -->\nbelow"
    filled = results_page.fill(page, {"a": "| new |"})
    assert filled == "above\n<!-- a -->\n| new |\n<!-- end of a -->\nbelow"
    assert results_page.fill(filled, {"a": "| new |"}) == filled
    with pytest.raises(ValueError, match="marks of b 0 times"):
        results_page.fill(page, {"b": ""})
    results = {
        f"critic.joint_minus_{arm}_1s{end}": 0.1 for arm in ("none", "post", "pre") for end in ("", ".low", ".high")
    }
    assert "+10.00 (+10.00 to +10.00)" in results_page.differences_table(results)
    results |= {
        f"try_on.joint_minus_{arm}.lpips{end}": 0.02 for arm in ("none", "post", "pre") for end in ("", ".low", ".high")
    }
    assert "| LPIPS | +0.0200 (+0.0200 to +0.0200) |" in results_page.differences_table(results)
    assert "SSIM" not in results_page.differences_table(results)  # no table without its intervals


def test_systems_stand_beside_each_other_with_what_was_measured():
    names = [f"clothflow.{name}.{score}" for name in ("full", "lab126_joint") for score in ("ssim", "lpips")]
    results = {f"{name}{end}": value for name in names for end, value in (("", 0.5), (".low", 0.4), (".high", 0.6))}
    assert results_page.systems_table(results).splitlines() == [
        "| system | SSIM | LPIPS |",
        "| --- | --- | --- |",
        "| ClothFlow | 0.500 (0.400 to 0.600) | 0.500 (0.400 to 0.600) |",
        "| lab126, `joint` | 0.500 (0.400 to 0.600) | 0.500 (0.400 to 0.600) |",
    ]


def test_confidence_that_is_what_is_right_has_no_calibration_error():
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 20000)
    probabilities, right = np.stack([sure, 1 - sure], -1), (generator.random(20000) > sure).astype(int)
    assert calibration.calibration_error(probabilities, right) < 0.01
    assert calibration.calibration_error(np.tile([0.9, 0.1], (10, 1)), np.array([0] * 5 + [1] * 5)) == pytest.approx(
        0.4
    )
    # Twice the logits are twice as sure as they may be.
    twice = calibration.tempered(probabilities, 0.5)
    assert calibration.fitted(twice, right) == pytest.approx(2, rel=0.05)
    assert calibration.log_loss(calibration.tempered(twice, 2), right) < calibration.log_loss(twice, right)


@pytest.mark.parametrize(("box", "at_left"), [((20, 4, 80, 90), True), ((100, 4, 160, 90), False)])
def test_people_are_moved_out_until_a_part_is_seen(box, at_left):
    there = np.zeros((96, 192), np.uint8)
    there[box[1] : box[3], box[0] : box[2]] = 255
    image = np.repeat(there[..., None], 3, -1)
    for part in (1.0, 0.7, 0.4):
        view, shift = leaving_people.moved(image, np.array(box, float), part)
        columns = np.flatnonzero(view[50, :, 0])
        if part < 1:
            columns = columns[columns < 100] if at_left else columns[columns > 92]
            assert columns[0] == 0 if at_left else columns[-1] == 191
        assert len(columns) == round(60 * part) and (shift == 0) == (part == 1)


def test_a_bleached_garment_is_light_on_light():
    picture, mask = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8), np.zeros((40, 30), bool)
    mask[5:30, 5:20] = True
    light = reading_flats.bleached(picture, mask, np.random.default_rng(1)).astype(float)
    assert light[mask].min() >= 224 and light[mask].mean() < 250 and abs(light[~mask].mean() - 246) < 0.5
    assert np.corrcoef(light[mask].mean(-1), picture[mask].mean(-1))[0, 1] > 0.95  # its shades stay
    assert reading_flats.is_light(light, mask) and not reading_flats.is_light(picture, mask)


def test_where_faces_and_hands_are_looked_at():
    labels, points = np.zeros((40, 30), np.uint8), np.zeros((18, 2), np.float32)
    labels[4:16, 8:22] = segmentation.ID["face"]
    labels[20:36, 4:8], labels[20:36, 24:28] = segmentation.ID["left-arm"], segmentation.ID["right-arm"]
    visible = np.zeros(18, bool)
    for name, place in {"nose": (15, 10), "left-eye": (17, 8), "left-wrist": (6, 30), "right-wrist": (26, 30)}.items():
        points[keypoints.ID[name]], visible[keypoints.ID[name]] = place, name != "right-wrist"
    case = {"output_segmentation": labels, "output_keypoints": points, "output_visible": visible, "height": 40.0}
    face = faces.around(case, faces._FACE_JOINTS, segmentation.FACE[:1], 0.1, each=False)
    rows, columns = np.mgrid[:40, :30]
    np.testing.assert_array_equal(face, np.hypot(columns - 16, rows - 9) < 4)  # about the mean of what is seen
    hand = faces.around(case, *faces._ENDS["hands"], 0.07, each=True)
    assert hand[30, 6] and hand[29, 5] and not hand[20, 6] and not hand[30, 26] and not hand[30, 9]
    visible[:] = False
    assert not faces.around(case, *faces._ENDS["hands"], 0.07, each=True).any()


def test_a_driven_frame_costs_little_and_all_but_the_warp_the_same_at_every_size():
    small, large = drive.costs(side=128), drive.costs(side=256)
    assert large["frame"] == pytest.approx(sum(large[n] for n in ("detector", "dense_motion", "generator", "warp")))
    assert 0.05 < large["frame"] < 2.5
    for name in ("dense_motion", "generator"):
        assert small[name] == large[name] > 0
