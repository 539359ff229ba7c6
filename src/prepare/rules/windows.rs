//! Where the windows of pools and convolutions lie.

use crate::{
    onnx::proto::{AttributeProto, NodeProto},
    prepare::rewriter::Rewriter,
};

/// One axis over which windows slide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) length: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    /// How many windows there are.
    pub(super) out: usize,
}

impl Axis {
    /// How much a window covers.
    pub(super) fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Padding that windows touch after the end.
    pub(super) fn touched(&self) -> usize {
        ((self.out - 1) * self.stride + self.reach()).saturating_sub(self.length + self.before)
    }

    /// The place of a tap of a window, if it lies within the axis.
    fn place(&self, window: usize, tap: usize) -> Option<usize> {
        let place = window * self.stride + tap * self.dilation;
        place.checked_sub(self.before).filter(|place| *place < self.length)
    }

    /// Whether the tap lies within the axis or the padding that was asked for.
    fn is_padded(&self, window: usize, tap: usize) -> bool {
        let place = window * self.stride + tap * self.dilation;
        place < self.before + self.length + self.after
    }
}

/// The axes over which a node's windows slide; `None` where its attributes don't fit its input.
pub(super) fn axes(node: &NodeProto, shape: &[usize], kernel: &[usize]) -> Option<Vec<Axis>> {
    let spatial = shape.get(2..)?;
    let rank = spatial.len();
    let list = |name: &str, default: usize| -> Option<Vec<usize>> {
        match node.ints(name) {
            [] => Some(vec![default; rank]),
            list => list.iter().map(|it| usize::try_from(*it).ok()).collect(),
        }
    };
    let (strides, dilations) = (list("strides", 1)?, list("dilations", 1)?);
    let pads = match node.ints("pads") {
        [] => vec![0; 2 * rank],
        pads => pads.iter().map(|it| usize::try_from(*it).ok()).collect::<Option<Vec<_>>>()?,
    };
    if [kernel.len(), strides.len(), dilations.len(), pads.len() / 2] != [rank; 4] {
        return None;
    }
    let ceil = node.int("ceil_mode") == Some(1);
    (0..rank)
        .map(|at| {
            let (length, kernel, stride, dilation) =
                (spatial[at], kernel[at], strides[at], dilations[at]);
            let mut axis = Axis {
                length,
                kernel,
                stride,
                dilation,
                before: pads[at],
                after: pads[rank + at],
                out: 0,
            };
            if kernel == 0 || stride == 0 || dilation == 0 {
                return None;
            }
            let auto = node.string("auto_pad").unwrap_or("NOTSET");
            match auto {
                "SAME_UPPER" | "SAME_LOWER" => {
                    axis.out = length.div_ceil(stride);
                    let needed = ((axis.out - 1) * stride + axis.reach()).saturating_sub(length);
                    let (less, more) = (needed / 2, needed - needed / 2);
                    (axis.before, axis.after) =
                        if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
                    return Some(axis);
                }
                "VALID" => (axis.before, axis.after) = (0, 0),
                _ => {}
            }
            let room = (length + axis.before + axis.after).checked_sub(axis.reach())?;
            axis.out = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
            // No window begins in the padding after the end.
            if ceil && (axis.out - 1) * stride >= length + axis.before {
                axis.out -= 1;
            }
            (axis.out > 0).then_some(axis)
        })
        .collect()
}

/// The list of an attribute as lengths.
pub(super) fn lengths(node: &NodeProto, name: &str) -> Option<Vec<usize>> {
    node.ints(name).iter().map(|it| usize::try_from(*it).ok()).collect()
}

/// The attributes of windows without padding or gaps, as ezkl wants them written out.
pub(super) fn written(axes: &[Axis]) -> Vec<AttributeProto> {
    let list = |name: &str, value: fn(&Axis) -> usize| {
        AttributeProto::ints(name, axes.iter().map(|it| value(it) as i64).collect::<Vec<_>>())
    };
    vec![
        list("kernel_shape", |it| it.kernel),
        list("strides", |it| it.stride),
        AttributeProto::ints("pads", vec![0; 2 * axes.len()]),
    ]
}

/// Whether the node says all that ezkl wants to be told, and nothing that it leaves out.
pub(super) fn is_written(node: &NodeProto, axes: &[Axis]) -> bool {
    !node.ints("strides").is_empty()
        && !node.ints("pads").is_empty()
        && !node.ints("kernel_shape").is_empty()
        && node.attribute("auto_pad").is_none()
        && node.int("ceil_mode").unwrap_or(0) == 0
        && axes.iter().all(|axis| axis.dilation == 1)
}

/// Every window of each channel: for each window and tap the place in the flat spatial axes, if it lies within.
pub(super) struct Windows {
    pub(super) places: Vec<Vec<Option<usize>>>,
    /// How many taps lie within the axes and the padding.
    pub(super) padded: Vec<usize>,
}

pub(super) fn windows(axes: &[Axis]) -> Windows {
    let count = |length: fn(&Axis) -> usize| axes.iter().map(length).product::<usize>();
    let (outs, taps) = (count(|it| it.out), count(|it| it.kernel));
    let mut found = Windows { places: Vec::with_capacity(outs), padded: Vec::new() };
    for window in 0..outs {
        let mut places = Vec::with_capacity(taps);
        let mut padded = 0;
        for tap in 0..taps {
            let (mut window, mut tap, mut width) = (window, tap, 1);
            let (mut place, mut inside) = (Some(0), true);
            for axis in axes.iter().rev() {
                let (at, of) = (window % axis.out, tap % axis.kernel);
                (window, tap) = (window / axis.out, tap / axis.kernel);
                inside &= axis.is_padded(at, of);
                place = place.zip(axis.place(at, of)).map(|(sum, it)| sum + it * width);
                width *= axis.length;
            }
            padded += usize::from(inside);
            places.push(place);
        }
        found.places.push(places);
        found.padded.push(padded);
    }
    found
}

impl Windows {
    /// The windows' elements as a tensor of channels, windows and taps. In the place of what lies outside stands
    /// another element of the same window.
    pub(super) fn gather(
        &self,
        rewriter: &mut Rewriter<'_>,
        value: &str,
        shape: &[usize],
    ) -> Option<String> {
        let channels = shape.first()? * shape.get(1)?;
        let flat = rewriter.reshape(value, &[channels, shape[2..].iter().product()]);
        let mut places = Vec::new();
        for window in &self.places {
            let within = window.iter().flatten().next()?;
            places.extend(window.iter().map(|place| place.unwrap_or(*within) as i64));
        }
        let taken = rewriter.gather(&flat, &places, 1);
        let taps = places.len() / self.places.len();
        Some(rewriter.reshape(&taken, &[channels, self.places.len(), taps]))
    }
}
