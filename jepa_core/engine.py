"""The engine: frames in, inspections out, one checkpoint, deterministic.

Hosted by the engine process for the window (`engine_process`), and in-process by headless runs and recomputation;
the numbers are the same, because this is the only place where they are made. Owns the model and its device. No torch
object ever leaves: every result is a read-only numpy array. Never touches files, threads or the pipe.

`ingest` and `look_newest` may run on two threads, so that the clip stays dense while a look takes long; everything
else belongs to the thread that looks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jepa_core import footing
from jepa_core.clip import Clip, ClipBuffer, ClipFrame, ClipMotion
from jepa_core.clock import CancelToken, Clock
from jepa_core.device import device_errors
from jepa_core.engine_drills import EngineDrill
from jepa_core.errors import DeviceLost, NotAble
from jepa_core.families.base import JepaModel, Motion, Prediction
from jepa_core.ladder import Rung, Step, step_down
from jepa_core.latent_levels import latents_of, level_there, seen_latents
from jepa_core.latent_views import NOTHING, LatentViewer, Shown
from jepa_core.look_numbers import check_finite, host_error, on_host, pooled_means, slot_order, spread
from jepa_core.masks import make_masks, restored, rule_for
from jepa_core.messages import EngineOptions
from jepa_core.preprocess import fit_frame, normalise
from jepa_core.projection import Basis
from jepa_core.signals import EngineLook, measure
from jepa_core.types import (
    Box,
    CheckpointInfo,
    Frame,
    Inspection,
    LatentView,
    MaskRule,
    MaskSet,
    TokenLayout,
    frozen,
)

NO_MOTION = ClipMotion(None, None)


@dataclass(frozen=True, slots=True)
class _Given:
    """What one look is made of: pixels on the host and facts, nothing of the model."""

    crops: NDArray[np.uint8]  # (T, S, S, 3)
    masks: MaskSet
    layout: TokenLayout
    motion: ClipMotion
    frames: tuple[int, ...]
    seq: int
    t_ns: int
    step: int
    extra: dict[str, float]  # signals that are not measured here


class Engine:
    """One loaded checkpoint, its clip and its look counter."""

    def __init__(
        self, model: JepaModel, options: EngineOptions, clock: Clock, *, cancel: CancelToken | None = None
    ) -> None:
        """`cancel` ends a drill's delay early; nothing else waits. Raises NotAble for a size the model cannot be shown."""
        self.info: CheckpointInfo = footing.resized(model, options.size or model.info.input.size)
        self.options = options
        self._model: JepaModel | None = model
        self._clock = clock
        self._drill = EngineDrill(options, cancel or CancelToken())
        self._stride = options.stride or model.info.input.tubelet
        self._viewer = LatentViewer(options.axes, options.view.fit)
        self._last: _Given | None = None  # what the last look was made of
        self._lock = threading.Lock()  # guards what follows
        self._buffer = ClipBuffer(model.info.input, options.clip_frames)
        self._rule = options.mask
        self._view = options.view
        self._box: Box = (0.0, 0.0, 0.0, 0.0)
        self._shape: tuple[int, ...] = ()
        self._n_ingested = 0  # source frames since reset
        self._n_looks = 0  # looks since reset: decides the masks
        self._step = 0  # looks since the checkpoint was loaded
        self._is_due = False
        self._is_asked = False  # another view was asked for since the last look
        self._let_go = 0  # looks that were due when the one before had not been made yet

    # --- frames ----------------------------------------------------------------------------------------------------

    def offer(self, frame: Frame) -> Inspection | None:
        """Take the next frame of the source; the look that it completes, if one is due. The lossless way."""
        return self.look_newest() if self.ingest(frame) else None

    def ingest(self, frame: Frame) -> bool:
        """Preprocess one frame into the clip; is a look due now? Keeps no reference to the frame's pixels."""
        size = self.info.input.size
        crop, box = fit_frame(frame.rgb, size, self.info.input.fit)
        if np.may_share_memory(crop, frame.rgb):
            crop = crop.copy()  # the ring slot is written again as soon as we let go
        barcode = self._drill.read_barcode(frame.rgb)
        entry = ClipFrame(
            frozen(crop),
            frame.seq,
            frame.t_ns,
            frame.media_ns,
            barcode,
            frame.index,
            frame.action,
            frame.state,
        )
        with self._lock:
            if size != self.info.input.size:
                return self._is_due  # stepped down meanwhile: this frame was fitted to the size before
            if frame.rgb.shape != self._shape:  # another picture size is another source
                self._reset()
                self._shape = frame.rgb.shape
            self._box = box
            self._buffer.set_step(_frame_step(self.info, frame))
            self._buffer.add(entry)
            self._n_ingested += 1
            if self._n_ingested % self._stride == 0:
                self._let_go += self._is_due
                self._is_due = True
            return self._is_due

    @property
    def metric(self) -> str:
        """Of the errors: what was asked for, else the checkpoint's own."""
        return self.info.metric if self.options.metric == "auto" else self.options.metric

    @property
    def is_due(self) -> bool:
        """Has the source given `stride` more frames since the last look was due?"""
        with self._lock:
            return self._is_due

    @property
    def is_asked(self) -> bool:
        """Has another view been asked for since the last look?"""
        with self._lock:
            return self._is_asked

    @property
    def axes(self) -> tuple[Basis, ...]:
        """Of the latents' colours, as far as they are fitted. For the thread that looks."""
        return self._viewer.axes

    @property
    def looks_let_go(self) -> int:
        """Looks that were due and never made, because the model was still busy with an older one."""
        with self._lock:
            return self._let_go

    @property
    def clip_frames(self) -> int:
        """Frames a look would see now."""
        with self._lock:
            return self._buffer.clip_frames

    @property
    def rule(self) -> MaskRule:
        """The rule in force: what was asked for, as far as this checkpoint can do it."""
        with self._lock:
            return rule_for(self._rule, self.info)

    def set_mask(self, rule: MaskRule) -> None:
        """Looks from now on are masked by this rule."""
        with self._lock:
            self._rule = rule

    def set_view(self, view: LatentView) -> None:
        """Looks from now on show this of their latents; the last one can be made again to show it at once."""
        with self._lock:
            self._is_asked = view.kind != "none" and view != self._view
            self._view = view

    def reset(self) -> None:
        """The source changed or jumped: forget the frames so far, count looks from 0 again."""
        with self._lock:
            self._reset()

    def release(self) -> None:
        """Let go of the model and its device memory. The engine cannot look any more."""
        self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def step_down(self) -> Step | None:
        """A look found no room on the device: give up one thing (`ladder`), None where nothing is left.

        Called by the thread that looks, once nobody holds the failed look any more. Another size begins its clip anew.
        """
        model = self._model
        with self._lock:
            now = Rung(self.info.input.size, self._buffer.most_frames, self.info.dtype)
        step = step_down(now, footing.limits(self.info))
        if step is None or model is None:
            return None
        self._last = None  # of another size
        with self._lock:
            if step.what == "resolution":
                self.info = footing.resized(model, step.rung.size)
                self._buffer.reset()
            elif step.what == "frames":
                self._buffer.shorten(step.rung.frames)
            else:
                self.info = footing.made_coarser(model, step.rung.dtype)
            self._n_looks, self._step = max(self._n_looks - 1, 0), max(self._step - 1, 0)  # it was not one
        footing.free_memory()
        return step

    # --- looks -----------------------------------------------------------------------------------------------------

    def look_newest(self) -> Inspection | None:
        """Look at the newest clip; None while the source has not given enough frames to predict anything.

        Raises NotFinite, OutOfMemory, DeviceLost, or RequestError for a mask rule that does not fit.
        """
        with self._lock:
            self._is_due = self._is_asked = False
            clip = self._buffer.clip()
            rule = rule_for(self._rule, self.info)
            if clip is None or not _is_long_enough(clip, self.info, rule):
                return None
            box, look, step = self._box, self._n_looks, self._step
            self._n_looks += 1
            self._step += 1
        start_ns = self._clock.now_ns()
        self._drill.delay()
        layout = self._layout(len(clip.frames), box)
        self._last = _Given(
            clip.crops(),
            make_masks(rule, layout, look),
            layout,
            clip.motion,
            clip.seqs,
            clip.newest.seq,
            clip.newest.t_ns,
            step,
            self._drill.signals(clip.newest.barcode),
        )
        return self._look(self._last, start_ns)

    def look_again(self) -> Inspection | None:
        """The last look once more, for a view that was asked for since: the same numbers. None after a jump.

        A paused source gives no new frames, and what a person asks to see must not wait for one.
        """
        with self._lock:
            self._is_asked = False
        return None if self._last is None else self._look(self._last, self._clock.now_ns())

    def look(
        self,
        crops: NDArray[np.uint8],
        masks: MaskSet,
        *,
        frames: tuple[int, ...],
        seq: int,
        t_ns: int,
        box: Box,
        step: int = 0,
        motion: ClipMotion = NO_MOTION,
    ) -> Inspection:
        """Look at these preprocessed frames with these masks: recomputation. Bit-equal to the live path.

        crops    (T, S, S, 3) uint8, oldest first, T a multiple of the tubelet
        frames   seq of each; seq and t_ns of the newest; box: what the crop shows, in frame pixels
        motion   what was done between the frames, for families that predict from actions
        """
        if self._model is not None and self.info.sizes:
            self.info = footing.resized(self._model, crops.shape[1])  # a record may have been stepped down
        layout = self._layout(len(crops), box)
        masks = restored(masks, layout, self.info)
        start_ns = self._clock.now_ns()
        return self._look(_Given(crops, masks, layout, motion, frames, seq, t_ns, step, {}), start_ns)

    def _look(self, given: _Given, start_ns: int) -> Inspection:
        layout = given.layout
        metric = self.metric
        device, dtype = torch.device(self.info.device), getattr(torch, self.info.dtype)
        with torch.inference_mode(), device_errors("looking"):
            self._drill.check_room(layout.n_tokens * dtype.itemsize)
            clip = normalise(given.crops, self.info.input, device, dtype)  # (1, 3, T, S, S)
            prediction, masks, note = self._predict(clip, given.masks, given.motion, layout)
            shown, view = self._show(clip, prediction, masks, layout, given.seq)
            pooled = pooled_means(prediction)
            l1_of_target = host_error(prediction, "l1")
            of_target = l1_of_target if metric == "l1" else host_error(prediction, metric)
        check_finite(of_target, l1_of_target, pooled, given.seq)
        l1 = spread(l1_of_target, masks, layout.n_tokens)
        error = l1 if metric == "l1" else spread(of_target, masks, layout.n_tokens)
        signals = measure(EngineLook(l1=l1, error=error, pooled=pooled, crops=given.crops, layout=layout))
        return Inspection(
            seq=given.seq,
            t_ns=given.t_ns,
            clip=given.frames,
            layout=layout,
            masks=masks,
            error=frozen(error),
            metric=metric,
            signals=signals | given.extra,
            pooled=frozen(pooled),
            colors=shown.colors,
            start_ns=start_ns,
            end_ns=self._clock.now_ns(),
            checkpoint=self.info.id,
            step=given.step,
            note=note,
            view=view,
            basis=shown.basis,
            similarity=shown.similarity,
            regions=on_host(prediction.regions),
            attention=on_host(prediction.attention),
            assignment=slot_order(prediction),
        )

    def _predict(
        self, clip: Tensor, masks: MaskSet, motion: ClipMotion, layout: TokenLayout
    ) -> tuple[Prediction, MaskSet, str]:
        """The prediction, the masks it was made with, and why there is none. Without one the latents are still made,
        of the whole clip: they can be looked at."""
        if self._model is None:
            raise DeviceLost("This checkpoint was unloaded.", "Load it again.")
        try:
            prediction = self._model.predict(clip, masks, _on_device(motion, clip.device))
        except NotAble as reason:
            latents = latents_of(self._model, clip)
            context = latents[..., -(latents.shape[-1] // self.info.levels) :]  # of several levels the last
            nothing = context[:, :0]
            prediction = Prediction(nothing, nothing, context, latents, note=reason.what)
        if prediction.note:
            masks = MaskSet(frozen(np.arange(layout.n_tokens, dtype=np.int32)), (), masks.seed)
        return prediction, masks, prediction.note

    def _show(
        self, clip: Tensor, prediction: Prediction, masks: MaskSet, layout: TokenLayout, seq: int
    ) -> tuple[Shown, LatentView | None]:
        """What was asked to be seen of the latents themselves, and the view that shows it."""
        with self._lock:
            view = self._view
        if view.kind == "none" or self._model is None:
            return NOTHING, None
        if view.kind == "attention":  # every look of slots carries it; the view says whose is shown
            return NOTHING, view
        view = replace(view, level=level_there(view.level, self.info.levels))
        if prediction.latents is None:
            prediction = replace(prediction, latents=latents_of(self._model, clip))
        seen = seen_latents(prediction, view.level, self.info.levels, masks, layout, seq)
        return self._viewer.show(view, seen), view

    def _layout(self, n_frames: int, box: Box) -> TokenLayout:
        if self._model is None:
            raise DeviceLost("This checkpoint was unloaded.", "Load it again.")
        return TokenLayout(self.info.layout, self._model.grid(n_frames), self.info.input.tubelet, box)

    def _reset(self) -> None:
        self._last = None
        self._buffer.reset()
        self._n_ingested = 0
        self._n_looks = 0
        self._is_due = False


def use_threads(options: EngineOptions) -> None:
    """Set torch's threads for this process; 0 leaves torch's default."""
    if options.threads > 0:
        torch.set_num_threads(options.threads)


def _frame_step(info: CheckpointInfo, frame: Frame) -> int:
    """Source frames that make one action block; 0 where actions decide nothing about the clip."""
    if info.action is None or info.action.is_from_state or frame.action is None:
        return 0
    wanted, given = len(info.action.names), len(frame.action)
    return wanted // given if given and wanted % given == 0 else 0


def _on_device(motion: ClipMotion, device: torch.device) -> Motion:
    actions, states = (
        None if values is None else torch.from_numpy(np.array(values)).to(device)[None]
        for values in (motion.actions, motion.states)
    )
    return Motion(actions, states)


def _is_long_enough(clip: Clip, info: CheckpointInfo, rule: MaskRule) -> bool:
    """Predicting the future takes a time step to predict it from; so early in a source there is no look yet."""
    return rule.kind != "future" or len(clip.frames) // info.input.tubelet >= 2
