"""The live loop: the newest frame only, what is measured, keys, and recordings that survive."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from media_samples import clip

from vton_jax.core.errors import UserError
from vton_jax.media import live, recording, video_files

av = pytest.importorskip("av")


class Scripted:
    """A camera whose frames come when the test lets them."""

    def __init__(self, count):
        self.count, self.given, self.allowed = count, 0, threading.Semaphore(0)
        self.closed = False

    def let(self, count):
        for _ in range(count):
            self.allowed.release()

    def read(self):
        self.allowed.acquire()
        if self.given == self.count:
            return None
        self.given += 1
        return np.full((4, 4, 3), self.given - 1, np.uint8)

    def close(self):
        self.closed = True


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_only_the_newest_frame_is_taken():
    camera = Scripted(10)
    with live.Newest(camera) as newest:
        camera.let(4)
        until(lambda: newest._held is not None and newest._held.number == 3)
        first = newest.take(5)
        assert first.number == 3 and (first.frame == 3).all()  # not one of the three before
        assert newest.take(0.01) is None and not newest.ended  # and none is taken twice
        camera.let(1)
        assert newest.take(5).number == 4
        camera.let(6)
        until(lambda: newest._ended)
        assert not newest.ended and newest.take(5).number == 9  # the last one is not lost
        assert newest.ended and newest.take(5) is None
    assert camera.closed


def test_what_the_camera_raises_reaches_the_loop():
    class Broken:
        def read(self):
            raise UserError("The camera is gone.")

        def close(self):
            pass

    with live.Newest(Broken()) as newest, pytest.raises(UserError, match="gone"):
        newest.take(5)


class Keys(live.NoDisplay):
    """A display that keeps what it shows and presses keys."""

    def __init__(self, keys=""):
        self.keys, self.shown = list(keys), []

    def show(self, frame):
        self.shown.append(frame)

    def key(self):
        return self.keys.pop(0) if self.keys else ""


def test_delay_does_not_grow_where_results_come_slower_than_frames(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(30), 60)
    display, times = Keys(), []

    def slow(frame):
        time.sleep(0.05)
        return frame

    loop = live.Loop(slow, display, record=lambda frame, seconds: times.append(seconds), caption=False)
    timing = loop.run(live.ClipCamera(tmp_path / "a.mp4"))
    assert timing.shown == len(display.shown) == len(times) and timing.missed > 0
    assert timing.shown + timing.missed == 30  # the last one too
    assert np.diff(times).min() > 0 and times[0] == 0
    half = len(timing.delays) // 2
    delays = list(timing.delays)
    assert np.median(delays[half:]) < np.median(delays[:half]) + 0.1  # queued, it would grow by 33 ms a frame
    assert "capture to display" in timing.line()


def test_keys_reach_the_loop_and_q_ends_it(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(4), 20)
    pressed, display = [], Keys("xf3q")
    loop = live.Loop(lambda frame: frame, display, on_key=pressed.append)
    loop.run(live.ClipCamera(tmp_path / "a.mp4", repeats=True))
    assert pressed == ["x", "f", "3"]


def test_a_note_stands_on_screen_and_in_no_recording(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(2, (240, 320)), 20)
    display, recorded = Keys(), []
    loop = live.Loop(lambda frame: 0 * frame, display, record=lambda frame, seconds: recorded.append(frame))
    loop.note = lambda: "nobody is seen"
    loop.run(live.ClipCamera(tmp_path / "a.mp4"))
    assert display.shown[0].any() and not any(frame.any() for frame in recorded)


def test_a_clip_plays_at_its_own_rate(tmp_path):
    video_files.write_video(tmp_path / "a.mp4", clip(5), 20)
    camera, begun = live.ClipCamera(tmp_path / "a.mp4"), None
    while (frame := camera.read()) is not None:
        begun = time.monotonic() if begun is None else begun
        assert frame.shape == (48, 64, 3)
    assert 0.19 < time.monotonic() - begun < 5


def test_words_for_cameras(tmp_path, capfd):
    assert live.is_camera("camera") and live.is_camera("camera:1") and not live.is_camera("camera.mp4")
    with pytest.raises(UserError, match="camera:N"):
        live.open_camera("camera:front")
    with pytest.raises(UserError, match="cannot be opened"):
        live.open_camera("camera:97")
    assert capfd.readouterr() == ("", "")  # not a word of OpenCV's beside our sentence


def test_a_recording_keeps_its_times_and_says_what_it_is(tmp_path):
    with recording.Recording(tmp_path / "a.mp4") as record:
        for frame, seconds in zip(clip(4, (31, 45)), (0, 0.1, 0.5, 0.6), strict=True):
            record.add(frame, seconds)
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, [0, 0.1, 0.5, 0.6], atol=1e-3)
    assert recording.comment_of(tmp_path / "a.mp4").startswith("generated")
    with pytest.raises(UserError, match="MP4"):
        recording.Recording(tmp_path / "a.avi")


KILLED = """
import sys, time
import numpy as np
from vton_jax.media import recording
record = recording.Recording(sys.argv[1])
frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
for index in range(40):
    frame[:8, :8] = index
    record.add(frame, index / float(sys.argv[2]))
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("rate", [10, 0.8])
def test_a_recording_survives_being_killed(tmp_path, rate):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.mp4"), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "written"
        os.kill(process.pid, signal.SIGKILL)
    frames, _ = video_files.read_video(tmp_path / "a.mp4", strict=False)
    assert len(frames) >= 40 - 1 - rate  # whole fragments of a second, however slowly frames come


def sounding(path, frames):
    """A clip with a second of sound."""
    video_files.write_video(path.with_name("silent.mp4"), frames, 10)
    with av.open(str(path.with_name("silent.mp4"))) as pictures, av.open(str(path), "w") as out:
        video = pictures.streams.video[0]
        target, sound = out.add_stream_from_template(video), out.add_stream("aac", rate=8000)
        sound.layout = "mono"
        for packet in pictures.demux(video):
            if packet.dts is not None:
                packet.stream = target
                out.mux(packet)
        samples = np.sin(np.arange(8000) / 5).astype(np.float32)[None]
        for first in range(0, 8000 - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(samples[:, first : first + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, first
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def test_sound_is_taken_over_and_pictures_stay_as_they_are(tmp_path):
    source = sounding(tmp_path / "sounding.mp4", clip(10))
    assert recording.has_sound(source) and not recording.has_sound(tmp_path / "silent.mp4")
    result = tmp_path / "result.mp4"
    video_files.write_video(result, clip(10)[::-1], 10)
    before = video_files.read_video(result)[0]
    assert recording.finish(result, source)
    assert recording.has_sound(result) and recording.comment_of(result).startswith("generated")
    np.testing.assert_array_equal(video_files.read_video(result)[0], before)
    assert not recording.finish(result, tmp_path / "silent.mp4")
    assert sorted(os.listdir(tmp_path)) == ["result.mp4", "silent.mp4", "sounding.mp4"]
